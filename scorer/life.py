"""How far a worker is with its life, which its application, its connections and its process have to agree on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


async def _nothing() -> None:
    pass


def _pass() -> None:
    pass


@dataclass(kw_only=True, slots=True)
class Life:
    """`is_ending` from the signal to end on, while requests are still taken; `prepare` runs before the first one is.

    `tick` runs about once a second, before anybody is told how the worker does, and at its end.
    """

    is_ending: bool = False
    prepare: Callable[[], Awaitable[None]] = _nothing
    tick: Callable[[], None] = _pass
