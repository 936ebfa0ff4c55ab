"""Signs of life while something takes its time: a line redrawn in place on a terminal, a line now and then in a log."""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from types import TracebackType

from nachlass_bp.output import Output, duration_text

HEARTBEAT_S = 30.0
_REDRAWN_EVERY_S = 1.0
_SHORTEST_PAUSE_S = 0.05


class Pulse(ABC):
    """Shows `status()` on a terminal, and writes `sign_of_life()` after each `heartbeat_s` of silence in a log.

    A context manager. It has a thread of its own, for whoever waits is busy with waiting.
    """

    def __init__(self, output: Output, heartbeat_s: float = HEARTBEAT_S) -> None:
        self.output = output
        self.began = time.monotonic()
        self._heartbeat_s = heartbeat_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def __enter__(self) -> Pulse:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self.draw()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.output.status("")

    @abstractmethod
    def status(self) -> str:
        """Return what a terminal shows."""

    @abstractmethod
    def sign_of_life(self) -> str:
        """Return what a log says after a silence."""

    def draw(self) -> None:
        """Show the status as it is now."""
        if self.output.is_terminal:
            self.output.status(self.status())

    def _watch(self) -> None:
        # Whether anybody reads the log is found out by whoever has something to say.
        with contextlib.suppress(OSError):
            while not self._ended.wait(self._pause_s()):
                if self.output.is_terminal:
                    self.draw()
                elif self.output.silent_s >= self._heartbeat_s:
                    self.output.detail(self.sign_of_life())

    def _pause_s(self) -> float:
        if self.output.is_terminal:
            return _REDRAWN_EVERY_S
        return max(self._heartbeat_s - self.output.silent_s, _SHORTEST_PAUSE_S)


class Waiting(Pulse):
    """Waits for one thing, `installing numpy` for example."""

    def __init__(self, output: Output, doing: str, heartbeat_s: float = HEARTBEAT_S) -> None:
        super().__init__(output, heartbeat_s)
        self._doing = doing

    def status(self) -> str:
        """Say what goes on, for how long."""
        return f"… {self._doing}, {seconds_text(time.monotonic() - self.began)}"

    def sign_of_life(self) -> str:
        """Say that it goes on."""
        return f"still {self._doing} after {duration_text(time.monotonic() - self.began)}"


def seconds_text(seconds: float) -> str:
    """Return a duration whose last digit doesn't flicker."""
    return f"{seconds:.0f} s" if seconds < 100 else duration_text(seconds)
