"""For as long as NACHLASS_TEST_SOAK_S says: whatever clients do, the service keeps its size.

Its figures are printed (`pytest -s`), for an hour's run to be told of. Each client waits for
NACHLASS_TEST_SOAK_PAUSE_S between its requests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.service import Service, children

SECONDS = float(os.environ.get("NACHLASS_TEST_SOAK_S", "12"))
KILLS_EVERY_S = 2.0
PAUSE_S = float(os.environ.get("NACHLASS_TEST_SOAK_PAUSE_S", "0.005"))
MOST_GROWTH_BYTES = 3 * 1024 * 1024
JSON = {"Content-Type": "application/json"}


class Clients:
    """Threads that ask until they are told to stop; what they get is counted by its status."""

    def __init__(self, service: Service) -> None:
        self.port = service.port
        self.end = threading.Event()
        self.statuses: dict[int, int] = {}
        self.threads = [threading.Thread(target=self.repeat, args=(each,)) for each in (self.good, self.bad, self.gone)]

    def repeat(self, ask: Callable[[], None]) -> None:
        while not self.end.wait(PAUSE_S):
            with contextlib.suppress(OSError, http.client.HTTPException):
                ask()

    def good(self) -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            for number in range(50):
                self.ask(
                    connection, "POST", "/predict?probabilities=true", json.dumps([f"dinner {number}", "a watch"]), JSON
                )
                self.ask(connection, "GET", "/metrics")
                if self.end.wait(PAUSE_S):
                    return

    def bad(self) -> None:
        for method, path, body, headers in (
            ("POST", "/predict", "[1, ", JSON),
            ("POST", "/predict", json.dumps([{"a": "b"}] * 100), JSON),
            ("POST", "/invocations", "x" * 2_000_000, {"Content-Type": "text/csv"}),
            ("POST", f"/v1/models/{time.time_ns()}:predict", "{}", JSON),
            ("GET", f"/{time.time_ns()}", None, {}),
            ("PUT", "/predict", "", {}),
            ("GET", "/", None, {"X-Long": "x" * 20_000}),
        ):
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
                self.ask(connection, method, path, body, headers)

    def gone(self) -> None:
        """Leave in the middle of a request."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n[1")

    def ask(self, connection: Any, method: str, path: str, body: str | None = None, headers: Any = None) -> None:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1


def size(pid: int) -> tuple[int, int]:
    """Return a process' own memory in bytes, and how many file descriptors it has."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")) * 1024
    return private, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def predictor_of(worker: int) -> int:
    (keeper,) = children(worker)
    (predictor,) = children(keeper)
    return predictor


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how large a process is")
def test_the_service_keeps_its_size(spam_image: Image, serve: Serve) -> None:
    with serve(spam_image, NACHLASS_WORKERS="2", NACHLASS_MAX_BODY_BYTES="1000000", NACHLASS_ACCESS_LOG="1") as service:
        workers = service.workers(2)
        clients = Clients(service)
        for thread in clients.threads:
            thread.start()
        sizes: dict[int, list[tuple[int, int]]] = {pid: [] for pid in {service.process.pid, *workers}}
        kills = 0
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                time.sleep(min(KILLS_EVERY_S, SECONDS / 12))
                for pid, found in sizes.items():
                    found.append(size(pid))
                if len(sizes[service.process.pid]) % 3 == 0:
                    with contextlib.suppress(ValueError, ProcessLookupError):  # One is just being replaced.
                        os.kill(predictor_of(sorted(workers)[kills % 2]), signal.SIGKILL)
                        kills += 1
        finally:
            clients.end.set()
            for thread in clients.threads:
                thread.join()
        assert service.workers(2) == workers, service.log()[-2000:]
    assert kills
    assert {200, 400, 404, 405, 413, 431} <= clients.statuses.keys(), clients.statuses
    assert set(clients.statuses) <= {200, 400, 404, 405, 413, 415, 431, 500, 503}, clients.statuses
    for pid, found in sizes.items():
        third = len(found) // 3
        early, late = (
            statistics.median(memory for memory, _ in part) for part in (found[third : 2 * third], found[-third:])
        )
        most_files = [max(files for _, files in part) for part in (found[third : 2 * third], found[-third:])]
        print(  # noqa: T201 - it is what an hour's run is for
            f"\n{pid}: {early / 2**20:.1f} MiB, then {late / 2**20:.1f}; at most {most_files} files; {clients.statuses}"
        )
        assert late - early < MOST_GROWTH_BYTES
        assert most_files[1] <= most_files[0] + 8  # Connections that are just being answered.
