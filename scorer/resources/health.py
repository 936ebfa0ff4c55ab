from __future__ import annotations

from typing import Any

from ..encode import dump
from .respond import send


class Health:
    """A probe: a worker that answers has its model loaded, since it is forked from a master that has."""

    def __init__(self, status: str) -> None:
        self._body = dump({"status": status})

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer 200."""
        send(resp, self._body)

    on_head = on_get
