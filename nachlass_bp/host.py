"""What the operating system offers beyond POSIX; absent facilities are named, never needed.

Linux has all of them. macOS has none of the prctl ones and no reflink through this interface: there a grandchild that
leaves its process group outlives the build, and copies are plain copies.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import signal
import sys
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_FICLONE = 0x40049409
_NO_REFLINKS = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS})
"""How file systems say that they can't share blocks, or not with that other one: ioctl_ficlone(2)."""


def become_subreaper() -> bool:
    """Adopt orphaned descendants, so that `kill_descendants` finds what a notebook left behind (prctl(2))."""
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def absent_facilities() -> list[str]:
    """Name the facilities that this operating system lacks, for the log."""
    return (
        []
        if sys.platform == "linux"
        else ["adoption of orphaned processes: detached children of a notebook may outlive the build", "reflinks"]
    )


def kill_group(pid: int) -> None:
    """Kill what is left of the process group that `pid` leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def interrupt_group(pid: int) -> None:
    """Send SIGINT, as Ctrl-C does, to the process group that `pid` leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGINT)


def kill_descendants(killed_group: int | None = None) -> list[int]:
    """Kill every process below this one and reap it; return the ids of those that were still alive.

    Children of the killed come to us in turn (see `become_subreaper`), hence the loop. What was in `killed_group` may
    take its time to end, but doesn't count as alive any more.
    """
    killed: list[int] = []
    while children := _children_of_this_process():
        for pid, group, is_alive in children:
            if is_alive:
                if group != killed_group:
                    killed.append(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return killed


def _children_of_this_process() -> list[tuple[int, int, bool]]:
    """Return (process id, its group, still alive) of each child, zombies included; nothing where there is no /proc."""
    found: list[tuple[int, int, bool]] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # "pid (any name) state ppid pgrp …", proc(5); the name may itself hold spaces and parentheses.
            state, parent, group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(parent) == os.getpid():
                found.append((int(stat.parent.name), int(group), state != "Z"))
    return found


def remove_tree(path: Path) -> None:
    """Delete what is at `path`, if anything, also below directories that a notebook has made read-only."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        for directory, *_ in os.walk(path):
            os.chmod(directory, 0o700)  # noqa: PTH101 - os.walk speaks in strings
        shutil.rmtree(path)


class Copier:
    """Copies files, and asks no file system again for shared blocks that it has refused."""

    def __init__(self) -> None:
        self._refused: set[tuple[int, int]] = set()

    def copy(self, source: str, target: str) -> str:
        """Copy contents and mode, sharing blocks where possible; never a hard link, for notebooks write in place."""
        if sys.platform == "linux" and self._reflink(source, target):
            shutil.copystat(source, target)
            return target
        shutil.copy2(source, target)
        return target

    def _reflink(self, source: str, target: str) -> bool:
        import fcntl  # noqa: PLC0415 - absent on systems that never get here

        devices = (os.stat(source).st_dev, os.stat(os.path.dirname(target) or ".").st_dev)  # noqa: PTH116, PTH120
        if devices in self._refused:
            return False
        try:
            with open(source, "rb") as from_file, open(target, "wb") as to_file:
                fcntl.ioctl(to_file.fileno(), _FICLONE, from_file.fileno())
        except OSError as error:
            if error.errno in _NO_REFLINKS:
                self._refused.add(devices)
            return False
        return True


def copy_file(source: str, target: str) -> str:
    """Copy one file, as `Copier.copy` does."""
    return Copier().copy(source, target)


def processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def peak_memory_bytes(pid: int | None) -> int | None:
    """Return the largest resident size that a running process has had, None where that is not told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
