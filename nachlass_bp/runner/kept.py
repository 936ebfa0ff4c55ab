"""The executed notebook: what Jupyter shows of a run, whatever its end was."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat

from nachlass_bp.errors import BuildpackError
from nachlass_bp.output import Output
from nachlass_bp.runner.tags import is_left_out

_v4: Any = nbformat.v4  # Half typed.
_SAVED_EVERY_S = 10.0
_SAID = frozenset({"text", "ename", "evalue", "traceback"})
_SHARE = 20
"""Saving may cost a twentieth of the time at most: a notebook with large outputs is saved less often."""


def write(file: Path, notebook: str) -> None:
    """Write an executed notebook, whole or not at all.

    Raises:
        OSError: The file can't be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.parent / f".part-{os.getpid()}"
    try:
        # Outputs can show rows of the data: for the person who builds and nobody else on the machine.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as opened:
            opened.write(notebook)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


class KeptNotebook:
    """Writes the notebook that is being executed to a file, at its end and now and then before.

    So something is left when the build's own process is killed. `every_s` is the least time between two saves.
    `redact` takes secrets out of the outputs: the file is kept in a layer.
    """

    def __init__(
        self, content: Any, file: Path | None, redact: Callable[[str], str], every_s: float = _SAVED_EVERY_S
    ) -> None:
        self._content = content
        self._file = file
        self._redact = redact
        self._every_s = every_s
        self._due = time.monotonic() + every_s

    def clear(self) -> None:
        """Take away what an earlier run has left in cells that are about to run: it would pass for this run's."""
        for cell in self._content.cells:
            if cell.cell_type == "code" and not is_left_out(cell):
                cell.outputs, cell.execution_count = [], None

    def save_if_due(self) -> None:
        """Save after a cell, if the last time is long enough ago."""
        started = time.monotonic()
        if started >= self._due:
            with contextlib.suppress(OSError):  # The last time, it is an error.
                self.save()
            took = time.monotonic() - started
            self._due = time.monotonic() + max(self._every_s, _SHARE * took)

    def save(self) -> None:
        """Save now, in place of what was saved before.

        Raises:
            OSError: The file can't be written.
        """
        if self._file is None:
            return
        write(self._file, str(_v4.writes(self._shown())))

    def _shown(self) -> Any:
        """Return the notebook with what may be shown of its outputs; the rest of it is its author's text."""
        cells = [
            {**cell, "outputs": [self._output(output) for output in _joined(cell.outputs)]}
            if cell.cell_type == "code"
            else cell
            for cell in self._content.cells
        ]
        return nbformat.from_dict({**self._content, "cells": cells})  # type: ignore[no-untyped-call]

    def _output(self, output: Any) -> dict[str, Any]:
        found = {name: self._redacted(each) if name in _SAID else each for name, each in output.items()}
        for name in {"data", "metadata"} & {*output}:  # Whose own names are those of formats.
            found[name] = {kind: self._redacted(each) for kind, each in output[name].items()}
        return found

    def _redacted(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redact(value)
        if isinstance(value, dict):
            return {self._redact(str(key)): self._redacted(each) for key, each in value.items()}
        if isinstance(value, list):
            found = [self._redacted(each) for each in value]
            if all(isinstance(each, str) for each in found):
                # Lines of one text, perhaps: a secret may go over several of them.
                whole = "".join(found)
                return found if (redacted := self._redact(whole)) == whole else redacted.splitlines(keepends=True)
            return found
        return value


def _joined(outputs: Sequence[Any]) -> Iterator[Any]:
    """Yield outputs in which what one stream wrote in pieces is one text, as the log has it."""
    for stream, pieces in itertools.groupby(outputs, lambda output: output.get("name")):
        if stream is None:
            yield from pieces
        else:
            first, *others = pieces
            yield {**first, "text": "".join([first["text"], *(piece["text"] for piece in others)])}


def mark(cell: Any, name: str, message: str) -> None:
    """Say in the cell why it has no end: the death of a kernel leaves nothing there by itself."""
    traceback = [f"\x1b[0;31m{name}\x1b[0m: {message}"]  # As Jupyter shows an exception: its name in red.
    cell.outputs.append(_v4.new_output("error", ename=name, evalue=message, traceback=traceback))


@contextlib.contextmanager
def kept_notebook_named(file: Path | None, output: Output) -> Iterator[None]:
    """Say where the executed notebook is when its run has no good end; None for one that nobody will see."""
    try:
        yield
    except BuildpackError:
        if file is not None and file.is_file():
            output.step(f"The notebook as far as it ran: {file}")
        raise
