"""Which files of the repository are built, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pathspec

from nachlass_cli import git, tree
from nachlass_cli.errors import IncludeMatchesNothingError
from nachlass_cli.project import Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Paths relative to the repository, with `/`."""

    files: tuple[str, ...]
    untracked: tuple[str, ...]
    outward_links: tuple[str, ...]
    empty_submodules: tuple[str, ...]
    by_git: bool


def select_files(repository: Path, project: Project, include: Sequence[str], output: Path) -> Selection:
    """Choose the files of the build: git's choice (or all but hidden ones), less project.toml's rules, plus `include`.

    Raises:
        GitError: git cannot say.
        IncludeMatchesNothingError: A pattern of `include` names no file.
    """
    by_git = git.is_work_tree(repository)
    untracked: list[str] = []
    empty_submodules: tuple[str, ...] = ()
    if by_git:
        listed = git.list_files(repository)
        empty_submodules = listed.empty_submodules
        # An environment that nobody thought of ignoring is untracked, but no part of anybody's work.
        untracked = project.select([f for f in listed.untracked if tree.environment_above(repository, f) is None])
        files = [*project.select(listed.tracked), *untracked]
    else:
        files = project.select([file for file in tree.walk(repository) if not tree.is_hidden(file)])
    chosen = sorted({*files, *_included(repository, include)})
    chosen = [file for file in chosen if not (repository / file).is_relative_to(output)]
    outward = tuple(file for file in chosen if leads_out(repository, file))
    return Selection(
        files=tuple(file for file in chosen if file not in outward),
        untracked=tuple(untracked),
        outward_links=outward,
        empty_submodules=empty_submodules,
        by_git=by_git,
    )


def _included(repository: Path, include: Sequence[str]) -> set[str]:
    found: set[str] = set()
    candidates = list(tree.walk(repository)) if include else []
    for pattern in include:
        matches = set(pathspec.GitIgnoreSpec.from_lines([pattern]).match_files(candidates))
        if not matches:
            raise IncludeMatchesNothingError(pattern, repository)
        found |= matches
    return found


def leads_out(repository: Path, relative: str) -> bool:
    """Say whether the path is a symbolic link whose target lies outside the repository."""
    path = repository / relative
    if not path.is_symlink():
        return False
    return not Path(os.path.realpath(path)).is_relative_to(repository)


def reason_left_out(repository: Path, project: Project, relative: str) -> str:
    """Say which rule keeps an existing path out of the build."""
    for part in (*_parents(relative), relative):
        if leads_out(repository, part):
            return f"'{part}' is a symbolic link to outside the repository"
    by_git = git.is_work_tree(repository)
    environment = tree.environment_above(repository, relative)
    if by_git:
        path = repository / relative
        if rule := git.ignore_rule(path.parent, path.name):
            return f"git ignores it, by {rule}"
    if environment is not None:
        return f"'{environment}' is a virtual environment or made by a tool"
    if rule := project.exclusion(relative):
        return rule
    if not by_git and tree.is_hidden(relative):
        return "its path has a name that begins with a dot"
    return "it is an empty directory or not a regular file"


def _parents(relative: str) -> list[str]:
    parts = relative.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]
