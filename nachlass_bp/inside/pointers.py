"""Refuse to read a git-lfs pointer as if it were the data: the model would be trained on three lines of text."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

_SIGNATURE = b"version https://git-lfs.github.com/spec/v1"
_LARGEST_POINTER_BYTES = 1024
"""Source: git-lfs specification, "The Pointer": "must be less than 1024 bytes"."""

_hook = threading.local()


class GitLfsPointerError(RuntimeError):
    """A file holds a git-lfs pointer. No OSError: a notebook that handles a missing file must not take it for one."""


GitLfsPointerError.__module__ = "builtins"  # Shown without the name of a module that is not the user's business.


def refuse_pointers(tree: str) -> None:
    """From now on, opening a pointer below `tree` for reading raises GitLfsPointerError."""
    root = os.path.join(os.path.realpath(tree), "")  # noqa: PTH118 - in the way of every open(): must be quick.

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or getattr(_hook, "busy", False):
            return
        path, _, flags = arguments
        # A file that is written anew is nobody's data; descriptors have been opened before.
        if isinstance(path, int) or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_TRUNC)):
            return
        _hook.busy = True  # What follows opens a file itself.
        try:
            found = _is_pointer(path)
        finally:
            _hook.busy = False
        if found:
            real = os.path.realpath(os.fsdecode(path))
            if real.startswith(root):
                raise GitLfsPointerError(f"{real[len(root) :]} is a git-lfs pointer, not the data")

    sys.addaudithook(hook)


def _is_pointer(path: str | bytes | os.PathLike[str]) -> bool:
    try:
        if not len(_SIGNATURE) < os.stat(path).st_size < _LARGEST_POINTER_BYTES:  # noqa: PTH116 - quick, see above.
            return False
        with open(path, "rb") as file:
            return file.read(len(_SIGNATURE)) == _SIGNATURE
    except (OSError, ValueError, TypeError):
        return False  # The open that is under way will say what is wrong with the path.
