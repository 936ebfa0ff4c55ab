"""What a worker and its predictor say to each other: plain values, as `marshal` writes them, behind their length.

Both are forks of one interpreter, so the format's version is no matter; and it knows nothing but plain values, so that
reading it runs nobody's code. It takes half of pickle's time.
"""

from __future__ import annotations

import marshal
import socket
import struct
from typing import Any, Literal

_HEADER = struct.Struct("<Q")

Part = list[Any] | tuple[bytes, int]
"""The rows of one request: as they are, or what a `matrix.Matrix` consists of."""
Call = tuple[tuple[str, ...], list[Part], list[int]]
"""The methods; the rows of each request that goes into one call; of which of them, by their places, to hold the
answers against a call each."""

Values = tuple[Literal["values"], list[Any]]
Refused = tuple[Literal["refused"], str, bool]
"""scikit-learn's message, and whether it is about a missing value."""
Failed = tuple[Literal["failed"], str]
"""The traceback."""
Outcome = Values | Refused | Failed

UNPACK = ("unpack",)
"""Instead of methods, in a call whose only row is a `packed.Packed` as a tuple; its only value is one of these."""
Table = tuple[Literal["table"], list[str], list[list[Any]], list[str]]
"""As `packed.Unpacked` has them."""
Refusal = tuple[Literal["refusal"], str, str, int]
"""Message, code and status."""

Reply = tuple[float, list[Outcome], bool]
"""The seconds that the call took, the outcome of each request, and whether merging changed an answer."""


def pack(message: Call | Reply) -> bytes:
    """Return a message with its header."""
    data = marshal.dumps(message)
    return _HEADER.pack(len(data)) + data


def receive(channel: socket.socket) -> Any:
    """Return the next message of a blocking socket, None when the other side has ended."""
    header = _exactly(channel, _HEADER.size)
    if header is None:
        return None
    data = _exactly(channel, _HEADER.unpack(header)[0])
    return None if data is None else marshal.loads(data)  # noqa: S302 - of this very program's other half


class Unpacker:
    """Messages out of the pieces in which an event loop reads them."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """Return the messages that are whole by now."""
        self._data += data
        messages = []
        while len(self._data) >= _HEADER.size:
            end = _HEADER.size + _HEADER.unpack_from(self._data)[0]
            if len(self._data) < end:
                break
            messages.append(marshal.loads(memoryview(self._data)[_HEADER.size : end].tobytes()))  # noqa: S302 - as above
            del self._data[:end]
        return messages


def _exactly(channel: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = channel.recv_into(view)
        if count == 0:
            return None
        view = view[count:]
    return data
