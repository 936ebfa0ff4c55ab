"""Which files below a directory are opened, by whatever process: inotify(7) through the C library.

Linux only. An audit hook hears of Python's own calls; pyarrow, SQLite's engine, child processes and threads of C code
are seen here. What is lost (a full queue, too many directories) is said, and then nothing is believed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_IN_OPEN = 0x20
_IN_CLOSE_NOWRITE = 0x10
_IN_CREATE = 0x100
_IN_ONLYDIR = 0x01000000
_IN_DONT_FOLLOW = 0x02000000
_IN_ISDIR = 0x40000000
_IN_IGNORED = 0x8000
_IN_Q_OVERFLOW = 0x4000
_IN_NONBLOCK = os.O_NONBLOCK
# Closing is watched only because the kernel merges equal events that follow each other: it keeps two openings apart.
_MASK = _IN_OPEN | _IN_CLOSE_NOWRITE | _IN_CREATE | _IN_ONLYDIR | _IN_DONT_FOLLOW
_HEADER = struct.Struct("iIII")
_BUFFER_BYTES = 1 << 16
_SYNC_TIMEOUT_S = 10.0
_CANARY = b".nachlass-canary"


class WatchError(Exception):
    """Openings can't be watched here; the message says why, in a few words."""


@dataclass(kw_only=True, slots=True)
class Openings:
    """What was opened below the root: files, and directories with how often. `problem`: why that isn't all."""

    files: set[str] = field(default_factory=set)
    directories: Counter[str] = field(default_factory=Counter)
    problem: str | None = None


class Watch:
    """Watches a tree from when it is made until `stop`."""

    def __init__(self, root: Path) -> None:
        """Watch every directory below `root`.

        Raises:
            WatchError: This system has no inotify, or not for so many directories.
        """
        if sys.platform != "linux":
            raise WatchError("this system has no inotify")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._root = os.fsencode(root)
        self._descriptor = self._libc.inotify_init1(_IN_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise WatchError(f"inotify says: {os.strerror(ctypes.get_errno())}")
        self._directories: dict[int, bytes] = {}
        self._watched: set[bytes] = set()
        self._openings = Openings()
        self._arrived: dict[bytes, threading.Event] = {}
        self._wake_read, self._wake_write = os.pipe()
        try:
            for directory, names, _ in os.walk(self._root):
                names[:] = [name for name in names if not os.path.islink(os.path.join(directory, name))]  # noqa: PTH114, PTH118
                self._add(directory)
        except WatchError:
            self._close()
            raise
        self._thread = threading.Thread(target=self._read, name="inotify", daemon=True)
        self._thread.start()

    def prove(self) -> None:
        """Let another process read a file of the tree, and be told of it.

        Raises:
            WatchError: Nothing is told: some sandboxes and network file systems are silent.
        """
        canary = os.path.join(self._root, _CANARY)  # noqa: PTH118 - bytes
        os.close(os.open(canary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self.take()
        subprocess.run(["/bin/sh", "-c", ': <"$1"', "sh", canary], check=False)
        is_seen = os.fsdecode(_CANARY) in self.take().files
        os.unlink(canary)  # noqa: PTH108 - bytes
        if not is_seen:
            raise WatchError(self._openings.problem or "inotify doesn't report what other processes read here")

    def extend(self, directories: Iterable[str]) -> None:
        """Watch directories of the tree that have come since; of one that can't be watched, note why."""
        for directory in directories:
            path = os.path.join(self._root, os.fsencode(directory))  # noqa: PTH118 - bytes
            if path not in self._watched:
                try:
                    self._add(path)
                except WatchError as error:
                    self._openings.problem = self._openings.problem or str(error)

    def sync(self) -> None:
        """Return when everything that happened until now has been read, or note that it can't be waited for."""
        name = f".nachlass-sync-{os.urandom(8).hex()}".encode()
        arrived = self._arrived[name] = threading.Event()
        path = os.path.join(self._root, name)  # noqa: PTH118 - bytes
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)  # noqa: PTH108 - bytes
        if not arrived.wait(_SYNC_TIMEOUT_S):
            self._openings.problem = self._openings.problem or "inotify reports nothing here"
        del self._arrived[name]

    def take(self) -> Openings:
        """Return what was opened since the last call, or since the start."""
        self.sync()
        taken, self._openings = self._openings, Openings(problem=self._openings.problem)
        return taken

    def stop(self) -> None:
        """Stop watching."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._close()

    def _close(self) -> None:
        for descriptor in (self._descriptor, self._wake_read, self._wake_write):
            os.close(descriptor)

    def _add(self, directory: bytes) -> None:
        wd = self._libc.inotify_add_watch(self._descriptor, ctypes.c_char_p(directory), _MASK)
        if wd >= 0:
            self._directories[wd] = directory
            self._watched.add(directory)
            return
        number = ctypes.get_errno()
        if number == errno.ENOSPC:
            raise WatchError(f"the limit of {_watch_limit()} watched directories is reached")
        if number not in {errno.ENOENT, errno.ENOTDIR}:  # It may be gone already.
            raise WatchError(f"{os.fsdecode(directory)} can't be watched: {os.strerror(number)}")

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._descriptor in ready:
                data = os.read(self._descriptor, _BUFFER_BYTES)
                position = 0
                while position < len(data):
                    wd, mask, _cookie, length = _HEADER.unpack_from(data, position)
                    position += _HEADER.size
                    name = data[position : position + length].rstrip(b"\0")
                    position += length
                    self._note(wd, mask, name)
            elif self._wake_read in ready:
                return

    def _note(self, wd: int, mask: int, name: bytes) -> None:
        if mask & _IN_Q_OVERFLOW:
            self._openings.problem = "more files were opened at once than inotify can report"
            return
        directory = self._directories.get(wd)
        if directory is None or mask & _IN_IGNORED:
            self._directories.pop(wd, None)
            self._watched.discard(directory or b"")  # It may come again.
            return
        if mask & _IN_CREATE:
            if name in self._arrived:
                self._arrived[name].set()
            return
        if not mask & _IN_OPEN or name.startswith(b".nachlass-sync-"):
            return
        whole = b"%b/%b" % (directory, name) if name else directory
        path = os.fsdecode(whole[len(self._root) + 1 :])
        if not mask & _IN_ISDIR:
            self._openings.files.add(path)
        elif not name or whole not in self._watched:
            # A directory tells of its own opening, and its parent does too: one of them counts.
            self._openings.directories[path] += 1


def _watch_limit() -> str:
    try:
        return Path("/proc/sys/fs/inotify/max_user_watches").read_text().strip()
    except OSError:
        return "unknown"
