"""One client's connection: uvicorn's httptools protocol with the limits that it lacks.

Nothing here makes a timer for a request: one sweep a second looks at all connections of the worker.
"""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .caller import CALLER, Caller
from .crowd import Crowd
from .encode import dump
from .errors import error_body
from .headers import NOTHING
from .life import Life
from .requestid import ID_FIELD, request_id_among

MOST_HEADER_BYTES = 16 * 1024
MOST_HEADER_FIELDS = 100
HEADERS_S = 10.0
BODY_IDLE_S = 10.0
BODY_S = 60.0
SLOW_READER_S = 30.0
LEAST_READ_BYTES = 64 * 1024
"""Who reads less in that time is as good as one who reads nothing."""
MOST_PIPELINED = 32
"""Requests that wait for the answers before theirs; a connection that sends more is closed after these."""
_NEVER = float("inf")
_CONTINUE = b"HTTP/1.1 100 "
_VERSIONS = ("1.0", "1.1")
"""After any other a client may go on in whatever way: `app` refuses it, and that is the end."""


class Connection(HttpToolsProtocol):
    """Refuses what is too long or too slow, and tells clients to go elsewhere when the worker is about to end."""

    life: Life
    """Of the worker; set on a subclass of its own."""
    crowd: Crowd
    """Of the worker, too."""
    idle_s: float

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._headers_since = _NEVER
        self._body_since = _NEVER
        self._last_data = _NEVER
        self._unread_since = _NEVER
        self._unread_bytes = 0
        self._header_bytes = self._chunk_bytes = self._bytes_beside_body = 0
        self._is_between = True  # One request and the next.
        self._is_in_headers = False
        self._began_inside = False  # The headers, behind a request or a body that came with them.
        self._is_refused = False
        self._without_upgrade = b""
        self._caller: Caller | None = None
        self._answered: Any = None
        if len(self.connections) > self.crowd.most and not self.crowd.make_room(self._others(), self.idle_since):
            transport.abort()

    def leave(self) -> None:
        """Close the connection, on which nothing is under way."""
        self.idle_since = _NEVER
        self.transport.close()

    def _others(self) -> list[Connection]:
        return [each for each in self.connections if isinstance(each, Connection) and each is not self]

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is still unfinished after that is what the sweep looks at."""
        if self._is_refused:
            return
        now = self.loop.time()
        self._last_data = now
        self.idle_since = _NEVER
        if self._headers_since is _NEVER and self._body_since is _NEVER:
            self._headers_since = now
        self._chunk_bytes = len(data)
        self._bytes_beside_body += self._chunk_bytes
        self._feed(data)
        self._look_at_the_rest(now)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
            except httptools.HttpParserUpgrade as upgrade:
                # The parser takes all that follows for another protocol, a body and further requests as well, whoever
                # asks (Java's client and `curl --http2` do). A server may ignore the wish (RFC 9110, 7.8).
                rest = data[upgrade.args[0] :]
                data, self._without_upgrade = self._without_upgrade + rest, b""
                if not self._is_refused:
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # As uvicorn's own.
                    continue
            return

    def _look_at_the_rest(self, now: float) -> None:
        """Count what the parser has of something that isn't whole: it keeps a field until it is, however long."""
        if self._is_refused or self.transport.is_closing():
            return
        if self._is_in_headers:
            if self._headers_since is _NEVER:
                self._headers_since = now
                self._began_inside = True
            else:
                self._header_bytes += self._chunk_bytes
            if self._header_bytes > MOST_HEADER_BYTES:
                self._refuse_headers()
        elif self._body_since is not _NEVER and self._bytes_beside_body > MOST_HEADER_BYTES + self._chunk_bytes:
            self._refuse_headers()  # They are of the body's chunks, or come behind it.

    def on_message_begin(self) -> None:
        """Count anew."""
        super().on_message_begin()
        self._header_bytes = 0
        self._is_between = False
        self._is_in_headers = True
        self._began_inside = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a field of the headers; what comes behind the body must not be taken for one (RFC 9110, 6.5.1)."""
        if self._is_in_headers and not self._is_refused:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering, unless there is too much of them."""
        self._is_in_headers = False
        if self._is_refused:
            return
        self._headers_since = _NEVER
        if len(self.headers) > MOST_HEADER_FIELDS or (
            # What came with them may be the body, or another request: only where it is long is it worth counting.
            (self._began_inside or self._header_bytes + self._chunk_bytes > MOST_HEADER_BYTES)
            and self._length_of_headers() > MOST_HEADER_BYTES
        ):
            self._refuse_headers()
            return
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refuse(400, "This server is no proxy.", code="invalid-request")
            else:
                self._without_upgrade = self._head_without_upgrade()
            return
        if len(self.pipeline) >= MOST_PIPELINED:
            self._is_refused = True
            self.cycle.keep_alive = False
            return
        caller = self._caller = Caller()
        self.scope[CALLER] = caller  # type: ignore[literal-required]  # ASGI lets servers have keys of their own
        self._bytes_beside_body = 0
        super().on_headers_complete()
        self._body_since = self._last_data
        cycle = self.cycle
        if cycle is not None:
            if self.scope["method"] != "HEAD":  # Of which no body follows.
                cycle.transport = _InOnePiece(self.transport)  # type: ignore[assignment]  # has all that is called of it
            if self.life.is_ending or self.parser.get_http_version() not in _VERSIONS:
                cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Pass it on."""
        self._bytes_beside_body = 0
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the client has nothing to send for now."""
        self._is_between = True
        if self._without_upgrade:
            return
        self._body_since = _NEVER
        if self._is_refused:
            return
        if self._caller is not None:
            self._caller.has_sent_all = True
        super().on_message_complete()
        if self.cycle is not None and self.cycle.response_complete:
            self.idle_since = self._last_data  # The answer came first, and saw that there was more to come.

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it: the sweep ends that, and not a timer for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self.flow.resume_reading()
        if self._headers_since is _NEVER and self._body_since is _NEVER:
            self.idle_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of it all whose answers nobody reads any more."""
        waiting = [cycle.scope for cycle, _ in self.pipeline]
        self.pipeline.clear()
        super().connection_lost(exc)
        for scope in [self._answered, *waiting]:
            if scope is not None and (caller := scope.get(CALLER)) is not None:
                caller.leave()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle.scope
        super()._start_asgi_task(cycle, app)

    def pause_writing(self) -> None:
        """Note since when the client doesn't read."""
        super().pause_writing()
        self._unread_since = self.loop.time()
        self._unread_bytes = self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """Note that it reads again."""
        super().resume_writing()
        self._unread_since = _NEVER

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as everything else is refused."""
        self._refuse(400, msg, code="invalid-request")

    def sweep(self, now: float) -> None:
        """End what has lasted too long; `now` is the loop's time."""
        is_closing = self.transport.is_closing()
        if is_closing or self._unread_since is not _NEVER:
            # What is still to be written keeps one that is closing open.
            unread = self.transport.get_write_buffer_size()
            if self._unread_since is _NEVER or unread + LEAST_READ_BYTES <= self._unread_bytes:
                self._unread_since, self._unread_bytes = now, unread
            if now - self._unread_since > SLOW_READER_S:
                self.transport.abort()
                return
        if is_closing:
            return
        if now - self.idle_since > self.idle_s:
            self.transport.close()
        elif now - self._headers_since > HEADERS_S:
            self._refuse(408, f"The headers took longer than {HEADERS_S:g} seconds.", code="request-timeout")
        elif self._body_since is not _NEVER and not self.flow.read_paused:
            if now - self._last_data > BODY_IDLE_S:
                self._refuse(408, f"Nothing of the body came for {BODY_IDLE_S:g} seconds.", code="request-timeout")
            elif now - self._body_since > BODY_S:
                self._refuse(408, f"The body took longer than {BODY_S:g} seconds.", code="request-timeout")

    def _head_without_upgrade(self) -> bytes:
        """Return what came so far, as somebody would have sent it who asks for no other protocol."""
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % (name, value) for name, value in self.headers if name not in {b"upgrade", b"connection"}]
        for value in (value for name, value in self.headers if name == b"connection"):
            options = [option for option in value.split(b",") if option.strip().lower() != b"upgrade"]
            lines.append(b"connection: " + b",".join(options))
        return b"\r\n".join([*lines, b"", b""])

    def _length_of_headers(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_headers(self) -> None:
        problem = f"The headers are longer than {MOST_HEADER_BYTES} bytes, or more than {MOST_HEADER_FIELDS}."
        self._refuse(431, problem, code="headers-too-large")

    def _refuse(self, status: int, problem: str, *, code: str) -> None:
        """Answer in place of the application, and end; what is being answered already is answered first."""
        self._is_refused = True
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            if self._body_since is _NEVER:
                # It is the next request that is refused: an answer now would be taken for this one's, which closes.
                cycle.keep_alive = False
                return
            if cycle.response_started or self.pipeline:
                self.transport.abort()
                return
            # The application waits for the rest of the body, and is told that there is none.
            cycle.disconnected = cycle.response_complete = True
            cycle.message_event.set()
        elif cycle is not None and self._body_since is not _NEVER:
            self.transport.close()  # It has had its answer, and takes no second one.
            return
        body = dump(error_body(problem, code=code))
        request_id = request_id_among(() if self._is_between else self.headers)
        head = [STATUS_LINE[status]]
        for name, value in self.server_state.default_headers:
            head.extend([name, b": ", value, b"\r\n"])
        head.append(b"content-type: application/json\r\nx-content-type-options: nosniff\r\n")
        head.append(b"%s: %s\r\n" % (ID_FIELD, request_id.encode()))
        head.append(b"content-security-policy: %s\r\n" % NOTHING.encode())
        head.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        self.transport.write(b"".join(head) + body)
        self.transport.close()
        self.life.refused(self.client[0] if self.client else None, status, len(body), request_id)


class _InOnePiece:
    """What an answer is written to: its head waits for the body, so that both take one system call."""

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write the body, or what is no part of an answer, at once."""
        if self._head is None and not data.startswith(_CONTINUE):
            self._head = data
        elif self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Write what waits, and end the connection."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        """Tell whether the connection is about to end."""
        return bool(self._transport.is_closing())
