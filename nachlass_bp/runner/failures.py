"""From an exception in the kernel to the error that the author reads."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError

from nachlass_bp.errors import BuildpackError, CellFailedError, CellWantsInputError, DataPointerError
from nachlass_bp.notebooks import Notebook
from nachlass_bp.runner.client import StreamingClient

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_POINTER_ERROR = "GitLfsPointerError"
_TRACEBACK_LINES = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell that has run: how a person calls it, and its content with the outputs."""

    name: str
    content: Any


def is_clean_exit(error: CellExecutionError) -> bool:
    """Whether the cell called `sys.exit()` with a status that means success: the notebook's author ended it there."""
    return error.ename == "SystemExit" and str(error.evalue).strip() in {"", "0", "None", "False"}


async def explain(
    error: CellExecutionError, client: StreamingClient, notebook: Notebook, cell: Cell, tree: Path, home: Path
) -> BuildpackError:
    """Return what to tell the author about an exception that a cell raised.

    Args:
        error: nbclient's account; its text is a traceback with terminal colours.
        client: The client of the kernel that raised it, which is asked for what the text doesn't say.
        notebook: The notebook that ran.
        cell: The cell that raised it.
        tree: The working tree, to name files as the author knows them.
        home: What the notebook saw as HOME.
    """
    facts: dict[str, Any] = await client.ask("describe_error()") or {}
    line = facts.get("line")
    if error.ename == "StdinNotImplementedError":
        return CellWantsInputError(notebook=notebook.name, cell=cell.name, line=line)
    if error.ename == _POINTER_ERROR:
        path = str(error.evalue).partition(" is a ")[0]
        return _pointer(notebook, cell.name, path, "git-lfs", "git lfs pull")
    missing = facts.get("filename")
    if missing and facts.get("dvc"):
        return _pointer(notebook, cell.name, _relative(missing, tree), "DVC", "dvc pull")
    exception = f"{error.ename}: {_ANSI.sub('', str(error.evalue))}".rstrip(": ")
    return CellFailedError(
        notebook=notebook.name,
        cell=cell.name,
        exception=exception,
        line=line,
        traceback=_traceback(cell.content, exception),
        hint=_variable_hint(error, facts) or _hint(error, missing, tree),
        missing_path=str(missing) if missing else None,
        home=str(home),
    )


def _pointer(notebook: Notebook, cell: str, path: str, tool: str, command: str) -> DataPointerError:
    return DataPointerError(notebook=notebook.name, cell=cell, path=path, tool=tool, command=command)


def _relative(path: str, tree: Path) -> str:
    return os.path.relpath(path, tree) if Path(path).is_relative_to(tree) else path


def _traceback(cell: Any, exception: str) -> str:
    """Return the frames as the cell shows them: nbclient's own text repeats the cell and all that it printed."""
    shown = [output for output in cell.outputs if output.output_type == "error"]
    lines = _ANSI.sub("", "\n".join(shown[-1].traceback) if shown else "").strip("\n").splitlines()
    text = "\n".join(lines[-_TRACEBACK_LINES:]).strip("\n")
    return text.removesuffix(exception).rstrip("\n")  # The message itself stands below.


def _variable_hint(error: CellExecutionError, facts: dict[str, Any]) -> str | None:
    """Say where variables come from when `os.environ[…]` has none of that name: the author's shell may well have it."""
    if error.ename != "KeyError" or facts.get("module") != "os":
        return None
    name = str(error.evalue).strip("'\"")
    return (
        f"The build doesn't see the variables of your shell. Give it this one:\n"
        f"  nachlass build PATH --env {name}=…      (pack build: --env {name}=…)\n"
        "or, if it is a secret, by a service binding of type nachlass (docs/configuration.md, Secrets)."
    )


def _hint(error: CellExecutionError, missing: str | None, tree: Path) -> str | None:
    if error.ename in {"ModuleNotFoundError", "ImportError"}:
        return (
            "If it is a package, add it to requirements.txt. If it is a module of your repository, commit it;\n"
            "notebooks find modules in their own directory and in the repository's root."
        )
    if missing:
        name = _relative(missing, tree)
        return (
            f"'{name}' isn't in what this build was given. Commit it, or let an earlier notebook of the list write\n"
            "or download it. A path outside the repository doesn't exist in a build."
        )
    return None
