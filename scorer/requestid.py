"""What a request is called in its answer and in the log."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable

REQUEST_ID = "X-Request-ID"
ID_FIELD = REQUEST_ID.lower().encode()
"""As ASGI has it."""

_SAFE_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_prefix = ""
_numbers = itertools.count(1)


def request_id_of(given: str | None) -> str:
    """Return the id of a request whose client says that it is `given`: a new one where that isn't harmless."""
    return given if given is not None and _SAFE_ID.fullmatch(given) else _new_id()


def request_id_among(fields: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id of a request that has these fields, which are as ASGI has them."""
    return request_id_of(next((value.decode("latin-1") for name, value in fields if name == ID_FIELD), None))


def _new_id() -> str:
    # A worker's own, and not to be guessed from another's; a random number for each request takes ten times as long.
    global _prefix  # noqa: PLW0603 - each worker is a fork of a master in which nothing is asked
    if not _prefix:
        _prefix = secrets.token_hex(8)
    return f"{_prefix}-{next(_numbers)}"
