"""From an exception in the kernel, its death or its slowness to the error that the author reads."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError

from nachlass_bp import cgroup
from nachlass_bp.errors import (
    BuildpackError,
    CellFailedError,
    CellWantsInputError,
    DataPointerError,
    KernelDiedError,
    NotebookTimeoutError,
)
from nachlass_bp.notebooks import STAGE_VARIABLES, Notebook, misspelt_stage_variable
from nachlass_bp.output import size_text
from nachlass_bp.runner.client import StreamingClient
from nachlass_bp.runner.kernel import ending

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_POINTER_ERROR = "GitLfsPointerError"
_SYNTAX_ERRORS = {"SyntaxError", "IndentationError", "TabError"}
_PLACE_OF_SYNTAX = re.compile(r" \([^()]*, line \d+\)$")
_PLACE_IN_A_CELL = re.compile(r" \([0-9a-f]{16}\.py, line \d+\)$")
"""By the name that `inside/repeatable.py` gives a cell, which means nothing to its author."""

_TRACEBACK_LINES = 60
_TRACEBACK_LINKS = 4
_LINK = re.compile(r"^(?:The above exception was the direct cause|During handling of the above exception, another)\b")


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A cell that has run: how a person calls it, and its content with the outputs."""

    name: str
    content: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Circumstances:
    """What a failure is explained from, beside the failure itself.

    `tree` is the working tree, to name files as the author knows them; `home` what the notebook saw as HOME.
    `memory_limit_bytes` limits the address space of the kernel. `oom_before` is `cgroup.oom_kills()` before the run.
    `offline` says that Internet sockets are refused.
    """

    notebook: Notebook
    tree: Path
    home: Path
    timeout_s: float | None
    memory_limit_bytes: int | None
    oom_before: int | None
    offline: bool = False


def is_clean_exit(error: CellExecutionError) -> bool:
    """Whether the cell called `sys.exit()` with a status that means success: the notebook's author ended it there."""
    return error.ename == "SystemExit" and str(error.evalue).strip() in {"", "0", "None", "False"}


async def explain(
    error: CellExecutionError, client: StreamingClient, around: Circumstances, cell: Cell
) -> BuildpackError:
    """Return what to tell the author about an exception that a cell raised.

    Args:
        error: nbclient's account; its text is a traceback with terminal colours.
        client: The client of the kernel that raised it, which is asked for what the text doesn't say.
        around: Where and how the notebook ran.
        cell: The cell that raised it.
    """
    notebook, tree = around.notebook, around.tree
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
    hint = (
        _memory_hint(facts, around)
        or _offline_hint(facts, around)
        or _variable_hint(error, facts)
        or _import_hint(error)
    )
    raised = f"{error.ename}: {_ANSI.sub('', str(error.evalue))}".rstrip(": ")
    is_syntax = error.ename in _SYNTAX_ERRORS
    exception = _PLACE_IN_A_CELL.sub("", raised) if is_syntax else raised
    shown_last = _PLACE_OF_SYNTAX.sub("", raised) if is_syntax else raised  # IPython shows the place above it.
    return CellFailedError(
        notebook=notebook.name,
        cell=cell.name,
        exception=exception,
        line=line,
        worker=_of_worker(facts, exception),
        traceback=_traceback(cell.content, shown_last),
        hint=hint or _missing_hint(facts, around),
        missing_path=str(missing) if missing else None,
        missing_as_written=str(facts["written"]) if missing else None,
        home=str(around.home),
        yields_advice=bool(missing) and hint is None,
    )


async def explain_timeout(client: StreamingClient, around: Circumstances, cell: Cell) -> NotebookTimeoutError:
    """Return what to tell the author about a cell that was interrupted because the time was up."""
    facts: dict[str, Any] = await client.ask("describe_error()") or {}
    return timeout(around, cell, facts.get("line") if facts.get("type") == "KeyboardInterrupt" else None)


def timeout(around: Circumstances, cell: Cell, line: str | None = None) -> NotebookTimeoutError:
    """Return what to tell the author about a cell that was running when the time was up."""
    assert around.timeout_s is not None
    return NotebookTimeoutError(notebook=around.notebook.name, cell=cell.name, limit_s=around.timeout_s, line=line)


def death(exit_code: int | None, around: Circumstances, cell: Cell, printed: str | None) -> KernelDiedError:
    """Return what to tell the author about a kernel that ended in the middle of a cell.

    `printed` is what its process wrote itself, outside of any cell's output.
    """
    how = f"Its process {ending(exit_code)}."
    if cgroup.was_out_of_memory(around.oom_before):
        how = f"The system ended it because the build ran out of memory{_limit_text()}."
        advice = "Give the build more memory, or let the cell work on less data at a time."
    elif exit_code is not None and exit_code < 0:
        advice = (
            "Nothing in Python raised an error: the process was ended from outside or by a crash in compiled\n"
            "code. Too little memory is the usual cause: try with more, or with less data."
        )
        if around.memory_limit_bytes is not None:
            how += f"\n{_own_limit_text(around.memory_limit_bytes)}"
    else:
        advice = "Something in the cell ended the interpreter, such as os._exit(). Raise an exception instead."
    return KernelDiedError(notebook=around.notebook.name, cell=cell.name, how=how, advice=advice, details=printed)


def _limit_text() -> str:
    limit = cgroup.memory_limit_bytes()
    return f" (the limit is {size_text(limit)})" if limit else ""


def _own_limit_text(limit_bytes: int) -> str:
    return f"NACHLASS_MEMORY_LIMIT allows it {size_text(limit_bytes)} of address space."


def _pointer(notebook: Notebook, cell: str, path: str, tool: str, command: str) -> DataPointerError:
    return DataPointerError(notebook=notebook.name, cell=cell, path=path, tool=tool, command=command)


def _relative(path: str, tree: Path) -> str:
    return os.path.relpath(path, tree) if Path(path).is_relative_to(tree) else path


def _of_worker(facts: dict[str, Any], exception: str) -> str | None:
    """Return what a worker process said, unless the exception in the notebook says the same."""
    worker = str(facts.get("worker") or "")
    return worker if worker and worker != exception.partition("\n")[0] else None


def _traceback(cell: Any, exception: str) -> str:
    """Return the frames as the cell shows them: nbclient's own text repeats the cell and all that it printed."""
    shown = [output for output in cell.outputs if output.output_type == "error"]
    text = _ANSI.sub("", "\n".join(shown[-1].traceback) if shown else "").strip("\n")
    return _shortened(text).removesuffix(exception).rstrip("\n")  # The message itself stands below.


def _shortened(text: str) -> str:
    """Leave out the middle of what is too long, of each exception in the chain by itself.

    An exception's head has the notebook's own line, and its end the place where it was raised and its message.
    """
    lines = text.splitlines()
    if len(lines) <= _TRACEBACK_LINES:
        return text
    starts = [0, *(number for number, line in enumerate(lines) if _LINK.match(line)), len(lines)]
    links = [lines[start:end] for start, end in itertools.pairwise(starts)]
    room = _TRACEBACK_LINES // min(len(links), _TRACEBACK_LINKS)
    if len(links) > _TRACEBACK_LINKS:  # The first one is what began it.
        middle = links[1 : 1 - _TRACEBACK_LINKS]
        links = [links[0], [_left_out(sum(map(len, middle))), ""], *links[1 - _TRACEBACK_LINKS :]]
    return "\n".join(line for link in links for line in _without_middle(link, room))


def _without_middle(lines: list[str], room: int) -> list[str]:
    if len(lines) <= room:
        return lines
    head = room // 3
    tail = room - head
    return [*lines[:head], _left_out(len(lines) - room), *lines[-tail:]]


def _left_out(count: int) -> str:
    return f"… ({count} lines left out)"


def _memory_hint(facts: dict[str, Any], around: Circumstances) -> str | None:
    """Say what limits the memory, when the exception or the system says that there is too little."""
    if cgroup.was_out_of_memory(around.oom_before):
        return (
            f"The system ended a process of the notebook because the build ran out of memory{_limit_text()}.\n"
            "Give the build more memory, let the cell work on less data at a time, or start fewer processes."
        )
    if not facts.get("memory"):
        return None
    if around.memory_limit_bytes is not None:
        return f"{_own_limit_text(around.memory_limit_bytes)}\nRaise it, or let the cell work on less data at a time."
    return f"The build has no more memory{_limit_text()}. Let the cell work on less data at a time, or give it more."


def _offline_hint(facts: dict[str, Any], around: Circumstances) -> str | None:
    """Say that the connection failed because the settings refuse it: Jupyter on the author's desk would have it."""
    if not (around.offline and facts.get("network")):
        return None
    return (
        "NACHLASS_OFFLINE is set (or 'offline' in [tool.nachlass]), so the notebooks have no network: connections and\n"
        "look-ups of names fail. Commit the data, or build without that setting:\n  NACHLASS_OFFLINE=0"
    )


def _variable_hint(error: CellExecutionError, facts: dict[str, Any]) -> str | None:
    """Say where variables come from when `os.environ[…]` has none of that name: the author's shell may well have it."""
    if error.ename != "KeyError" or facts.get("module") != "os":
        return None
    name = str(error.evalue).strip("'\"")
    if misspelt_stage_variable(name):
        return f"Nobody sets {name}. The path to save the stage to is in the variable {STAGE_VARIABLES[0]}."
    return (
        f"The build doesn't see the variables of your shell. Give it this one:\n"
        f"  nachlass build PATH --env {name}=…      (pack build: --env {name}=…)\n"
        "or, if it is a secret, by a service binding of type nachlass (docs/configuration.md, Secrets)."
    )


def _import_hint(error: CellExecutionError) -> str | None:
    if error.ename not in {"ModuleNotFoundError", "ImportError"}:
        return None
    if "ipywidgets" in str(error.evalue):  # tqdm says "IProgress not found. Please update jupyter and ipywidgets."
        return (
            "Progress bars for notebooks need the package ipywidgets: add it to requirements.txt, or let\n"
            "`from tqdm.auto import tqdm` choose a bar that works without it."
        )
    return (
        "If it is a package, add it to requirements.txt. If it is a module of your repository, commit it;\n"
        "notebooks find modules in their own directory and in the repository's root."
    )


def _missing_hint(facts: dict[str, Any], around: Circumstances) -> str | None:
    missing = facts.get("filename")
    if not missing:
        return None
    if Path(missing).is_relative_to(around.tree):
        return (
            f"'{_relative(missing, around.tree)}' isn't in what this build was given. Commit it, or let an earlier\n"
            "notebook of the list write or download it."
        )
    in_home = Path(missing).is_relative_to(around.home)
    # Where the build keeps its directories is nobody's business: as the author knows it.
    name = f"~/{os.path.relpath(missing, around.home)}" if in_home else facts["written"]
    return (
        f"'{name}' lies outside the repository, and a build has nothing but the repository. Move the file into it and\n"
        "change the path in the notebook, or let the notebook write or download it."
    )
