"""After a build that failed: what the buildpack cannot know, because it saw only the copy."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nachlass_cli.errors import CliError, FileInHomeError, FileLeftOutError, FileNotFetchedError, FileOutsideError
from nachlass_cli.output import name_some
from nachlass_cli.project import Project
from nachlass_cli.selection import Selection, reason_left_out
from nachlass_cli.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What is known when a build has failed."""

    repository: Path
    workspace: Workspace
    project: Project
    selection: Selection
    lfs_pointers: tuple[str, ...]


def read_failure(report: Path) -> dict[str, Any] | None:
    """Return the buildpack's own account of the failure; None if it left none."""
    try:
        data = json.loads((report / "failure.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def explain_missing(failure: dict[str, Any], situation: Situation) -> CliError | None:
    """Return what this machine's real files say of the file that was missing, or None if nothing."""
    missing = failure.get("missing_path")
    if isinstance(missing, str):
        # The path of a listed notebook is relative to the application.
        path = os.path.normpath(situation.workspace.app / missing)
        for explained in _explanations(path, failure, situation):
            if not (_is_told_of_pointers(failure) and isinstance(explained, FileNotFetchedError)):
                return explained
    return None


def explain_pointers(failure: dict[str, Any], situation: Situation) -> CliError | None:
    """Return the error for pointers in place of data, which may be why the build failed; None if there are none."""
    if not situation.lfs_pointers or _is_told_of_pointers(failure):
        return None
    names = f"'{name_some(situation.lfs_pointers)}'"
    return FileNotFetchedError(names, tool="git-lfs", command=f"{_inside(situation)}git lfs pull")


def advice_left_to_us(failure: dict[str, Any]) -> str | None:
    """Return the buildpack's own advice, if it left that to us for the case that we know nothing better."""
    advice = failure.get("advice")
    return f"\n{advice}\n\nReference: {failure.get('reference')}" if isinstance(advice, str) else None


def _is_told_of_pointers(failure: dict[str, Any]) -> bool:
    return failure.get("reference") == "data-pointer"


def _explanations(missing: str, failure: dict[str, Any], situation: Situation) -> Iterator[CliError]:
    for relative in _relative_to_copy(missing, situation.workspace):
        yield from _explain_in_repository(relative, failure, situation)
    home = failure.get("home") or str(situation.workspace.home)
    if missing.startswith(f"{home}{os.sep}"):
        name = os.path.relpath(missing, home)
        found = Path.home() / name
        if os.path.lexists(found):
            yield FileInHomeError(f"~/{name}", found=found)


def _relative_to_copy(missing: str, workspace: Workspace) -> Iterator[str]:
    """Yield the missing path relative to the directories that the notebooks know as their repository.

    It may lead out of them by `..`, but not out of the output directory: from there on it means nothing to the person.
    """
    for base in (workspace.layers / "stages/tree", workspace.app):
        if Path(missing).is_relative_to(base):
            yield os.path.relpath(missing, base)
            return
    for base in (workspace.layers / "stages/tree", workspace.app):
        if Path(missing).is_relative_to(base.parent) and base.parent != workspace.root:
            yield os.path.relpath(missing, base)


def _explain_in_repository(relative: str, failure: dict[str, Any], situation: Situation) -> Iterator[CliError]:
    repository = situation.repository
    path = Path(os.path.normpath(repository / relative))
    pointer = path.with_name(f"{path.name}.dvc")
    if not path.is_relative_to(repository):
        if os.path.lexists(path):
            yield FileOutsideError(failure.get("missing_as_written") or relative, found=path)
    elif os.path.lexists(path) and not (situation.workspace.app / relative).exists():
        rule = reason_left_out(repository, situation.project, relative)
        yield FileLeftOutError(relative, rule=rule, tracked_by_git=situation.selection.by_git)
    elif pointer.is_file():
        name = os.path.relpath(pointer, repository)
        yield FileNotFetchedError(
            f"'{relative}'", tool="DVC", command=f"{_inside(situation)}dvc pull {shlex.quote(name)}"
        )
    elif submodule := _submodule_above(relative, situation.selection):
        command = f"{_inside(situation)}git submodule update --init {shlex.quote(submodule)}"
        yield FileNotFetchedError(f"'{relative}'", tool="a git submodule", command=command)


def _inside(situation: Situation) -> str:
    return f"cd {shlex.quote(str(situation.repository))} && "


def _submodule_above(relative: str, selection: Selection) -> str | None:
    return next((name for name in selection.empty_submodules if relative.startswith(f"{name}/")), None)
