"""What becomes of connections where there are more of them than file descriptors.

A worker that has used up its descriptors accepts nobody, not even probes, and can open no file. So those go first that
have been idle longest, as any client of a keep-alive connection must expect (RFC 9112, section 9.5).
"""

from __future__ import annotations

import errno
import logging
import resource
from collections.abc import Iterable
from typing import Any, Protocol

_log = logging.getLogger("nachlass")

_KEPT_FREE = 64
"""Descriptors for all else: files, pipes, and connections that are accepted before they can be counted."""
_LEAST = 16
_SHARE, _SHARE_WHEN_STUCK = 16, 2
"""One of so many idle connections is closed at a time, so that not every newcomer looks at all of them."""
_TELL_EVERY_S = 60.0
_TRY_EVERY_S = 0.5


class Idle(Protocol):
    """A connection; `idle_since` is infinite while a request is under way."""

    idle_since: float

    def leave(self) -> None:
        """Close it."""


class Crowd:
    """Decides for one worker who has to go."""

    def __init__(self) -> None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most = max(limit - _KEPT_FREE, limit // 2, 1)
        self.has_been_full = False
        self._told = self._tried = -_TELL_EVERY_S

    def make_room(self, connections: Iterable[Idle], now: float, *, share: int = _SHARE) -> bool:
        """Close those that have been idle longest; tell whether there were any.

        Args:
            connections: All of the worker's.
            now: The event loop's time.
            share: One of so many is closed.
        """
        if now - self._told >= _TELL_EVERY_S:
            self._told = now
            _log.warning(
                "There are as many connections as this process may have open files: idle ones are closed. Raise the "
                "limit (ulimit -n) or have fewer clients."
            )
        idle = sorted((each for each in connections if each.idle_since <= now), key=lambda each: each.idle_since)
        for each in idle[: max(len(idle) // share, _LEAST)]:
            each.leave()
        return bool(idle)

    def is_about_room(self, trouble: dict[str, Any], connections: Iterable[Idle], now: float) -> bool:
        """Tell whether an event loop's trouble (`loop.set_exception_handler`) is that it can't accept anybody.

        It says so thousands of times at once in Python 3.11 and older.
        """
        error = trouble.get("exception")
        if not isinstance(error, OSError) or error.errno not in {errno.EMFILE, errno.ENFILE}:
            return False
        self.has_been_full = True
        if now - self._tried >= _TRY_EVERY_S:
            self._tried = now
            # The event loop tries again after a second only, and all who come meanwhile wait for it.
            self.make_room(connections, now, share=_SHARE_WHEN_STUCK)
        return True
