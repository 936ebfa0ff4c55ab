"""What a cell's exception can tell beyond its traceback: the line of the cell, and the file that is missing."""

from __future__ import annotations

import errno
import json
import os
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LONGEST_TEXT = 2000
_TIMED_CELL = "<timed exec>"
"""Where the body of a `%%time` cell says that it comes from (IPython.core.magics.execution)."""


_NETWORK = re.compile(r"^(gaierror|herror|URLError|NameResolutionError|\w*Connect(or|ion)?(DNS)?Error)$")


class _LastRun:
    """The cell that ran last, and what it raised."""

    source = ""
    error: BaseException | None = None


def remember_cell(info: Any) -> None:
    """Keep the source of the cell that is about to run (IPython's `pre_run_cell` event)."""
    _LastRun.source = info.raw_cell or ""


def remember_result(result: Any) -> None:
    """Keep what the cell raised (IPython's `post_run_cell` event); `sys.last_value` is whatever was *shown* last."""
    before = result.error_before_exec
    _LastRun.error = result.error_in_exec if before is None else before


def describe_error() -> str:
    """Describe the exception that ended the last cell, as JSON text: an object, empty if it raised none.

    `type`, `message`; `line` and `line_number`, where in the failing cell (null if not known); `module`, `module_file`
    and `module_line`, where it was raised if that is not in a cell; `filename`, the absolute path of a file that does
    not exist, if that is what it or one of its causes is about, and `written`, as the notebook has it; `worker`, the
    last line of the traceback that came from a worker process, if one did; `network`, whether one of them says that a
    connection failed; `dvc`, whether DVC would have that file; `memory`, whether it or one of its causes says that
    memory has run out.
    """
    error = _LastRun.error
    if error is None:
        return "{}"
    written = _missing_file(error)
    missing = os.path.abspath(written) if written is not None else None  # noqa: PTH100 - relative to the cell's cwd
    return json.dumps(
        {
            "type": type(error).__name__,
            "message": str(error)[:_LONGEST_TEXT],
            **_place_in_cell(error),
            **_place_in_module(error),
            "worker": next((said for link in _chain(error) if (said := _said_by_worker(link))), None),
            "network": any(_is_of_network(link) for link in _chain(error)),
            "memory": any(isinstance(link, MemoryError) for link in _chain(error)),
            "filename": missing,
            "written": written,
            "dvc": missing is not None and _is_tracked_by_dvc(Path(missing)),
        }
    )


def _place_in_cell(error: BaseException) -> dict[str, Any]:
    source = _LastRun.source.splitlines()
    number = _line_in_cell(error, source)
    if number is None or not 0 < number <= len(source):
        return {"line": None, "line_number": None}
    return {"line": source[number - 1].strip()[:_LONGEST_TEXT], "line_number": number}


def _line_in_cell(error: BaseException, source: list[str]) -> int | None:
    """Return the 1-based number of the innermost line of the failing cell that the traceback passes through."""
    leading = next((index for index, line in enumerate(source) if line.strip()), 0)  # IPython drops these.
    number, cell = None, None
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if frame.f_globals.get("__name__") != "__main__":
            continue
        if file == _TIMED_CELL:
            return leading + 1 + line
        # Cells have file names of their own; the first is that of the cell that ran, others are of earlier ones. With
        # one name for all (IPYKERNEL_CELL_NAME) only the outermost frame is certain to be of this cell.
        if cell is None or (file == cell and "IPYKERNEL_CELL_NAME" not in os.environ):
            number, cell = leading + line, file
    if cell is None and isinstance(error, SyntaxError) and error.lineno and not os.path.exists(error.filename or ""):  # noqa: PTH110
        return leading + error.lineno
    return number


def _place_in_module(error: BaseException) -> dict[str, Any]:
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames or frames[-1][0].f_globals.get("__name__") == "__main__":
        return {"module": None, "module_file": None, "module_line": None}
    frame, line = frames[-1]
    return {
        "module": frame.f_globals.get("__name__"),
        "module_file": frame.f_code.co_filename,
        "module_line": line,
    }


def _missing_file(error: BaseException) -> str | None:
    for link in _chain(error):
        if isinstance(link, OSError) and link.errno == errno.ENOENT and isinstance(link.filename, str | bytes):
            return os.fsdecode(link.filename)
    return None


def _said_by_worker(error: BaseException) -> str | None:
    """Return the last line of what a pool of processes (concurrent.futures, multiprocessing, joblib) sent as a cause.

    Such a cause is no exception of its own: its text is the worker's traceback, between lines of three quotation marks.
    """
    if type(error).__name__.lstrip("_") != "RemoteTraceback":
        return None
    lines = [line for line in str(error).splitlines() if line.strip(' "')]
    return lines[-1].strip()[:_LONGEST_TEXT] if lines else None


def _is_of_network(error: BaseException) -> bool:
    """Whether the exception tells of a connection that failed; libraries have classes of their own for it."""
    if isinstance(error, BrokenPipeError):
        return False
    if isinstance(error, OSError) and error.errno == errno.EACCES and error.filename is None:
        return True  # socket(2) is refused in this way: see sockets.py.
    return any(_NETWORK.search(kind.__name__) for kind in type(error).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, then what caused it or what was being handled, once each."""
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ if link.__cause__ is not None else link.__context__


def _is_tracked_by_dvc(path: Path) -> bool:
    """Whether `x.dvc` stands beside the file or beside a directory that it would lie in."""
    return any(place.with_name(f"{place.name}.dvc").is_file() for place in (path, *path.parents) if place.name)
