"""The executed notebook: what Jupyter shows of a run, whatever its end was."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from nachlass_bp.errors import BuildpackError
from nachlass_bp.output import Output
from nachlass_bp.runner.tags import is_left_out

_v4: Any = nbformat.v4  # Half typed.
_SAVED_EVERY_S = 10.0
_SHARE = 20
"""Saving may cost a twentieth of the time at most: a notebook with large outputs is saved less often."""


class KeptNotebook:
    """Writes the notebook that is being executed to a file, at its end and now and then before.

    So something is left when the build's own process is killed. `every_s` is the least time between two saves.
    """

    def __init__(self, content: Any, file: Path | None, every_s: float = _SAVED_EVERY_S) -> None:
        self._content = content
        self._file = file
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
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.parent / f".part-{os.getpid()}"
        try:
            # Outputs can show rows of the data: for the person who builds and nobody else on the machine.
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_v4.writes(self._content))
            part.replace(self._file)
        finally:
            part.unlink(missing_ok=True)


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
