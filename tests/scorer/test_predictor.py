"""The process that predicts: whatever the model's code does there, the service goes on and only the guilty pay."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.scorer.image import Image
from tests.support.service import Response, Service

Serve = Callable[..., Any]

# Predicts the length of each text, but does what a text that is a command says.
MOODY = """
import ctypes, os, re, signal, sys, time

class Moody:
    def fit(self, X, y=None):
        return self

    def predict(self, X):
        for text in X:
            word, _, value = text.partition(" ")
            if word == "python":
                end = time.monotonic() + float(value)
                while time.monotonic() < end:
                    pass
            elif word == "lock":  # A call that keeps the interpreter's lock.
                ctypes.PyDLL(None).usleep(int(float(value) * 1e6))
            elif word == "regex":
                re.fullmatch(r"(a|aa)+$", "a" * int(value) + "b")
            elif word == "sleep":
                time.sleep(float(value))
            elif word == "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif word == "exit":
                os._exit(int(value))
            elif word == "leave":
                sys.exit("enough")
            elif word == "memory":
                raise MemoryError
            elif word == "raise":
                raise RuntimeError("a secret of the model")
            elif word == "pid":
                return [os.getpid()] * len(X)
        return [len(text) for text in X]
"""
STAGE = b"cmoody\nMoody\n)\x81."


@pytest.fixture(scope="module")
def moody(new_image: Callable[[], Image]) -> Image:
    image = new_image()
    (image.app / "moody.py").write_text(MOODY)
    image.write_stages([STAGE])
    image.finish(image.check([["text"]]))
    return image


@pytest.fixture
def service(moody: Image, serve: Serve) -> Iterator[Service]:
    with serve(moody, NACHLASS_PREDICT_TIMEOUT="3") as service:
        yield service


@pytest.mark.parametrize("busy", ["python 10", "lock 10", "regex 60"])
def test_health_and_metrics_answer_at_once_while_a_predict_runs(moody: Image, serve: Serve, busy: str) -> None:
    with serve(moody, NACHLASS_PREDICT_TIMEOUT="2") as service, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.post, "/predict", json_body=[busy])
        time.sleep(0.3)
        seconds: list[float] = []
        while not answer.done():
            for path in ("/healthz", "/readyz", "/metrics"):
                started = time.perf_counter()
                assert service.get(path).status == 200
                seconds.append(time.perf_counter() - started)
        assert answer.result().status == 504, answer.result().text
        assert len(seconds) > 30
        assert sorted(seconds)[len(seconds) * 9 // 10] <= 0.05, seconds
        assert service.predict(["four"]) == [4]


def test_a_predict_past_its_deadline_is_given_up(service: Service) -> None:
    before = service.predict(["pid"])
    late = service.post("/predict", json_body=["sleep 60"])
    assert (late.status, late.json()["code"]) == (504, "predict-timeout")
    assert "3 s" in late.json()["error"]
    assert service.predict(["pid"]) != before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("segfault", "killed by signal 11 (SIGSEGV)"),
        ("exit 3", "exit status 3"),
    ],
)
def test_a_predict_that_ends_its_process_harms_no_other_request(service: Service, command: str, said: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        others = [pool.submit(service.post, "/predict", json_body=["sleep 0.02"]) for _ in range(20)]
        guilty = pool.submit(service.post, "/predict", json_body=[command])
        others += [pool.submit(service.post, "/predict", json_body=["four"]) for _ in range(20)]
        assert guilty.result().status == 500
        assert guilty.result().json()["code"] == "predictor-ended"
        assert {other.result().status for other in others} == {200}
    assert said in service.log()


@pytest.mark.parametrize("command", ["leave", "memory", "raise"])
def test_what_predict_raises_is_for_the_log_alone(service: Service, command: str) -> None:
    before = service.predict(["pid"])
    failed = service.post("/predict", json_body=[command])
    assert (failed.status, failed.json()["code"]) == (500, "internal-error")
    assert "secret" not in failed.text
    assert "Traceback" in service.log()
    assert failed.json()["request_id"] in service.log()
    assert service.predict(["pid"]) == before


def test_a_predictor_that_is_killed_is_replaced(service: Service) -> None:
    (predictor,) = service.predict(["pid"])
    os.kill(predictor, signal.SIGKILL)
    assert service.predict(["four"]) == [4]
    assert service.predict(["pid"]) != [predictor]
    assert "nachlass_predictor_restarts_total 1.0" in service.get("/metrics").text


def test_too_many_that_wait_are_sent_away(moody: Image, serve: Serve) -> None:
    statuses: list[Response] = []
    lock = threading.Lock()

    def ask(service: Service, text: str) -> None:
        answer = service.post("/predict", json_body=[text])
        with lock:
            statuses.append(answer)

    with serve(moody, NACHLASS_QUEUE="4") as service:
        threads = [threading.Thread(target=ask, args=(service, "sleep 1"))]
        threads[0].start()
        time.sleep(0.3)
        threads += [threading.Thread(target=ask, args=(service, "four")) for _ in range(10)]
        for thread in threads[1:]:
            thread.start()
        time.sleep(0.2)
        told = service.get("/metrics").text
        for thread in threads:
            thread.join()
        assert "nachlass_requests_waiting 4.0" in told
        assert "nachlass_requests_in_flight 5.0" in told
        assert "nachlass_requests_waiting 0.0" in service.get("/metrics").text
    refused = [answer for answer in statuses if answer.status == 503]
    assert len(refused) == 6
    assert {answer.json()["code"] for answer in refused} == {"overloaded"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    assert sum(answer.status == 200 for answer in statuses) == 5


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which processes there are")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_predictors_end_with_their_service(moody: Image, serve: Serve, number: signal.Signals) -> None:
    with serve(moody, NACHLASS_WORKERS="2") as service:
        deadline = time.monotonic() + 20
        while len(_session(service.process.pid)) < 1 + 3 + 2:  # The other worker's predictor may not be needed yet.
            assert service.predict(["four"]) == [4]
            assert time.monotonic() < deadline, service.log()
        service.process.send_signal(number)
        service.process.wait(20)
        deadline = time.monotonic() + 20
        while left := _session(service.process.pid):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which descriptors a process has")
def test_a_predictor_has_none_of_the_service_s_sockets(service: Service) -> None:
    (predictor,) = service.predict(["pid"])
    sockets = [
        link for link in Path(f"/proc/{predictor}/fd").iterdir() if str(link.readlink()).startswith(("socket:", "anon"))
    ]
    assert len(sockets) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells whose child a process is")
def test_a_worker_whose_predictor_can_t_be_started_anew_is_replaced(service: Service) -> None:
    (predictor,) = service.predict(["pid"])
    keeper = int(Path(f"/proc/{predictor}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(keeper, signal.SIGKILL)
    deadline = time.monotonic() + 20
    statuses = set()
    while (answer := service.post("/predict", json_body=["four"])).status != 200:
        statuses.add(answer.status)
        assert time.monotonic() < deadline, service.log()
    assert answer.json() == [4]
    assert statuses <= {503}


def _session(leader: int) -> set[int]:
    """Return the living processes of the session that `leader` began."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.add(int(entry.parent.name))
    return found
