"""Numbers that each worker adds to, in memory that all workers of one master read.

A number is 8 bytes in the file of the worker's slot. Adding to one takes a tenth of the time that a counter of
prometheus_client's takes, which has a lock and a name of its own; and what is added is there when the worker is killed.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_BYTES = 8


class Layout:
    """Which numbers there are: the same for all workers, since they serve one model with one set of settings."""

    def __init__(self) -> None:
        self.size = 0

    def take(self, count: int = 1) -> int:
        """Return where the next `count` numbers begin."""
        start = self.size
        self.size += count
        return start


class Tallies:
    """One worker's numbers, and the sums over all.

    `cells` are the worker's own, for one at a time; `array` is the same memory, for many.
    """

    def __init__(self, directory: Path, slot: int, size: int) -> None:
        """Go on with the numbers of the slot, or begin with zeros.

        Raises:
            OSError: There is no space for them.
        """
        self._directory = directory
        self._size = size
        descriptor = os.open(_file(directory, slot), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # Written, not only made longer: memory that isn't there would end the process when it is touched.
            if missing := size * _BYTES - os.fstat(descriptor).st_size:
                os.write(descriptor, bytes(missing))
            memory = mmap.mmap(descriptor, size * _BYTES)
        finally:
            os.close(descriptor)
        self.cells = memoryview(memory).cast("d")
        self.array: NDArray[np.float64] = np.frombuffer(memory, dtype=np.float64)

    def total(self, slots: Collection[int] | None = None) -> NDArray[np.float64]:
        """Return the sums over the workers that have these slots; over all there ever were by default."""
        files = (
            list(self._directory.glob("tallies-*"))
            if slots is None
            else [_file(self._directory, slot) for slot in slots]
        )
        total = np.zeros(self._size)
        for file in files:
            try:
                found = np.fromfile(file, dtype=np.float64)
            except FileNotFoundError:  # Its worker has just begun.
                continue
            if found.size == self._size:
                total += found
        return total


def _file(directory: Path, slot: int) -> Path:
    return directory / f"tallies-{slot}"
