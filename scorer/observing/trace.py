"""Which trace a request belongs to.

Source: W3C Trace Context, level 2, "traceparent header".
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_ZEROS = "0" * 16


class Context(NamedTuple):
    """One request's place in a trace: ids in hexadecimal, `parent` of the span that sent it, None in a new trace."""

    trace_id: str
    span_id: str
    parent: str | None
    is_sampled: bool


def join(header: bytes | None) -> Context:
    """Return the place of a request in the trace that its `traceparent` names, or in a new one.

    A new trace is marked as sampled; who exports spans decides on it again.
    """
    found = None if header is None else _PARENT.fullmatch(header)
    # Version 00 has exactly four fields; ff and ids of zeros are none.
    if (
        found is None
        or found[1] == b"ff"
        or (found[1] == b"00" and found[5])
        or not found[2].strip(b"0")
        or not found[3].strip(b"0")
    ):
        ids = os.urandom(24).hex()
        if _ZEROS in ids:  # An id of zeros is none.
            return join(header)
        return Context(trace_id=ids[:32], span_id=ids[32:], parent=None, is_sampled=True)
    return Context(
        trace_id=found[2].decode(),
        span_id=new_span_id(),
        parent=found[3].decode(),
        is_sampled=bool(int(found[4], 16) & 1),
    )


def new_span_id() -> str:
    """Return an id for another span of a trace."""
    found = os.urandom(8).hex()
    return new_span_id() if found == _ZEROS else found
