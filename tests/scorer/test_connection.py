"""Clients that send too much, too slowly or nothing at all, and those that are there when the service is to end."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.scorer.image import Image
from tests.support.facilities import MANY_FILES, require
from tests.support.service import Service

Serve = Callable[..., Any]

POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def connected(service: Service) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", service.port), timeout=100) as client:
        yield client


def everything(client: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            received += data
    return received


def memory_of(pid: int) -> int:
    """Return the resident bytes of a process and its descendants."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
            if int(fields["PPid"]) == pid or int(fields["Pid"]) == pid:
                total += int(fields["VmRSS"].split()[0]) * 1024
    return total


@pytest.mark.parametrize("version", [b"0.9", b"2.0"])
@pytest.mark.parametrize("request_line", [b"GET /healthz", b"POST /predict", b"GET /nowhere"])
def test_other_versions_of_http_are_refused(spam: Service, request_line: bytes, version: bytes) -> None:
    with connected(spam) as client:
        client.sendall(request_line + b" HTTP/" + version + b"\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n")
        head, _, body = everything(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 505 ")
    assert b"content-type: application/json" in head
    assert b"x-request-id: mine" in head
    told = {"error": f"This service speaks HTTP/1.1, not HTTP/{version.decode()}.", "code": "invalid-request"}
    assert json.loads(body) == told
    assert "Traceback" not in spam.log()


@pytest.mark.parametrize(
    "headers",
    [b"X-Long: " + b"a" * 20_000 + b"\r\n", b"".join(b"X-%d: a\r\n" % i for i in range(101))],
    ids=["long", "many"],
)
def test_too_much_of_headers_is_refused(spam: Service, headers: bytes) -> None:
    with connected(spam) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n" + headers + b"\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 431 "), answer
    assert b"\r\nx-request-id: mine\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "headers-too-large"


def test_many_headers_are_fine(spam: Service) -> None:
    headers = {f"X-{i}": "a" * 100 for i in range(90)}
    assert spam.request("GET", "/healthz", None, headers).status == 200


def test_a_hundred_megabytes_of_headers_take_no_memory(spam: Service) -> None:
    before = memory_of(spam.process.pid)
    for _ in range(3):
        with connected(spam) as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
            for _ in range(100):
                client.sendall(b"a" * 1_000_000)
    assert memory_of(spam.process.pid) - before < 5_000_000


def test_no_http_is_answered_as_every_mistake_is(spam: Service) -> None:
    with connected(spam) as client:
        client.sendall(b"\0\1\2 nonsense\r\n\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "invalid-request"


def test_a_refusal_has_an_id_but_not_that_of_the_request_before(spam: Service) -> None:
    with connected(spam) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        client.sendall(b"nonsense\r\n\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert re.search(rb"\r\nx-request-id: [A-Za-z0-9-]{16,64}\r\n", answer), answer


def test_a_client_that_asks_whether_to_send_too_much_is_told_not_to(spam: Service) -> None:
    fields = b"Expect: 100-continue\r\nX-Request-ID: mine\r\nContent-Length: 999999999\r\n"
    with connected(spam) as client:
        client.sendall(POST + fields + b"\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 413 "), answer
    assert b"\r\nx-request-id: mine\r\n" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too-large"


def test_a_client_that_asks_whether_to_send_what_is_taken_is_told_to(spam: Service) -> None:
    body = json.dumps(["Win money"]).encode()
    with connected(spam) as client:
        client.sendall(POST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert everything(client).startswith(b"HTTP/1.1 200 ")


def _after(service: Service, pieces: list[bytes], pause_s: float) -> tuple[float, bytes]:
    """Send pieces with pauses between them; return the seconds until the connection ended, and what came."""
    with connected(service) as client:
        started = time.monotonic()
        answer = b""
        client.settimeout(pause_s)
        for piece in pieces:
            try:
                client.sendall(piece)
                data = client.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
            answer += data
            break
        client.settimeout(100)
        answer += everything(client)
        return time.monotonic() - started, answer


def test_who_is_slow_is_not_waited_for(spam: Service) -> None:
    dripping_headers = [POST, *[b"X-A: b\r\n"] * 60]
    stopping_body = [POST + b"Content-Length: 100\r\n\r\n", b'["']
    dripping_body = [POST + b"Content-Length: 1000\r\n\r\n", *[b" "] * 200]
    with ThreadPoolExecutor(3) as pool:
        headers = pool.submit(_after, spam, dripping_headers, 0.5)
        stopped = pool.submit(_after, spam, stopping_body, 0.1)
        dripped = pool.submit(_after, spam, dripping_body, 1.0)
        assert spam.predict(["tasty"]) == ["spam"]
        for future, low, high in ((headers, 9, 14), (stopped, 9, 14), (dripped, 59, 65)):
            seconds, answer = future.result()
            assert low < seconds < high, answer
            assert answer.startswith(b"HTTP/1.1 408 "), answer
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "request-timeout"
    assert "Traceback" not in spam.log()


def test_who_reads_nothing_is_cut_off(spam: Service) -> None:
    requests = 20_000  # Their answers are more than the buffers of both sides hold.
    with connected(spam) as client:
        asking = threading.Thread(target=_send, args=(client, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * requests))
        asking.start()
        with ThreadPoolExecutor(1) as pool:
            steady = pool.submit(_read_steadily, spam, 45)
            time.sleep(40)
            answers = everything(client)
            asking.join()
            length, expected = steady.result()
    assert length == expected, "who reads slowly is waited for"
    assert 0 < answers.count(b"HTTP/1.1 200 OK") < requests


def _read_steadily(service: Service, seconds: float) -> tuple[int, int]:
    """Read an answer of megabytes slowly for a while, then the rest; return its length, and what it says of that."""
    body = json.dumps(["tasty"] * 100_000).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.connect(("127.0.0.1", service.port))
        client.settimeout(100)
        head = POST.replace(b"/predict", b"/predict?probabilities=true")
        client.sendall(head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        received = client.recv(65_536)
        started = time.monotonic()
        while time.monotonic() - started < seconds:
            received += client.recv(8192)
            time.sleep(0.1)
        received += everything(client)
    headers, _, answer = received.partition(b"\r\n\r\n")
    return len(answer), int(headers.lower().partition(b"content-length: ")[2].split()[0])


def _send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def open_many_files() -> None:
    require("files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def test_ten_thousand_idle_connections(spam: Service) -> None:
    open_many_files()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(spam)) for _ in range(10_000)]
        started = time.perf_counter()
        assert spam.predict(["tasty"]) == ["spam"]
        assert time.perf_counter() - started < 1
        clients[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert clients[-1].recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("when", ["from-the-start", "later"])
def test_more_connections_than_files_cost_those_that_are_idle(spam_image: Image, serve: Serve, when: str) -> None:
    open_many_files()
    with contextlib.ExitStack() as stack:
        limited = ("sh", "-c", 'ulimit -n 300; exec "$@"', "sh") if when == "from-the-start" else ()
        service = stack.enter_context(serve(spam_image, before=limited))
        if when == "later":  # As where the machine has no more of them: nobody can know before.
            (worker,) = service.workers(1)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (100, 300))
        clients = [stack.enter_context(connected(service)) for _ in range(600)]
        started = time.monotonic()
        for _ in range(3):
            assert service.request("GET", "/metrics").status == 200
            assert service.predict(["tasty"]) == ["spam"]
        assert time.monotonic() - started < 20
        assert everything(clients[0]) == b""
    log = service.log()
    assert "Raise the limit" in log
    assert "Traceback" not in log
    assert len(log) < 20_000


def test_a_refusal_waits_for_the_answers_before_it(spam: Service) -> None:
    request = POST + b'Content-Length: 9\r\n\r\n["tasty"]'
    with connected(spam) as client:
        client.sendall(request + b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b'["spam"]')


def test_a_body_that_is_no_http_is_refused_at_once(spam: Service) -> None:
    with connected(spam) as client:
        client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\nno number\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert spam.predict(["tasty"]) == ["spam"]


def test_an_ending_service_answers_all_that_still_come(spam_image: Image, serve: Serve) -> None:
    """Clients with pooled connections that try nothing twice: each leaves a connection that says that it closes."""
    failures: list[str] = []
    answered: list[float] = []
    leave = threading.Event()

    def work(service: Service) -> None:
        connection: http.client.HTTPConnection | None = None
        while not leave.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=20)
            try:
                connection.request("POST", "/predict", '["tasty"]', {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                failures.append(repr(error))
                return
            if body != b'["spam"]':
                failures.append(f"{answer.status} {body!r}")
            answered.append(time.monotonic())
            if answer.getheader("Connection") == "close":
                connection.close()
                connection = None
            time.sleep(0.005)

    with serve(spam_image, NACHLASS_DRAIN="4", NACHLASS_WORKERS="2") as service, ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(work, service) for _ in range(8)]
        time.sleep(1)
        asked = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        ready = service.get("/readyz")
        assert (ready.status, ready.json()) == (503, {"status": "ending"})
        assert service.get("/healthz").headers["connection"] == "close"
        time.sleep(2.5)
        leave.set()
        for worker in workers:
            worker.result()
        assert service.process.wait(20) == 0
        assert time.monotonic() - asked < 10
    assert not failures
    assert max(answered) - asked > 2
