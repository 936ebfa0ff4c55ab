"""The standard streams: rows go through them, and nothing that the model's code reads or prints."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass

from .stopping import Status, StopError

_INPUT, _OUTPUT, _ERRORS = 0, 1, 2
_FIRST_OTHER = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Streams:
    """Descriptors of what were the standard input and output when the process began; None where it was closed."""

    input: int | None
    output: int | None


def take_streams() -> Streams:
    """Keep the standard streams for the rows: what the model's code prints goes to stderr, and it reads nothing."""
    streams = Streams(input=_copy(_INPUT), output=_copy(_OUTPUT))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), _INPUT)
    with contextlib.suppress(OSError):  # There is no stderr either.
        os.dup2(_ERRORS, _OUTPUT)
    return streams


def require_open(descriptor: int | None, status: Status, name: str) -> int:
    """Return a descriptor that is there.

    Raises:
        StopError: It was closed.
    """
    if descriptor is None:
        raise StopError(status, f"{name} is closed.")
    return descriptor


def _copy(number: int) -> int | None:
    try:
        # Not one of the three, also where one of them is closed.
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST_OTHER)
    except OSError:
        return None
