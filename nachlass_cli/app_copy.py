"""The copy of the repository that the phases work on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nachlass_cli import host

_LFS_HEADER = b"version https://git-lfs.github.com/spec/"
_LFS_LARGEST = 1024
"""Pointer files must be smaller (git-lfs spec)."""


def copy_app(repository: Path, files: Sequence[str], target: Path) -> None:
    """Copy `files` of the repository into the empty directory `target`.

    Symbolic links stay links, absolute ones become relative so that they lead into the copy. What is tracked but was
    deleted is skipped, and so are sockets and FIFOs.
    """
    made: set[Path] = {target}
    for relative in files:
        source, copy = repository / relative, target / relative
        if copy.parent not in made:
            copy.parent.mkdir(parents=True, exist_ok=True)
            made.add(copy.parent)
        if source.is_symlink():
            copy.symlink_to(_link_text(repository, source))
        elif source.is_file():
            host.copy_file(source, copy)


def _link_text(repository: Path, link: Path) -> str:
    text = os.readlink(link)  # noqa: PTH115 - Path.readlink would normalise the text
    if not os.path.isabs(text):  # noqa: PTH117 - as above
        return text
    inside = Path(os.path.realpath(link)).relative_to(repository)
    return os.path.relpath(repository / inside, link.parent)


def lfs_pointers(app: Path, files: Sequence[str]) -> list[str]:
    """Return the files that are git-lfs pointers instead of the data they stand for."""
    return [relative for relative in files if _is_lfs_pointer(app / relative)]


def _is_lfs_pointer(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size >= _LFS_LARGEST:
        return False
    with open(path, "rb") as file:
        return file.read(len(_LFS_HEADER)) == _LFS_HEADER
