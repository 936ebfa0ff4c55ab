"""How far a notebook is: a bar on a terminal; in a log, a line for each cell and a sign of life."""

from __future__ import annotations

import time
from dataclasses import dataclass

from nachlass_bp.output import Output, duration_text
from nachlass_bp.pulse import HEARTBEAT_S, Pulse, seconds_text

_BAR_WIDTH = 20


@dataclass(frozen=True, slots=True)
class _Activity:
    """What goes on at present, since when (`time.monotonic`), and how many cells were done before it."""

    label: str
    doing: str
    since: float
    done: int


class Progress(Pulse):
    """Follows one notebook of `total` code cells while it is used as a context manager."""

    def __init__(self, output: Output, *, notebook: str, total: int, heartbeat_s: float = HEARTBEAT_S) -> None:
        super().__init__(output, heartbeat_s)
        self._notebook = notebook
        self._total = total
        self._activity = _Activity(self._label(0), "starting its kernel", self.began, 0)

    def begin(self, ordinal: int) -> None:
        """Say that a code cell begins; the first one is 1."""
        self._now(_Activity(self._label(ordinal), "running", time.monotonic(), ordinal - 1))

    def end(self, how: str) -> None:
        """Say how the cell ended, `done in` for example; how long it took is added."""
        activity = self._activity
        self._line(activity.label, f"{how} {duration_text(time.monotonic() - activity.since)}")
        self._now(_Activity(activity.label, activity.doing, activity.since, activity.done + 1))

    def leave_out(self, ordinal: int, why: str) -> None:
        """Say that a cell isn't run."""
        self._line(self._label(ordinal), f"left out ({why})")

    def finish(self, doing: str) -> None:
        """Say what is done after the last cell."""
        self._now(_Activity(self._label(self._total), doing, time.monotonic(), self._total))

    def show(self, line: str) -> None:
        """Show a line of the present cell's output."""
        self.output.detail(f"{self._activity.label} {line}".rstrip())

    def status(self) -> str:
        """Return the bar."""
        activity = self._activity
        filled = _BAR_WIDTH * min(activity.done, self._total) // max(self._total, 1)
        bar = "=" * filled + " " * (_BAR_WIDTH - filled)
        return f"[{bar}] {activity.label} {self._notebook} {seconds_text(time.monotonic() - self.began)}"

    def sign_of_life(self) -> str:
        """Say what goes on, and for how long."""
        activity = self._activity
        return f"{activity.label} still {activity.doing} after {duration_text(time.monotonic() - activity.since)}"

    def _now(self, activity: _Activity) -> None:
        self._activity = activity
        self.draw()

    def _label(self, ordinal: int) -> str:
        return f"[{ordinal}/{self._total}]"

    def _line(self, label: str, text: str) -> None:
        """Write what only a log has: on a terminal the bar says it."""
        if not self.output.is_terminal:
            self.output.detail(f"{label} {text}")
