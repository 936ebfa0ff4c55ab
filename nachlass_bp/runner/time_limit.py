"""How long a notebook may run: `asyncio.timeout`, which Python 3.10 lacks, but one that asks politely first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any


class TimeLimit:
    """Calls `interrupt` after `seconds` (None: never), and cancels the task when it is still there `grace_s` later.

    A context manager inside that task. `is_over` says whether the time was up.
    """

    def __init__(self, seconds: float | None, grace_s: float, interrupt: Callable[[], None]) -> None:
        self.is_over = False
        self._seconds = seconds
        self._grace_s = grace_s
        self._interrupt = interrupt
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> TimeLimit:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._task = asyncio.current_task()
        if self._seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        assert self._task is not None
        self.is_over = True
        self._interrupt()
        self._timer = asyncio.get_running_loop().call_later(self._grace_s, self._task.cancel)
