from __future__ import annotations

from typing import Any

from .respond import send


class Fixed:
    """`GET` of a JSON document that stays as it is."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer with the document."""
        send(resp, self._body)

    on_head = on_get


class Plain:
    """`GET` of a text that stays as it is."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer with the text."""
        send(resp, self._body, content_type="text/plain; charset=utf-8")

    on_head = on_get
