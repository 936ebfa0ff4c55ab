"""An ASGI application in front of another, which tells observers of each request once it is answered."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .record import Record
from .trace import join

ASGI = Callable[[Any, Any, Any], Awaitable[None]]
Observe = Callable[[Record], None]

ROUTE = "nachlass.route"
"""In a request's scope: the path with the names of its parameters, of a request for predictions."""
PREDICTED = "nachlass.predicted"
"""In a request's scope: when the model was asked (`time.perf_counter()`), and for how many seconds."""

_REQUEST_ID = b"x-request-id"


class Observed:
    """Passes requests on, and looks at their answers."""

    def __init__(self, app: ASGI, observers: Sequence[Observe]) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        started_ns, started = time.time_ns(), time.perf_counter()
        status: int | None = None
        size_bytes = 0
        request_id: str | None = None

        async def watched(message: Any) -> None:
            nonlocal status, size_bytes, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                for name, value in message["headers"]:  # In lower case, as ASGI has them.
                    if name == _REQUEST_ID:
                        request_id = value.decode("latin-1")
            else:
                size_bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            parent = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
            asked = scope.get(PREDICTED)
            record = Record(
                context=join(parent),
                started_ns=started_ns,
                seconds=time.perf_counter() - started,
                client=scope["client"][0] if scope["client"] else None,
                method=scope["method"],
                path=scope["path"],
                status=status,
                size_bytes=size_bytes,
                request_id=request_id,
                route=scope.get(ROUTE),
                predict_s=None if asked is None else (asked[0] - started, asked[1]),
            )
            for observe in self._observers:
                observe(record)
