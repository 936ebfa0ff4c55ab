"""How far a worker is with its life, which its application, its connections and its process have to agree on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


async def _nothing() -> None:
    pass


def _pass() -> None:
    pass


def _ignore(_client: str | None, _status: int, _size_bytes: int, _request_id: str) -> None:
    pass


@dataclass(kw_only=True, slots=True)
class Life:
    """`is_ending` from the signal to end on, while requests are still taken; `prepare` runs before the first one is.

    `tick` runs about once a second, before anybody is told how the worker does, and at its end; `finish` runs when the
    last request is answered. `refused` is told of what gets an answer without the application: the client, HTTP status,
    bytes, and the request's id.
    """

    is_ending: bool = False
    prepare: Callable[[], Awaitable[None]] = _nothing
    tick: Callable[[], None] = _pass
    finish: Callable[[], None] = _pass
    refused: Callable[[str | None, int, int, str], None] = _ignore
