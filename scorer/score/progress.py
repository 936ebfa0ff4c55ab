"""What a run says while it goes on, on a terminal, and when it is done."""

from __future__ import annotations

import time
from typing import TextIO

_PAUSE_S = 0.2
_BAR_WIDTH = 30


class Progress:
    """Tells people how far a run is; `is_quiet` says nothing."""

    def __init__(self, stream: TextIO, *, is_quiet: bool) -> None:
        self._stream = stream
        self._is_quiet = is_quiet
        self._is_terminal = stream.isatty() and not is_quiet
        self._began = self._reading_since = time.monotonic()
        self._shown_at = 0.0
        self._width = 0

    def tell(self, text: str) -> None:
        """Say something, on lines of its own."""
        if not self._is_quiet:
            self._clear()
            self._write(f"{text}\n")

    def begin(self) -> None:
        """Measure the speed from now on: the model is loaded."""
        self._reading_since = time.monotonic()

    def update(self, rows: int, fraction: float | None) -> None:
        """Show how many rows are done, and how much of the input that is, where that is known."""
        now = time.monotonic()
        if not self._is_terminal or now - self._shown_at < _PAUSE_S:
            return
        self._shown_at = now
        rate = rows / max(now - self._reading_since, 1e-9)
        text = f"{rows:,} rows, {rate:,.0f} rows/s"
        if fraction is not None:
            done = int(fraction * _BAR_WIDTH)
            text = f"[{'#' * done}{'.' * (_BAR_WIDTH - done)}] {fraction:4.0%}  {text}"
        self._write("\r" + text.ljust(self._width))
        self._width = len(text)

    def finish(self, rows: int, bad: int) -> None:
        """Say what was done, in one line."""
        self.tell(f"{rows:,} rows, {bad:,} bad, {time.monotonic() - self._began:.1f} s")

    def stop(self) -> None:
        """Leave the terminal as it was."""
        self._clear()

    def _clear(self) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str) -> None:
        # A terminal that has gone is no reason to stop.
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._is_quiet, self._is_terminal, self._width = True, False, 0
