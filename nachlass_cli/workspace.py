"""The output directory: everything that is kept of one repository between builds."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nachlass_cli import git, host, tree
from nachlass_cli.errors import OutputBusyError, OutputUnusableError


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """Where things are; docs/architecture.md, "Local platform"."""

    root: Path

    @property
    def app(self) -> Path:
        """The copy of the repository."""
        return self.root / "app"

    @property
    def layers(self) -> Path:
        """The buildpack's layers."""
        return self.root / "layers"

    @property
    def platform(self) -> Path:
        """The directory with `env/` and `bindings/`."""
        return self.root / "platform"

    @property
    def report(self) -> Path:
        """What the last build tells the platform."""
        return self.root / "report"

    @property
    def home(self) -> Path:
        """The phases' HOME, empty when a build starts."""
        return self.root / "home"

    @property
    def plans(self) -> Path:
        """The build plan's files."""
        return self.root / "plan"

    @property
    def python(self) -> Path:
        """A directory with nothing but the chosen interpreter, made when it has none of its own."""
        return self.root / "python"

    @property
    def snapshot(self) -> Path:
        """What a failed build goes back to; exists only while a build is running or after it was killed."""
        return self.root / "previous"

    @property
    def record(self) -> Path:
        """The facts of the last successful build."""
        return self.root / "build.json"

    @property
    def lock(self) -> Path:
        """The lock, which also marks the directory as ours."""
        return self.root / "lock"


def default_root(repository: Path) -> Path:
    """Return the output directory of a repository that is named by its real path."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", repository.name).strip("-.") or "repository"
    digest = hashlib.sha256(os.fsencode(repository)).hexdigest()[:10]
    return host.user_cache() / "nachlass" / f"{name}-{digest}"


def open_workspace(repository: Path, chosen: Path | None) -> Workspace:
    """Create or reopen the output directory.

    Raises:
        OutputUnusableError: Building there would copy the output into itself or delete somebody's files.
    """
    root = (default_root(repository) if chosen is None else chosen).resolve()
    if chosen is not None:
        _refuse_unsafe(repository, root, chosen)
    workspace = Workspace(root=root)
    # 0700: --env values and the sample rows are nobody else's business.
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    workspace.lock.touch(mode=0o600)
    for directory in (workspace.app, workspace.layers):
        directory.mkdir(exist_ok=True)
    return workspace


def _refuse_unsafe(repository: Path, root: Path, chosen: Path) -> None:
    if root == repository or root in repository.parents:
        raise OutputUnusableError(
            chosen,
            why="It is your repository, or holds it; nachlass never writes there.",
            advice="Choose a directory of its own, or leave --output out.",
        )
    if root.is_dir() and any(root.iterdir()) and not (root / "lock").is_file():
        raise OutputUnusableError(
            chosen,
            why="It isn't empty and no earlier build made it. nachlass deletes what is old in its output directory.",
            advice="Choose an empty or new directory.",
        )
    if root.exists() and not root.is_dir():
        raise OutputUnusableError(chosen, why="It is a file.", advice="Choose an empty or new directory.")
    if repository in root.parents and not _is_left_out(repository, root):
        raise OutputUnusableError(
            chosen,
            why="It lies inside your repository and isn't ignored, so that each build would become part of the next.",
            advice="Choose a directory outside the repository, leave --output out, or add the directory to .gitignore.",
        )


def _is_left_out(repository: Path, root: Path) -> bool:
    if git.is_work_tree(repository):
        # The trailing slash lets patterns for directories match one that does not exist yet.
        return git.ignore_rule(repository, f"{root.relative_to(repository)}/") is not None
    return tree.is_hidden(root.relative_to(repository).as_posix())


@contextlib.contextmanager
def locked(workspace: Workspace) -> Iterator[int]:
    """Hold the output directory for one build; yield the lock's descriptor.

    The phases inherit the descriptor: should this process be killed, the directory stays locked until they have ended.

    Raises:
        OutputBusyError: Another build holds it.
    """
    descriptor = os.open(workspace.lock, os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputBusyError(workspace.root, holder=workspace.lock.read_text().strip()) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def is_being_built(workspace: Workspace) -> bool:
    """Say whether a build holds the output directory now."""
    with open(workspace.lock, "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
