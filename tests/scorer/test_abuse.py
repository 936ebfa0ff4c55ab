"""Clients that mean harm, or go: what one of them sends costs little, and nobody else's answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from scorer.decode import Batch
from scorer.packed import Packed
from scorer.predictor.batching import BatchingPredictor, Limits
from scorer.predictor.wire import Outcome, Reply
from tests.scorer.conftest import NewImage, Serve, built
from tests.scorer.image import Image
from tests.scorer.test_connection import connected, everything
from tests.scorer.test_merging import image_of
from tests.scorer.test_protocols import send
from tests.support.service import Service

CHUNKED = b"POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
MB = 1_000_000
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def own(line_image: Image, serve: Serve) -> Iterator[Service]:
    """Serve a model to these tests alone, of whose memory nobody else takes."""
    with serve(line_image) as service:
        service.predict([[1.0]])
        yield service


def seconds_of(service: Service, path: str, body: bytes, content_type: str) -> tuple[int, float]:
    started = time.monotonic()
    status, _, _ = send(service, path, body, content_type)
    return status, time.monotonic() - started


# --- Small requests that would take long --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    ["1" * 131_000 + "x", "1" * 131_000, "1." * 50_000, "-" + "0" * 100_000 + "e", "-" + "0" * 9_000_000 + "e"],
    ids=["digits-and-a-letter", "digits", "dots", "exponent", "megabytes"],
)
def test_long_cell_of_csv_is_read_in_no_time(own: Service, cell: str) -> None:
    status, took_s = seconds_of(own, "/invocations", f"{cell}\n".encode(), "text/csv; header=absent")
    assert status == 400
    assert took_s < 5


def test_content_type_of_a_form_is_read_in_no_time(own: Service) -> None:
    long = 'multipart/form-data; boundary=b; x="' + ";" * 15_000
    assert seconds_of(own, "/predict", b"x", long)[0] == 400
    headers = b"--b\r\nContent-Disposition: form-data; name=a" + b";" * 8000 + b"\r\n\r\n1\r\n"
    assert seconds_of(own, "/predict", headers * 64 + b"--b--", "multipart/form-data; boundary=b")[0] == 400


def test_names_of_millions_of_columns_are_looked_up_in_no_time(houses: Service) -> None:
    names = [""] * 1_000_000 + ["rooms", "area", "town", "garden"]
    body = json.dumps({"columns": names, "data": []}, separators=(",", ":")).encode()
    status, took_s = seconds_of(houses, "/predict", body, "application/json")
    assert status == 400
    assert took_s < 10


def test_numpys_header_with_a_number_that_python_does_not_write_is_refused(own: Service) -> None:
    for digits in (400, 4000):
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (0x" + b"f" * digits + b",), }"
        body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
        status, _, text = send(own, "/invocations", body, "application/x-npy")
        assert status == 400, text


@pytest.fixture(scope="module")
def days(new_image: NewImage, serve: Serve) -> Iterator[Service]:
    frame = pd.DataFrame({"day": pd.to_datetime(["2020-01-01", "2021-02-03", "2022-03-04"])})
    encoder = ColumnTransformer([("day", OneHotEncoder(handle_unknown="ignore"), ["day"])]).fit(frame)
    stages = [encoder, DecisionTreeClassifier().fit(encoder.transform(frame), ["a", "b", "c"])]
    with serve(built(new_image(), stages, frame)) as service:
        yield service


def test_long_time_is_read_in_no_time(days: Service) -> None:
    assert days.predict([{"day": "2021-02-03"}]) == ["b"]
    body = json.dumps([{"day": "1" * 2_000_000}]).encode()
    status, took_s = seconds_of(days, "/predict", body, "application/json")
    assert status == 400
    assert took_s < 5


# --- Small requests that would take much memory -------------------------------------------------------------------


class Peak:
    """How many bytes a worker takes at most from here on, beside what it has."""

    def __init__(self, service: Service) -> None:
        (self._worker,) = service.workers(1)
        self._before = self._bytes("VmRSS")
        Path(f"/proc/{self._worker}/clear_refs").write_text("5")  # Resets it (proc(5)).

    def growth(self) -> int:
        return self._bytes("VmHWM") - self._before

    def _bytes(self, field: str) -> int:
        lines = Path(f"/proc/{self._worker}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def test_line_of_a_million_cells_is_no_burden(own: Service) -> None:
    peak = Peak(own)
    assert send(own, "/invocations", b"," * MB, "text/csv; header=absent")[0] == 400
    assert peak.growth() < 150 * MB


@pytest.mark.parametrize("unit", [b"%41", b"a%41", b"%5B%22+"], ids=["escapes", "mixed", "json"])
def test_form_of_escapes_is_no_burden(own: Service, unit: bytes) -> None:
    peak = Peak(own)
    assert send(own, "/predict", b"json_args=" + unit * (16 * MB // len(unit)), FORM)[0] == 400
    assert peak.growth() < 150 * MB


def test_json_without_an_end_is_no_burden(own: Service) -> None:
    peak = Peak(own)
    assert send(own, "/predict", b"[" + b"[]," * (5 * MB), "application/json")[0] == 400
    assert peak.growth() < 200 * MB


def test_what_follows_a_body_is_neither_kept_nor_taken_for_headers(own: Service) -> None:
    peak = Peak(own)
    with connected(own) as client:
        client.sendall(CHUNKED + b"1\r\na\r\n0\r\n")
        with contextlib.suppress(OSError):
            for _ in range(20):
                client.sendall(b"ab:cd\r\n" * 150_000)
        everything(client)
    assert peak.growth() < 30 * MB


def test_headers_behind_a_body_are_no_headers(line_image: Image, serve: Serve) -> None:
    head = b"GET /metadata HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"0\r\nAuthorization: Bearer secret\r\n\r\n"
    with serve(line_image, NACHLASS_TOKEN="secret") as service:
        for pieces in ([head + trailer], [head, trailer]):
            with connected(service) as client:
                for piece in pieces:
                    client.sendall(piece)
                assert everything(client).startswith(b"HTTP/1.1 401 ")


def test_chunks_of_all_sizes_are_fine(own: Service) -> None:
    body = json.dumps([[float(i)] for i in range(20_000)]).encode()
    for size in (1, 7, 65_536):
        chunks = (body[start : start + size] for start in range(0, len(body), size))
        chunked = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
        with connected(own) as client:
            client.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked + b"0\r\nDigest: x\r\n\r\n")
            assert everything(client).startswith(b"HTTP/1.1 200 "), size


def test_pipelined_requests_wait_in_no_large_number(own: Service) -> None:
    peak = Peak(own)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(own) as client:
        asking = threading.Thread(target=_send, args=(client, request * 58_000))
        asking.start()
        answers = everything(client)
        asking.join()
    assert peak.growth() < 30 * MB
    assert answers.count(b"HTTP/1.1 200 OK") > 32
    with connected(own) as client:
        client.sendall(request * 31 + request.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        assert everything(client).count(b"HTTP/1.1 200 OK") == 32


def _send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def test_headers_behind_another_request_are_counted(own: Service) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(own) as client:
        client.sendall(first + b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 50_000)
        time.sleep(0.5)
        client.sendall(b"\r\n\r\n")
        answer = everything(client)
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    with connected(own) as client:
        client.sendall(first + b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")
        time.sleep(0.2)
        client.sendall(b"a" * 100 + b"\r\nConnection: close\r\n\r\n")
        assert everything(client).count(b"HTTP/1.1 200 OK") == 2


@pytest.fixture(scope="module")
def words(new_image: NewImage, serve: Serve) -> Iterator[Service]:
    """Serve a model that was fitted on an array of numpy's texts, each of which takes the room of the longest."""
    X = np.array([["red"], ["green"], ["blue"]])  # noqa: N806 - as scikit-learn calls it
    encoder = OneHotEncoder(handle_unknown="ignore").fit(X)
    stages = [encoder, DecisionTreeClassifier().fit(encoder.transform(X), ["r", "g", "b"])]
    with serve(built(new_image(), stages, X)) as service:
        yield service


def test_texts_of_an_array_are_not_padded_without_limit(words: Service) -> None:
    assert words.predict([["red"], ["blue"]]) == ["r", "b"]
    assert send(words, "/predict", [["a"]] * 99_999 + [["a" * 10_000]])[0] == 400
    assert send(words, "/predict", [["blue\0"]])[0] == 400
    assert words.predict([["a" * 1000]] * 1000)


# --- Connections that would never be closed -----------------------------------------------------------------------


def sockets_of(service: Service) -> int:
    (worker,) = service.workers(1)
    names = [str(path.readlink()) for path in Path(f"/proc/{worker}/fd").iterdir()]
    return sum(name.startswith("socket:") for name in names)


def test_connection_whose_answer_came_before_the_body_and_one_that_is_not_read_are_closed(own: Service) -> None:
    before = sockets_of(own)
    with contextlib.ExitStack() as stack:
        early = stack.enter_context(connected(own))
        early.sendall(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        assert early.recv(65_536).startswith(b"HTTP/1.1 404 ")
        early.sendall(b"b")
        unread = []
        for count in (5, 10, 20, 30):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", own.port))
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * count)
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            unread.append(client)
        time.sleep(1)
        assert sockets_of(own) > before
        deadline = time.monotonic() + 120
        while sockets_of(own) > before:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        assert everything(early) == b""


def test_refusal_of_a_pipelined_request_is_not_taken_for_the_answer_of_the_one_before_it(own: Service) -> None:
    body = b"[[1.0]]"
    first = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n" + body
    with connected(own) as client:
        client.sendall(first + b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = everything(client)
    assert answer.startswith(b"HTTP/1.1 200 ")


# --- Clients that go ----------------------------------------------------------------------------------------------


def test_nothing_is_predicted_for_those_who_have_gone(new_image: NewImage, serve: Serve) -> None:
    image, _ = image_of(new_image, "Stalling")
    body = json.dumps([[1.0]] * 2).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with serve(image, NACHLASS_QUEUE="20") as service:
        with contextlib.ExitStack() as stack:  # The first of them stalls.
            for client in [stack.enter_context(connected(service)) for _ in range(20)]:
                client.sendall(head % len(body) + body)
            time.sleep(0.5)
        assert service.post("/predict", json_body=[[5.0]]).json() == [10.0]
        assert service.log().count("rows: 2\n") <= 2
        assert "Traceback" not in service.log()
        metrics = service.get("/metrics").text
    assert 'status="499"' in metrics


def test_body_that_is_cut_off_is_not_predicted_for(line_image: Image, serve: Serve) -> None:
    with serve(line_image) as service:
        for framing in (
            b"Content-Length: 1000\r\n\r\n1.0\n2.0\n",
            b"Transfer-Encoding: chunked\r\n\r\n8\r\n1.0\n2.0\n\r\n",
        ):
            with connected(service) as client:
                client.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n" + framing)
                time.sleep(0.2)
        deadline = time.monotonic() + 10
        while (metrics := service.get("/metrics").text).count('status="400"') < 1:
            assert time.monotonic() < deadline, metrics
            time.sleep(0.1)
        assert "nachlass_rows_total 0.0" in metrics


# --- Rows that are on their way while merging ends -----------------------------------------------------------------


class Link:
    """A predictor that answers when the test says so."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def call(self, _methods: object, parts: Sequence[Sequence[object]], *, checked: list[int]) -> None:
        del checked
        self.calls.append([len(part) for part in parts])


def test_sliced_request_is_answered_though_merging_ends_meanwhile() -> None:
    async def sliced() -> list[list[Any]]:
        keeper, other = socket.socketpair()
        with keeper, other:
            limits = Limits(predict_timeout_s=60, queue=10, merges=True, overlaps=True)
            predictor = BatchingPredictor(keeper, limits, MagicMock())
            link = predictor._link = Link()  # type: ignore[assignment]
            for _ in range(200):
                for rows in (1, 1000):
                    predictor._pace.observe(rows, 0.02)
            asked = [
                asyncio.create_task(predictor.predict(Batch(rows=[0] * rows), size_bytes=1)) for rows in (400, 600)
            ]
            await asyncio.sleep(0.01)
            ((first, taken),) = link.calls
            assert (first, taken < 600) == (400, True)
            reply: Reply = (0.02, [("values", [1] * first), ("values", [1] * taken)], True)
            predictor._is_answered(reply)
            assert link.calls[1:] == [[600]]
            predictor._is_answered((0.02, [("values", [2] * 600)], False))
            return await asyncio.wait_for(asyncio.gather(*asked), 5)

    assert asyncio.run(sliced()) == [[1] * 400, [2] * 600]


def test_request_waits_for_the_unpacking_of_one_table_at_most() -> None:
    async def order() -> list[Any]:
        keeper, other = socket.socketpair()
        with keeper, other:
            limits = Limits(predict_timeout_s=60, queue=10, merges=True, overlaps=True)
            predictor = BatchingPredictor(keeper, limits, MagicMock())
            link = predictor._link = Link()  # type: ignore[assignment]
            packed = Packed(form="parquet", data=b"", wanted=None, max_rows=1, max_bytes=1)
            tables = [asyncio.create_task(predictor.unpack(packed)) for _ in range(3)]
            await asyncio.sleep(0.01)
            asked = asyncio.create_task(predictor.predict(Batch(rows=[0, 0]), size_bytes=1))
            await asyncio.sleep(0.01)
            table: Outcome = ("values", [("table", [], [], [])])
            predictor._is_answered((0.1, [table], False))
            predictor._is_answered((0.1, [("values", [1, 1])], False))
            assert await asyncio.wait_for(asked, 5) == [1, 1]
            for _ in range(2):
                predictor._is_answered((0.1, [table], False))
            await asyncio.wait_for(asyncio.gather(*tables), 5)
            return link.calls

    assert asyncio.run(order()) == [[1], [2], [1], [1]]
