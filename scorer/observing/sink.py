"""Writes the lines of the access log beside the event loop: who reads them may be slow, and the service isn't."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque

_MOST_WAITING_BYTES = 4 * 1024 * 1024
_TOGETHER_S = 0.05


class Sink:
    """Lines to a file descriptor, in their order; while nobody takes them, only so many are kept."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._lost = 0
        self._lock = threading.Lock()
        self._has_lines = threading.Event()
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Take a line, with its end."""
        with self._lock:
            if self._waiting_bytes > _MOST_WAITING_BYTES:
                self._lost += 1
                return
            self._lines.append(line)
            self._waiting_bytes += len(line)
        if not self._has_lines.is_set():
            self._has_lines.set()

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what waits, and end; what nobody takes in time is lost."""
        self._is_ending.set()
        self._has_lines.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._has_lines.wait()
            # Lines that come close together go in one system call.
            is_last = self._is_ending.wait(_TOGETHER_S)
            self._has_lines.clear()
            with contextlib.suppress(OSError):  # Nobody reads it any more; requests are answered nevertheless.
                self._flush()

    def _flush(self) -> None:
        with self._lock:
            text = b"".join(self._lines)
            self._lines.clear()
            lost, self._lost = self._lost, 0
        if lost:
            text += b'{"type":"access-log","lost":%d}\n' % lost
        view = memoryview(text)
        while view:
            view = view[os.write(self._descriptor, view) :]
        with self._lock:
            self._waiting_bytes = sum(map(len, self._lines))
