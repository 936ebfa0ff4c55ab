"""Several builds with one store: all may use it at the same time, and who changes what others rely on is alone."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from nachlass_bp.cache.reading import a_link

_PATIENCE_S = 30.0
"""A store is made in milliseconds; whoever holds the lock for longer is a build that uses it."""


class StoreLock:
    """A lock of flock(2), which goes with its process. It is shared or exclusive, and changing it lets others in."""

    def __init__(self, file: Path) -> None:
        """Open the lock's file, making it if it isn't there.

        Raises:
            OSError: It can't be, or is a link: whoever shares the directory might let us make a file anywhere.
        """
        if file.is_symlink():
            raise a_link(file)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def share(self) -> None:
        """Wait until nobody has it exclusively, and hold it with others.

        Raises:
            OSError: The file system has no such locks, or somebody keeps it.
        """
        self._wait_for(fcntl.LOCK_SH)

    def take(self) -> None:
        """Wait until nobody else has it, and hold it alone.

        Raises:
            OSError: The file system has no such locks, or somebody keeps it.
        """
        self._wait_for(fcntl.LOCK_EX)

    def try_to_take(self) -> bool:
        """Hold it alone if nobody else has it; if not, hold it with them."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.share()  # flock gives up the old lock before it finds that it can't have the new one.
            return False
        return True

    def release(self) -> None:
        """Give it up for good."""
        os.close(self._descriptor)

    def _wait_for(self, kind: int) -> None:
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
            else:
                return
            time.sleep(0.02)
