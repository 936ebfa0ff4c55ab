"""Clients that ask for another protocol, or for another version of HTTP, and what follows on their connection."""

from __future__ import annotations

import json
import time

import pytest

from tests.scorer.test_connection import connected, everything
from tests.support.service import Service

WISHES = {
    "java": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n",
}
BODIES = {
    "length": b'Content-Length: 9\r\n\r\n["tasty"]',
    "chunks": b'Transfer-Encoding: chunked\r\n\r\n4\r\n["ta\r\n5\r\nsty"]\r\n0\r\n\r\n',
}
POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("cut", [0, 40, -5], ids=["whole", "in-the-headers", "in-the-body"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("wish", WISHES.values(), ids=WISHES)
def test_wish_for_another_protocol_is_ignored(spam: Service, wish: bytes, body: bytes, cut: int) -> None:
    request = POST + wish + body
    with connected(spam) as client:
        client.sendall(request[:cut])
        time.sleep(0.1 if cut else 0)
        client.sendall(request[cut:] + LAST)
        answers = everything(client)
    assert answers.count(b"HTTP/1.1 200 ") == 2, answers
    assert b'["spam"]' in answers
    assert "uvicorn[standard]" not in spam.log()


def test_body_behind_a_wish_is_no_request(spam: Service) -> None:
    inner = b"GET /metadata HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(spam) as client:
        client.sendall(POST + WISHES["java"] + b"Content-Length: %d\r\n\r\n" % (10 + len(inner)) + b"x" * 10)
        client.sendall(inner + LAST)
        answers = everything(client)
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 2, "and that of the last request"


def test_many_wishes_wait_as_other_requests_do(spam: Service) -> None:
    with connected(spam) as client:
        client.sendall((b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + WISHES["java"] + b"\r\n") * 2000)
        answers = everything(client)
    assert 1 <= answers.count(b"HTTP/1.1 200 ") <= 40
    assert "Traceback" not in spam.log()


def test_too_long_headers_with_a_wish_are_refused(spam: Service) -> None:
    with connected(spam) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-More: " + b"a" * 10_000 + b"\r\n")
        time.sleep(0.2)
        client.sendall(b"X-Rest: " + b"a" * 10_000 + b"\r\n" + WISHES["java"] + b"\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 431 "), answer


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /healthz HTTP/2.0", b"505"),
        (b"GET /healthz HTTP/0.9", b"505"),
        (b"GET /healthz", b"505"),
        (b"CONNECT example.org:443 HTTP/1.1", b"400"),
    ],
    ids=["2.0", "0.9", "none", "connect"],
)
def test_what_is_no_request_for_this_server_is_refused_as_all_is(spam: Service, line: bytes, status: bytes) -> None:
    with connected(spam) as client:
        client.sendall(line + b"\r\nHost: x\r\n\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "invalid-request"
    assert "Traceback" not in spam.log()
