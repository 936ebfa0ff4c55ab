"""The metrics of 2019, right with several workers and after one of them died."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.scorer import models
from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.facilities import prometheus_program, require
from tests.support.service import Service


def _value(service: Service, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", service.get("/metrics").text, re.MULTILINE)
    assert found, service.get("/metrics").text
    return float(found.group(1))


def test_a_classifier_counts_its_predictions_by_class(spam: Service) -> None:
    spam_before = _value(spam, 'nachlass_predictions_total{value="spam"}')
    calls_before = _value(spam, "nachlass_processing_seconds_count")
    spam.predict(["tasty", "my lord", "dinner"])
    assert _value(spam, 'nachlass_predictions_total{value="spam"}') - spam_before == 2
    assert _value(spam, "nachlass_processing_seconds_count") - calls_before == 1
    assert _value(spam, "nachlass_processing_seconds_sum") > 0


def test_a_regressor_observes_the_values_that_it_predicts(line_image: Image, serve: Serve) -> None:
    # A service of its own: in a sum that has seen others' largest numbers, these would be lost.
    with serve(line_image) as line:
        line.predict([2000, 3])
        assert _value(line, "nachlass_predictions_count") == 2
        assert _value(line, "nachlass_predictions_sum") == pytest.approx(4006)
        assert _value(line, 'nachlass_predictions_bucket{le="+Inf"}') == 2
        assert _value(line, 'nachlass_predictions_bucket{le="3000.0"}') == 1


def test_sum_of_predictions_stays_finite_and_goes_on(line_image: Image, serve: Serve) -> None:
    with serve(line_image, NACHLASS_WORKERS="2") as line:
        for rows in ([8e307], [8e307], [8e307], [8e307] * 40, [-8e307], [2000, 3], [2000, 3, *[8e307] * 40]):
            line.predict(rows)
        assert _value(line, "nachlass_predictions_count") == 88
        assert _value(line, 'nachlass_predictions_bucket{le="3000.0"}') == 3
        assert _value(line, "nachlass_predictions_sum") == pytest.approx(8012)


@pytest.mark.parametrize(
    ("method", "body"), [("GET", None), ("GET", "junk"), ("POST", "json_args=text"), ("POST", "\0")]
)
def test_metrics_answer_get_and_post_and_ignore_bodies(spam: Service, method: str, body: str | None) -> None:
    answer = spam.request(method, "/metrics", body)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "nachlass_processing_seconds_count" in answer.text


def test_every_class_starts_at_zero_under_the_prefix_and_with_its_own_label(
    new_image: Callable[[], Image], serve: Serve
) -> None:
    image = new_image()
    image.write_stages(models.flower_stages([True, False, False, True]))
    image.finish(image.check([models.FLOWERS]))
    with serve(image, S2I_APP_METRICS_PREFIX="old", NACHLASS_METRICS_PREFIX="flowers") as service:
        assert _value(service, 'flowers_predictions_total{value="True"}') == 0
        assert service.predict([5.1, 3.5, 1.4, 0.2]) == [True]
        assert _value(service, 'flowers_predictions_total{value="True"}') == 1
        assert "nachlass_predictions" not in service.get("/metrics").text


def test_metrics_are_the_sum_over_workers_and_survive_one_that_is_killed(
    new_image: Callable[[], Image], serve: Serve
) -> None:
    image = new_image()
    image.write_stages(models.flower_stages([10, 20, 30, 10]))
    image.finish(image.check([models.FLOWERS]))
    with serve(image, NACHLASS_WORKERS="2", S2I_APP_METRICS_PREFIX="old") as service:
        _predict_many(service, 40)
        workers = service.workers(2)
        assert _value(service, 'old_predictions_total{value="10"}') == 40
        killed = min(workers)
        os.kill(killed, signal.SIGKILL)
        service.workers(2, without={killed})
        _predict_many(service, 20)
        assert _value(service, 'old_predictions_total{value="10"}') == 60


def test_requests_are_counted_by_route_and_status(line_image: Image, serve: Serve) -> None:
    with serve(line_image) as service:
        service.post("/predict", json_body=[1.0, 2.0, 3.0])
        service.post("/predict/", json_body=[1.0])
        service.post("/predict", json_body="text")
        service.post("/v1/models/other:predict", json_body={"instances": [1.0]})
        assert _value(service, 'nachlass_requests_total{route="/predict",status="200"}') == 2
        assert _value(service, 'nachlass_requests_total{route="/predict",status="400"}') == 1
        assert _value(service, 'nachlass_requests_total{route="/v1/models/{model}:predict",status="404"}') == 1
        assert _value(service, 'nachlass_request_seconds_count{route="/predict"}') == 3
        assert _value(service, "nachlass_overhead_seconds_count") == 4
        assert _value(service, "nachlass_batch_rows_sum") == 4
        assert _value(service, "nachlass_requests_in_flight") == _value(service, "nachlass_requests_waiting") == 0
        assert (
            _value(service, "nachlass_predictor_restarts_total") == _value(service, "nachlass_merging_ended_total") == 0
        )
        info = re.search(r"^nachlass_model_info{(.*)} 1.0$", service.get("/metrics").text, re.MULTILINE)
        assert info
        version = service.get("/v2/models/a-model").json()["versions"][0]
        for fact in ('name="a-model"', f'version="{version}"', 'task="regressor"'):
            assert fact in info[1]


@pytest.mark.parametrize("model", ["spam", "line", "flowers", "houses"])
def test_promtool_has_nothing_to_say_of_the_metrics(request: pytest.FixtureRequest, model: str) -> None:
    require("prometheus")
    service: Service = request.getfixturevalue(model)
    service.post("/predict", json_body="junk")
    told = service.get("/metrics").text
    checked = subprocess.run(
        [str(prometheus_program("promtool")), "check", "metrics"],
        input=told,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_no_metric_file_is_left_when_the_service_ends(line_image: Image, serve: Serve) -> None:
    def files() -> set[Path]:
        return {path for root in ("/dev/shm", "/tmp") for path in Path(root).glob("nachlass-metrics-*")}

    before = files()
    with serve(line_image) as service:
        ours = {path for path in files() - before if path.stat().st_mode & 0o777 == 0o700}
        assert ours
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
    assert len({path for path in ours if path.exists()}) < len(ours)


def _predict_many(service: Service, count: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: service.predict([5.1, 3.5, 1.4, 0.2])[0], range(count))) == {10}
