"""The worker's end of one predictor process, on the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

from ..matrix import Matrix, Rows
from . import wire
from .keeper import STATUS


class Link(asyncio.Protocol):
    """A connection to one predictor; `on_reply` is told of each answer, `on_end` that there will be none."""

    def __init__(self, on_reply: Callable[[wire.Reply], None], on_end: Callable[[], None]) -> None:
        self._on_reply = on_reply
        self._on_end = on_end
        self._unpacker = wire.Unpacker()
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass on what is whole."""
        for reply in self._unpacker.feed(data):
            self._on_reply(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the predictor has ended."""
        del exc
        self._on_end()

    def call(self, methods: tuple[str, ...], parts: Iterable[Rows], *, checked: list[int]) -> None:
        """Send one call."""
        sent = [(rows.data, rows.width) if isinstance(rows, Matrix) else list(rows) for rows in parts]
        self._transport.write(wire.pack((methods, sent, checked)))

    def close(self) -> None:
        """Hear of the predictor no more."""
        self._on_reply, self._on_end = _ignore, _ignore
        self._transport.close()


async def connect(
    keeper: socket.socket, on_reply: Callable[[wire.Reply], None], on_end: Callable[[], None]
) -> tuple[Link, int]:
    """Have the keeper replace its predictor; return the link to the new one and how the one before it ended.

    Raises:
        OSError: The keeper has ended.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with theirs:
        ours.settimeout(0)
        socket.send_fds(keeper, [b"f"], [theirs.fileno()])
    status = await loop.sock_recv(keeper, STATUS.size)
    if len(status) != STATUS.size:
        ours.close()
        raise ConnectionResetError("the process that starts predictors has ended")
    _, link = await loop.create_connection(lambda: Link(on_reply, on_end), sock=ours)
    return link, STATUS.unpack(status)[0]


def _ignore(*_arguments: Any) -> None:
    pass
