"""Work that is too long for the event loop to do much of it at once, and too short for a thread of its own.

A thread that computes gives way every 5 ms (`sys.getswitchinterval`), and handing work to it and back costs as much as
reading 30 KB of JSON. So what takes less is better done on the loop itself: one piece at most in each of its turns, so
that nobody else waits for more than one.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """Hands out the turns of one event loop, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False

    async def take(self) -> None:
        """Return in a turn that nobody else has taken; what the caller does until it next waits is its piece."""
        loop = asyncio.get_running_loop()
        if self._is_taken:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn
        else:
            self._is_taken = True
            loop.call_soon(self._pass_on)

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # Else who asked for it has gone.
                turn.set_result(None)
                asyncio.get_running_loop().call_soon(self._pass_on)
                return
        self._is_taken = False
