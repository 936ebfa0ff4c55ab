"""Plain requests for predictions go around Falcon, and are answered as those are that don't."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any

import pytest

from scorer import app
from scorer.direct import Direct
from scorer.resources.scoring import Scoring
from tests.support.service import Service

JSON = {"Content-Type": "application/json"}
ROWS = json.dumps(["tasty", "Win money"])


@pytest.mark.parametrize("path", ["/predict", "/score", "/invocations"])
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param(ROWS, JSON, id="rows"),
        pytest.param(ROWS, {**JSON, "X-Request-ID": "mine"}, id="its-own-id"),
        pytest.param(ROWS, {**JSON, "X-Request-ID": "no id!"}, id="no-id"),
        pytest.param(ROWS, {**JSON, "Accept": "text/html"}, id="not-acceptable"),
        pytest.param(ROWS, {**JSON, "Accept": ""}, id="accepts-anything"),
        pytest.param(ROWS, {"Content-Type": "text/plain"}, id="media-type"),
        pytest.param(ROWS, {"Content-Type": "application/json; charset=latin-1"}, id="charset"),
        pytest.param(ROWS, {}, id="no-media-type"),
        pytest.param("[", JSON, id="no-json"),
        pytest.param("", JSON, id="empty"),
        pytest.param("[[1]]", JSON, id="wrong"),
        pytest.param("json_args=%5B%22tasty%22%5D", {"Content-Type": "application/x-www-form-urlencoded"}, id="form"),
        pytest.param(None, {**JSON, "Content-Encoding": "gzip", "Content-Length": "0"}, id="compressed"),
    ],
)
@pytest.mark.parametrize("query", ["", "?probabilities=true", "?probabilities=%FF"], ids=["plain", "query", "no-text"])
def test_a_slash_at_the_end_changes_nothing(
    spam: Service, path: str, query: str, body: str | None, fields: Mapping[str, str]
) -> None:
    direct, through = (spam.request("POST", where + query, body, fields) for where in (path, f"{path}/"))
    assert direct.status == through.status
    assert direct.text == through.text
    ignored = {"date", "x-request-id"} if fields.get("X-Request-ID") != "mine" else {"date"}
    told, also_told = (
        {name: value for name, value in each.headers.items() if name not in ignored} for each in (direct, through)
    )
    assert told == also_told
    assert all("x-request-id" in each.headers for each in (direct, through))


@pytest.mark.parametrize(
    ("version", "fields", "times"),
    [
        pytest.param("1.1", "", 3, id="one-behind-the-other"),
        pytest.param("1.1", "Connection: close\r\n", 1, id="last"),
        pytest.param("1.0", "", 1, id="old"),
        pytest.param("1.0", "Connection: keep-alive\r\n", 1, id="old-that-stays"),
        pytest.param("1.1", "Expect: 100-continue\r\n", 1, id="asks-first"),
    ],
)
def test_a_connection_goes_on_or_ends_as_it_does_with_a_slash(
    spam: Service, version: str, fields: str, times: int
) -> None:
    def told(path: str) -> list[str]:
        head = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\nX-Request-ID: mine\r\n"
        request = f"{head}{fields}Content-Length: {len(ROWS)}\r\n\r\n{ROWS}"
        last = "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", spam.port), timeout=60) as client:
            client.sendall((request * times + last).encode())
            with client.makefile("rb") as answer:
                lines = answer.read().decode().split("\r\n")
        return sorted(line for line in lines if not line.startswith("date: "))

    direct = told("/predict")
    assert direct == told("/predict/")
    assert sum("200 OK" in line for line in direct) in (times, times + 1)


def test_what_is_declared_too_long_is_refused_before_it_comes(spam: Service) -> None:
    answer = spam.request("POST", "/predict", None, {**JSON, "Content-Length": "999999999"})
    assert answer.status == 413
    assert answer.json()["code"] == "too-large"


@pytest.mark.parametrize("path", ["/predict", "/predict/"])
def test_what_is_asked_first_and_too_long_is_refused_on_both_ways(spam: Service, path: str) -> None:
    fields = f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 999999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", spam.port), timeout=60) as client:
        client.sendall(fields.encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")


class Broken(Scoring):
    """Fails where no protocol can say so: the memory for metrics is full, say."""

    def __init__(self) -> None:
        pass

    async def on_post(self, *_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")


def test_an_error_of_our_own_is_answered_as_falcon_answers_it() -> None:
    sent: list[Any] = []

    async def send(event: Any) -> None:
        sent.append(event)

    async def never(*_: Any) -> None:
        raise AssertionError

    scope = {"method": "POST", "path": "/predict", "query_string": b"", "headers": [(b"host", b"x")]}
    asyncio.run(Direct(never, {"/predict": Broken()}, refuse=app._refuse)(scope, never, send))
    assert sent[0]["status"] == 500
    told = json.loads(sent[1]["body"])
    assert told["code"] == "internal-error"
    assert (b"x-request-id", told["request_id"].encode()) in sent[0]["headers"]


def test_fields_that_come_twice_are_one_list(spam: Service) -> None:
    accepts = b"Accept: text/html\r\nAccept: application/json\r\n"
    fields = b"Host: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    with socket.create_connection(("127.0.0.1", spam.port), timeout=60) as client:
        client.sendall(b"POST /score HTTP/1.1\r\n" + fields + accepts + b'\r\n["tasty"]')
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
