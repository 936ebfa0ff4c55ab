"""Walking a directory, without git's help."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_MADE_BY_TOOLS = frozenset({"node_modules", "__pycache__", ".ipynb_checkpoints", "site-packages"})
_REPOSITORIES = frozenset({".git", ".hg", ".svn"})


def is_hidden(relative: str) -> bool:
    """Say whether a path or a directory above it has a name that begins with a dot."""
    return any(part.startswith(".") for part in relative.split("/"))


def environment_above(root: Path, relative: str) -> str | None:
    """Return the directory of installed or generated files that holds the path, if any."""
    parent = relative.rpartition("/")[0]
    while parent:
        if _is_environment(root / parent):
            return parent
        parent = parent.rpartition("/")[0]
    return None


@cache
def _is_environment(directory: Path) -> bool:
    """Cached, because the files of one directory ask in turn; a process builds once."""
    return (
        directory.name in _MADE_BY_TOOLS or (directory / "pyvenv.cfg").is_file() or (directory / "conda-meta").is_dir()
    )


def walk(root: Path) -> Iterator[str]:
    """Yield every file and symbolic link, hidden ones too, but nothing of environments and of version control.

    In order of their names; symbolic links to directories are links, not directories.
    """
    yield from _walk(root, "")


def _walk(root: Path, prefix: str) -> Iterator[str]:
    with os.scandir(root / prefix) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        relative = f"{prefix}{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            yield relative
        elif entry.name not in _REPOSITORIES and not _is_environment(Path(entry.path)):
            yield from _walk(root, f"{relative}/")
