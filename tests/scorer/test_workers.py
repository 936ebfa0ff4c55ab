"""Several workers: what the end of one costs, and whom."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.service import children

CLIENTS = 8


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def send_until(end: threading.Event, port: int) -> tuple[int, int]:
    """Send requests, on one connection for as long as it lasts; return how many were answered, and how many lost."""
    answered = lost = 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not end.is_set():
        try:
            connection.request("POST", "/predict", json.dumps(["dinner"]), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text: Any = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            connection.close()
            lost += 1
            continue
        assert (answer.status, text) == (200, ["spam"])
        answered += 1
    connection.close()
    return answered, lost


def test_a_killed_worker_takes_only_its_requests_in_flight_with_it(spam_image: Image, serve: Serve) -> None:
    with serve(spam_image, NACHLASS_WORKERS="2") as service, ThreadPoolExecutor(CLIENTS) as pool:
        workers = service.workers(2)
        end = threading.Event()
        clients = [pool.submit(send_until, end, service.port) for _ in range(CLIENTS)]
        time.sleep(0.5)
        killed = min(workers)
        predictors = children(killed)
        os.kill(killed, signal.SIGKILL)
        service.workers(2, without={killed})
        time.sleep(0.5)
        end.set()
        results = [client.result() for client in clients]
        assert all(lost <= 1 for _, lost in results), results
        assert all(answered > 10 for answered, _ in results), results
        deadline = time.monotonic() + 30
        while any(map(lives, predictors)):
            assert time.monotonic() < deadline, "its predictor lives on"
            time.sleep(0.02)
        assert service.predict(["dinner"]) == ["spam"]
