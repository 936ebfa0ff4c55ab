"""Where the workers of one master keep their metric values, and which of the files is whose."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - on purpose: memory that the workers share; our directory in it is 0700.


class NoScratchError(OSError):
    """There is no writable directory; the message says what to mount."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker's place, its own until the process ends, when the kernel gives the lock back."""

    number: int
    lock: int


def scratch_root() -> Path:
    """Return a writable directory, in memory where there is one.

    Raises:
        NoScratchError: Neither /dev/shm nor a temporary directory can be written.
    """
    if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        return _SHARED_MEMORY
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise NoScratchError("Neither /dev/shm nor /tmp is writable: mount one of them (a tmpfs is enough).") from error


def lease(directory: Path) -> Slot:
    """Take the first free slot of `directory`.

    Slots are used again, not process ids: the values of a worker that is gone stay in its slot's file and the next
    worker counts on from them, so that there are never more files than workers have run at one time.
    """
    with _alone(directory):
        for number in itertools.count():
            lock = os.open(_lock_file(directory, number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            else:
                return Slot(number, lock)
    raise AssertionError


def held(directory: Path) -> set[int]:
    """Return the slots whose workers live: what one that was killed was about to do is nobody's any more."""
    found: set[int] = set()
    with _alone(directory):
        for number in itertools.count():
            try:
                lock = os.open(_lock_file(directory, number), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return found
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.add(number)
            finally:
                os.close(lock)
    raise AssertionError


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep others from looking at the slots for a moment: a slot that is looked at is not free."""
    lock = os.open(directory / "slots.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _lock_file(directory: Path, number: int) -> Path:
    return directory / f"slot-{number}.lock"
