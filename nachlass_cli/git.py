"""What git knows about the repository; read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_cli.errors import GitError

_SUBMODULE_MODE = "160000"


@dataclass(frozen=True, kw_only=True, slots=True)
class GitFiles:
    """Paths relative to the directory that was asked about; submodules are listed through."""

    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    empty_submodules: tuple[str, ...]


def is_work_tree(directory: Path) -> bool:
    """Say whether git decides about the files of `directory`.

    A directory that the repository around it ignores is nobody's: git would call it empty.

    Raises:
        GitError: There is a repository but git cannot read it.
    """
    owner = next((parent for parent in (directory, *directory.parents) if (parent / ".git").exists()), None)
    if owner is None:
        return False
    if _git(directory, "rev-parse", "--is-inside-work-tree").strip() != b"true":
        return False
    return owner == directory or ignore_rule(directory.parent, f"{directory.name}/") is None


def list_files(directory: Path) -> GitFiles:
    """List the files that are tracked, and those that are neither tracked nor ignored."""
    tracked: list[str] = []
    untracked: list[str] = []
    empty: list[str] = []
    for entry in _split(_git(directory, "ls-files", "-z", "--cached", "--stage")):
        # "100644 <object> <stage>\t<path>"; a path in conflict comes once a stage.
        mode, path = entry.partition("\t")[0].split()[0], entry.partition("\t")[2]
        if mode != _SUBMODULE_MODE:
            if path not in tracked[-1:]:
                tracked.append(path)
        elif (directory / path / ".git").exists():
            _merge(tracked, untracked, empty, path, list_files(directory / path))
        else:
            empty.append(path)
    for path in _split(_git(directory, "ls-files", "-z", "--others", "--exclude-standard")):
        if path.endswith("/"):  # A repository of its own that is not a submodule.
            name = path.rstrip("/")
            inner = list_files(directory / name)
            untracked += [f"{name}/{file}" for file in (*inner.tracked, *inner.untracked)]
        else:
            untracked.append(path)
    return GitFiles(tracked=tuple(tracked), untracked=tuple(untracked), empty_submodules=tuple(empty))


def _merge(tracked: list[str], untracked: list[str], empty: list[str], prefix: str, inner: GitFiles) -> None:
    for into, files in ((tracked, inner.tracked), (untracked, inner.untracked), (empty, inner.empty_submodules)):
        into += [f"{prefix}/{file}" for file in files]


def head(directory: Path) -> tuple[str, bool] | None:
    """Return the commit that is checked out and whether tracked files of `directory` differ; None before the first."""
    commit = _git(directory, "rev-parse", "--verify", "--quiet", "HEAD", good=(0, 1)).decode().strip()
    if not commit:
        return None
    return commit, bool(_git(directory, "status", "--porcelain", "-z", "--untracked-files=no", "--", "."))


def ignore_rule(directory: Path, relative: str) -> str | None:
    """Return by which rule git ignores a path below `directory`: pattern, file and line; None if there is none."""
    output = _git(directory, "check-ignore", "-v", "-z", "--stdin", stdin=os.fsencode(relative), good=(0, 1))
    if not output:
        return None
    source, line, pattern, _ = _split(output)
    if pattern.startswith("!"):
        return None
    return f"'{pattern}' in {source}, line {line}"


def _split(output: bytes) -> list[str]:
    return [os.fsdecode(part) for part in output.split(b"\0") if part]


def _git(directory: Path, *arguments: str, stdin: bytes = b"", good: Sequence[int] = (0,)) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise GitError(directory, message=None)
    # Called from a hook, GIT_DIR and the like would speak of another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    finished = subprocess.run(
        [program, *arguments],
        cwd=directory,
        env={**env, "GIT_OPTIONAL_LOCKS": "0"},
        input=stdin,
        capture_output=True,
        check=False,
    )
    if finished.returncode not in good:
        raise GitError(directory, message=os.fsdecode(finished.stderr))
    return finished.stdout
