"""Requests for predictions of the plainest kind, which most are: Falcon's part is a fifth of what a short one takes.

What is here stands for Falcon's request and response where a `Scoring` is asked, and has no more than that needs. All
else, whatever there is to interpret in it, is Falcon's: other methods, paths with parameters or a slash at the end,
fields that come twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import Any

from .observing.observed import ASGI
from .resources.scoring import Scoring

Refuse = Callable[[Any, Any, Exception, Any], Awaitable[None]]


class Direct:
    """An ASGI application in front of another, which answers what it doesn't."""

    def __init__(self, app: ASGI, scoring: Mapping[str, Scoring], *, refuse: Refuse) -> None:
        """Answer for an application at those of the paths that have no parameters.

        Args:
            app: What answers all else.
            scoring: What predicts, by its path.
            refuse: Who fills in the response when that fails, as Falcon's error handler.
        """
        self._app = app
        self._refuse = refuse
        self._scoring = {path: resource for path, resource in scoring.items() if "{" not in path}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or let it be answered."""
        fields: list[tuple[bytes, bytes]] = scope["headers"]
        if scope["method"] == "POST" and scope["query_string"].isascii():
            scoring = self._scoring.get(scope["path"])
            if scoring is not None and len(named := dict(fields)) == len(fields):
                request, response = _Request(scope, named, receive), _Response()
                try:
                    await scoring.on_post(request, response)
                except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer
                    await self._refuse(request, response, error, None)
                await send({"type": "http.response.start", "status": response.status, "headers": response.fields()})
                await send({"type": "http.response.body", "body": response.data})
                return
        await self._app(scope, receive, send)


class _Request:
    """As much of `falcon.asgi.Request`, with its meanings."""

    __slots__ = ("_fields", "_receive", "scope", "uri_template")

    def __init__(self, scope: Any, fields: Mapping[bytes, bytes], receive: Any) -> None:
        self.scope = scope
        self.uri_template: str = scope["path"]
        self._fields = fields
        self._receive = receive

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return self.uri_template

    @property
    def query_string(self) -> str:
        text: str = self.scope["query_string"].decode()
        return text

    @property
    def content_length(self) -> int | None:
        declared = self._fields.get(b"content-length")
        return None if declared is None else int(declared)  # The parser takes no other.

    @property
    def content_type(self) -> str | None:
        return self.get_header("content-type")

    @property
    def accept(self) -> str:
        return self.get_header("accept") or "*/*"

    def get_header(self, name: str) -> str | None:
        value = self._fields.get(_encoded(name))
        return None if value is None else value.decode("latin-1")

    @property
    def stream(self) -> _Stream:
        return _Stream(self._receive)


class _Stream:
    """The body's parts, as they come."""

    __slots__ = ("_has_more", "_receive")

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._has_more = True

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> bytes:
        if not self._has_more:
            raise StopAsyncIteration
        event = await self._receive()
        if event["type"] == "http.disconnect":
            raise StopAsyncIteration
        self._has_more = event.get("more_body", False)
        body: bytes = event.get("body", b"")
        return body


class _Response:
    """As much of `falcon.asgi.Response`."""

    __slots__ = ("_fields", "content_type", "data", "status")

    def __init__(self) -> None:
        self.status = 200
        self.data = b""
        self.content_type = ""
        self._fields: dict[str, str] = {}

    def set_header(self, name: str, value: str) -> None:
        self._fields[name] = value

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Return the header's fields, as ASGI has them."""
        return [
            (b"content-type", self.content_type.encode("latin-1")),
            (b"content-length", b"%d" % len(self.data)),
            *[(_encoded(name), value.encode("latin-1")) for name, value in self._fields.items()],
        ]


@cache
def _encoded(name: str) -> bytes:
    """Return the name of a field that this service knows, as ASGI has it."""
    return name.lower().encode("latin-1")
