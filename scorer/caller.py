"""Who sent a request, as far as its answer depends on it: whether all of it has come, and whether they still wait.

uvicorn says neither while an application is at work; the connection tells it to whoever holds the request's scope.
"""

from __future__ import annotations

from collections.abc import Callable

CALLER = "nachlass.caller"
"""Where a request's scope has it."""


class Caller:
    """The sender of one request."""

    __slots__ = ("_on_leave", "has_gone", "has_sent_all")

    def __init__(self) -> None:
        self.has_sent_all = False
        self.has_gone = False
        self._on_leave: Callable[[], object] | None = None

    def when_gone(self, callback: Callable[[], object]) -> None:
        """Call this, in place of what was to be called before, as soon as nobody waits for the answer any more."""
        self._on_leave = callback
        if self.has_gone:
            callback()

    def leave(self) -> None:
        """Note that the connection has ended."""
        self.has_gone = True
        if self._on_leave is not None:
            self._on_leave()
