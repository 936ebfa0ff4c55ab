"""Which requests share a call of predict, and that nobody can tell from the answers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import all_estimators

from scorer.decode import Batch
from scorer.predictor.batching import BatchingPredictor, Limits
from scorer.predictor.wire import Reply
from scorer.reviewed import REVIEWED
from tests.scorer import models
from tests.scorer.image import Image
from tests.support.service import Service

Serve = Callable[..., Any]
NewImage = Callable[[], Image]

# Each predicts the double of its one column, in its own way; the first says in the log how many rows it was given.
STEPS = """
import sys, time
import numpy as np

class Step:
    def fit(self, X, y=None):
        return self

class Telling(Step):
    def predict(self, X):
        print("rows:", len(X), file=sys.stderr, flush=True)
        if (X < 0).any():
            raise ValueError("negative")
        return [2 * row[0] for row in X.tolist()]

class Stalling(Telling):
    has_stalled = False

    def predict(self, X):
        if len(X) > 1 and not Stalling.has_stalled:
            Stalling.has_stalled = True
            time.sleep(1)
        return super().predict(X)

class Centred(Step):
    def predict(self, X):
        return (2 * X[:, 0] - X[:, 0].mean()).tolist()

class Sorted(Step):
    def predict(self, X):
        return sorted(2 * X[:, 0])

class Dawdling(Telling):
    def predict(self, X):
        if len(X) > 1 or X[0, 0] == 7:
            time.sleep(0.3)
        return super().predict(X)

class Heavy(Telling):
    def predict(self, X):
        time.sleep(0.01)
        return super().predict(X)

class Sneaky(Step):
    def predict(self, X):
        time.sleep(0.003)
        return [value + (len(X) > 1 and value == 1000.5) for value in X[:, 0].tolist()]
"""


def image_of(new_image: NewImage, step: str, sample: Any = ((1.0,), (2.0,), (3.0,))) -> tuple[Image, dict[str, Any]]:
    image = new_image()
    (image.app / "steps.py").write_text(STEPS)
    image.write_stages([b"csteps\n%b\n)\x81." % step.encode()])
    report = image.check([np.array(sample)])
    image.finish(report)
    return image, report["model"]["merging"]


def merging_of(new_image: NewImage, stages: list[Any], sample: Any) -> dict[str, Any]:
    image = new_image()
    image.write_stages(stages)
    report = image.check([sample])
    assert report["ok"], report
    found: dict[str, Any] = report["model"]["merging"]
    return found


def call_sizes(service: Service) -> list[int]:
    return [int(size) for size in re.findall(r"^rows: (\d+)$", service.log(), re.MULTILINE)]


@pytest.mark.parametrize(
    ("stages", "sample"),
    [
        (models.text_stages, models.TEXTS),
        (models.flower_stages, models.FLOWERS),
        (models.house_stages, models.HOUSES),
        (models.line_stages, [[1.0], [3.0]]),
    ],
    ids=["texts", "array", "frame", "line"],
)
def test_models_of_scikit_learn_share(new_image: NewImage, stages: Callable[[], list[Any]], sample: Any) -> None:
    merging = merging_of(new_image, stages(), sample)
    assert (merging["is_reviewed"], merging["is_proven"]) == (True, True), merging


def test_long_and_short_requests_get_their_own_answers(new_image: NewImage, serve: Serve) -> None:
    """Many rows of numbers travel in one piece, few as lists, with a missing value as well: all of them merge."""
    X = np.array([[1.0, 10.0], [2.0, 30.0], [4.0, 20.0], [np.nan, 5.0]])  # noqa: N806 - as scikit-learn calls it
    imputer = SimpleImputer().fit(X)
    model = LinearRegression().fit(imputer.transform(X), [1.0, 2.0, 3.0, 4.0])
    requests: list[list[list[float | None]]] = [
        [[n + 0.5 * i, 3 * i] for i in range(size)] for n, size in enumerate([1, 7, 8, 64, 500, 2000] * 10)
    ]
    requests += [[[None, i] for i in range(size)] for size in (1, 8, 100)]
    image = new_image()
    image.write_stages([imputer, model])
    image.finish(image.check([X]))

    def expected(rows: list[list[float | None]]) -> list[float]:
        found: list[float] = model.predict(imputer.transform(np.array(rows, dtype=np.float64))).tolist()
        return found

    with serve(image) as service, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda rows: service.post("/predict", json_body=rows).json(), requests))
        for rows, answer in zip(requests, answers, strict=True):
            assert answer == pytest.approx(expected(rows), rel=1e-12)
        metrics = service.get("/metrics").text
    assert f"nachlass_rows_total {float(sum(map(len, requests)))}" in metrics
    assert 'nachlass_column_missing_total{column="0"} 109.0' in metrics, metrics


def test_a_function_of_all_rows_is_not_reviewed(new_image: NewImage) -> None:
    X = np.array([[1.0], [2.0], [4.0]])  # noqa: N806 - as scikit-learn calls it
    stages = [FunctionTransformer(np.log).fit(X), LinearRegression().fit(np.log(X), [1, 2, 3])]
    merging = merging_of(new_image, stages, X)
    assert (merging["is_reviewed"], merging["is_proven"]) == (False, True)
    assert "FunctionTransformer" in merging["reason"]


@pytest.mark.parametrize("step", ["Centred", "Sorted"])
def test_rows_that_depend_on_others_are_found_out(new_image: NewImage, serve: Serve, step: str) -> None:
    image, merging = image_of(new_image, step)
    assert not merging["is_proven"]
    assert "answered otherwise" in merging["reason"]
    with serve(image, NACHLASS_BATCH="on") as service, ThreadPoolExecutor(16) as pool:
        values = [float(value) for value in range(200)]
        alone = [[value] if step == "Centred" else [2 * value] for value in values]
        assert list(pool.map(lambda value: service.post("/predict", json_body=[[value]]).json(), values)) == alone


@pytest.mark.parametrize(("batch", "shares"), [("on", True), ("auto", False), ("exact", False)])
def test_steps_of_the_author_s_share_when_asked_to(
    new_image: NewImage, serve: Serve, batch: str, *, shares: bool
) -> None:
    image, merging = image_of(new_image, "Telling")
    assert (merging["is_reviewed"], merging["is_proven"]) == (False, True)
    with serve(image, NACHLASS_BATCH=batch) as service:
        assert service.get("/metadata").json()["merging"] == merging
        # All are there before the first is read.
        with ThreadPoolExecutor(32) as pool:
            values = [float(value) for value in range(300)]
            answers = list(pool.map(lambda value: service.post("/predict", json_body=[[value]]).json(), values))
        assert answers == [[2 * value] for value in values]
        assert (max(call_sizes(service)) > 1) == shares


def test_a_bad_row_fails_its_request_alone(new_image: NewImage, serve: Serve) -> None:
    image, _ = image_of(new_image, "Telling")
    with serve(image, NACHLASS_BATCH="on") as service, ThreadPoolExecutor(32) as pool:
        values = [-1.0 if value % 10 == 3 else float(value) for value in range(300)]
        answers = list(pool.map(lambda value: service.post("/predict", json_body=[[value]]), values))
        assert [answer.status for answer in answers] == [500 if value < 0 else 200 for value in values]
        assert all(answer.json() == [2 * value] for answer, value in zip(answers, values, strict=True) if value >= 0)
        assert max(call_sizes(service)) > 1


def test_a_call_that_took_long_by_chance_does_not_end_sharing(new_image: NewImage, serve: Serve) -> None:
    image, _ = image_of(new_image, "Stalling")
    with serve(image, NACHLASS_BATCH="on") as service, ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda value: service.predict([[float(value)]]), range(600)))
        sizes = call_sizes(service)
        assert max(sizes[len(sizes) // 2 :]) > 1


def test_long_requests_are_predicted_in_slices(new_image: NewImage, serve: Serve) -> None:
    image, _ = image_of(new_image, "Telling")
    rows = [[float(value)] for value in range(5000)]
    with serve(image, NACHLASS_BATCH="on") as service:
        assert service.predict(rows) == [2 * row[0] for row in rows]
        assert max(call_sizes(service)) <= 1024
        assert sum(call_sizes(service)) == 5000
    with serve(image, NACHLASS_BATCH="exact") as service:
        assert service.predict(rows) == [2 * row[0] for row in rows]
        assert call_sizes(service) == [5000]


def test_requests_of_many_rows_fill_calls_though_none_comes_with_one(new_image: NewImage, serve: Serve) -> None:
    image, _ = image_of(new_image, "Heavy")
    rows = [[float(value)] for value in range(64)]
    with serve(image, NACHLASS_BATCH="on") as service, ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda _: service.predict(rows), range(400)))
        sizes = call_sizes(service)
    assert all(answer == [2 * row[0] for row in rows] for answer in told)
    assert sum(sizes) == 400 * 64
    assert 1 in sizes, "a row alone, to know what a call takes"
    assert sum(sizes) / len(sizes) > 128, "two requests and more in a call"


def test_what_the_proof_missed_is_noticed(new_image: NewImage, serve: Serve) -> None:
    image, merging = image_of(new_image, "Sneaky")
    assert merging["is_proven"]
    message = "each request is predicted alone"
    with serve(image, NACHLASS_BATCH="on") as service, ThreadPoolExecutor(16) as pool:
        for _ in range(20):
            list(pool.map(lambda _: service.predict([[1000.5]]), range(1000)))
            if message in service.log():
                break
        assert message in service.log()
        assert set(map(str, pool.map(lambda _: service.predict([[1000.5]]), range(200)))) == {"[1000.5]"}


class Link:
    """A predictor that answers 0 after a time that the test says, and keeps what it was to repeat."""

    def __init__(self, *, one_row_s: float) -> None:
        self.checked: list[list[int]] = []
        self.one_row_s = one_row_s
        self.sizes: list[int] = []

    def call(self, _methods: object, parts: Sequence[Sequence[object]], *, checked: list[int]) -> None:
        self.sizes.append(len(parts))
        if checked:
            self.checked.append(checked)

    def reply(self) -> Reply:
        return self.one_row_s, [("values", [0])] * self.sizes[-1], False


async def repeated(*, one_row_s: float, requests: int, calls: int) -> list[list[int]]:
    """Return which places of shared calls were repeated alone."""
    keeper, other = socket.socketpair()
    with keeper, other:
        limits = Limits(predict_timeout_s=60, queue=100, merges=True, overlaps=True)
        predictor = BatchingPredictor(keeper, limits, MagicMock())
        link = Link(one_row_s=one_row_s)
        predictor._link = link  # type: ignore[assignment]
        predictor._pace.observe(1, one_row_s)
        for _ in range(calls):
            asked = [asyncio.create_task(predictor.predict(Batch(rows=[0]), size_bytes=1)) for _ in range(requests)]
            while not any(task.done() for task in asked):
                await asyncio.sleep(0)
                if predictor._pieces:
                    predictor._is_answered(link.reply())
            assert await asyncio.gather(*asked) == [[0]] * requests
        assert link.sizes == [requests] * calls
        return link.checked


def test_one_in_a_thousand_requests_that_share_a_call_is_repeated_alone_and_none_with_it() -> None:
    places = asyncio.run(repeated(one_row_s=0.005, requests=16, calls=2000))
    assert places == [[place] for place in range(16)] * 2


def test_reviewed_estimators_exist() -> None:
    assert {name for name, _ in all_estimators()} >= REVIEWED


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system doesn't pin processes")
def test_worker_and_model_on_one_processor_take_turns(new_image: NewImage, serve: Serve) -> None:
    image, _ = image_of(new_image, "Telling")
    allowed = os.sched_getaffinity(0)
    values = [float(value) for value in range(400)]
    os.sched_setaffinity(0, {min(allowed)})
    try:
        with serve(image, NACHLASS_BATCH="on") as service:
            os.sched_setaffinity(0, allowed)
            with ThreadPoolExecutor(16) as pool:
                told = list(pool.map(lambda value: service.post("/predict", json_body=[[value]]).json(), values))
            assert told == [[2 * value] for value in values]
            assert sum(call_sizes(service)) == len(values)
            assert max(call_sizes(service)) > 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    "body", [json.dumps([[1.0]] * 100), "[[7." + "0" * 100_000 + "]]"], ids=["many-rows", "one-long-row"]
)
def test_short_request_waits_for_one_call_of_others_though_nothing_is_shared(
    new_image: NewImage, serve: Serve, body: str
) -> None:
    image, _ = image_of(new_image, "Dawdling")
    with serve(image) as service, ThreadPoolExecutor(7) as pool:
        headers = {"Content-Type": "application/json"}
        others = [pool.submit(service.request, "POST", "/predict", body, headers) for _ in range(6)]
        while not call_sizes(service):
            time.sleep(0.01)
        before = len(call_sizes(service))
        assert service.predict([[1.0]]) == [2.0]
        assert len(call_sizes(service)) <= before + 2, "the one that was under way, and its own"
        assert [other.result().status for other in others] == [200] * 6
