"""What the service says of its rows beside the notebooks' data."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from scorer import manifest as manifests
from scorer.metrics import Metrics
from scorer.model import LoadedStage, compose
from scorer.proof import prove
from scorer.slots import lease
from tests.scorer import models
from tests.scorer.conftest import NewImage, Serve, built
from tests.scorer.homes import ROWS, as_rows, home_stages, homes
from tests.scorer.image import Image
from tests.support.service import Service


@pytest.fixture(scope="module")
def home_image(new_image: NewImage) -> Image:
    return built(new_image(), home_stages(homes()), homes())


@pytest.fixture(scope="module")
def home_service(home_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(home_image, NACHLASS_WORKERS="2") as service:
        yield service


def series(service: Service) -> dict[str, float]:
    """Return all that the service exposes, by name and labels."""
    for _ in range(20):
        try:
            lines = service.get("/metrics").text.splitlines()
        except OSError:  # From a worker that was killed.
            time.sleep(0.1)
        else:
            return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}
    raise AssertionError(service.log())


def once(service: Service, expected: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics when they have these values: of the other workers they are up to a second old."""
    deadline = time.monotonic() + 20
    while not expected.items() <= (found := series(service)).items():
        assert time.monotonic() < deadline, {name: found.get(name) for name in expected}
        time.sleep(0.1)
    return found


def test_rows_like_the_notebooks_have_no_drift_and_others_have(home_service: Service) -> None:
    before = series(home_service)
    for start in range(0, ROWS, 50):
        home_service.predict(as_rows(homes().iloc[start : start + 50]))
    alike = once(home_service, {"nachlass_rows_total": before["nachlass_rows_total"] + ROWS})
    assert alike["nachlass_reference_rows"] == ROWS
    for column in ("rooms", "area", "town", "owner"):
        assert alike[f'nachlass_drift_psi{{column="{column}"}}'] == pytest.approx(0, abs=1e-3)
        assert alike[f'nachlass_column_missing_total{{column="{column}"}}'] == (8 if column == "area" else 0)
    assert alike["nachlass_prediction_drift_psi"] == pytest.approx(0, abs=1e-3)
    other = homes().assign(rooms=12, area=None, town="Rom")
    home_service.predict([{**row, "owner": f"{row['owner']} {'and heirs' * 9}"} for row in as_rows(other)])
    moved = once(home_service, {"nachlass_rows_total": before["nachlass_rows_total"] + 2 * ROWS})
    for column in ("rooms", "area", "town", "owner"):
        assert moved[f'nachlass_drift_psi{{column="{column}"}}'] > 0.25
    assert moved["nachlass_prediction_drift_psi"] > 0.25
    assert moved['nachlass_column_missing_total{column="area"}'] == 8 + ROWS
    assert moved['nachlass_column_unseen_total{column="town"}'] == ROWS
    assert moved['nachlass_column_bin_total{bin="(other)",column="town"}'] == ROWS
    assert moved['nachlass_column_out_of_range_total{column="rooms"}'] == ROWS
    assert moved['nachlass_column_out_of_range_total{column="area"}'] == 0


def test_rows_that_were_refused_are_not_counted(home_service: Service) -> None:
    before = series(home_service)["nachlass_rows_total"]
    assert home_service.post("/predict", json_body=[{"rooms": "many"}]).status == 400
    home_service.predict(as_rows(homes().iloc[:2]))
    once(home_service, {"nachlass_rows_total": before + 2})


def test_a_regressors_buckets_are_those_of_its_predictions(home_service: Service, line: Service) -> None:
    bounds = re.findall(r'nachlass_predictions_bucket{le="(.*?)"}', home_service.get("/metrics").text)
    assert 8 <= len(bounds) <= 14
    assert all(-1500 < float(bound) < 3000 for bound in bounds[:-1])
    assert 'nachlass_predictions_bucket{le="3000.0"}' in line.get("/metrics").text


def test_the_reference_has_no_value_of_a_single_row(home_image: Image) -> None:
    text = home_image.manifest_file.read_text()
    assert "Ulm" in text
    assert "owner 1" not in text


def test_the_reference_is_the_same_in_another_build(home_image: Image) -> None:
    shipped = manifests.read(home_image.manifest_file).model
    assert shipped is not None
    assert reference_of(home_stages(homes()), homes()) == shipped.reference


def test_no_reference_is_kept_of_few_rows_or_where_none_is_wanted() -> None:
    assert reference_of(home_stages(homes()), homes().iloc[:49]) is None
    assert prove(pipeline_of(home_stages(homes())), [homes()], ship_sample=False).model.reference is None


def test_the_reference_has_more_rows_than_the_sample() -> None:
    model = prove(pipeline_of(home_stages(homes())), [homes().iloc[:3]], ship_sample=False, references=[homes()]).model
    assert model.reference is not None
    assert (model.sample_shape, model.reference.rows) == ((3, 4), ROWS)


def test_a_table_of_few_rows_is_compared_with_another_of_the_same_columns() -> None:
    reference = reference_of(home_stages(homes()), homes().iloc[:3], homes()[["rooms"]], homes())
    assert reference is not None
    assert reference.rows == ROWS


def test_a_classifiers_reference_has_the_shares_of_its_classes() -> None:
    data = np.arange(200.0).reshape(100, 2)
    reference = reference_of([DummyClassifier(strategy="prior").fit(data, ["no"] * 60 + ["yes"] * 40)], data)
    assert reference is not None
    assert [(column.name, column.low, column.high) for column in reference.columns] == [("0", 0, 198), ("1", 1, 199)]
    assert reference.predictions is not None
    assert reference.predictions.values == ("no", "yes")
    assert reference.predictions.proportions == (1, 0, 0, 0)


def test_texts_are_compared_by_their_length() -> None:
    reference = reference_of(models.text_stages(), [f"{models.TEXTS[i % 4]} {'very ' * i}" for i in range(60)])
    assert reference is not None
    (column,) = reference.columns
    assert column.distribution is not None
    assert column.distribution.measure == "length"


def pipeline_of(stages: list[Any]) -> Any:
    return compose([LoadedStage(name=f"stage-{i}", estimator=stage, format="pickle") for i, stage in enumerate(stages)])


def reference_of(stages: list[Any], *candidates: Any) -> manifests.Reference | None:
    return prove(pipeline_of(stages), candidates, ship_sample=False, references=[]).model.reference


def test_counters_survive_workers_that_are_replaced(home_image: Image, serve: Serve) -> None:
    row = as_rows(homes().iloc[:1])
    counted = ("nachlass_predictions_count", 'nachlass_requests_total{route="/predict",status="200"}')
    with serve(home_image, NACHLASS_WORKERS="2") as service:
        for _ in range(20):
            service.predict(row)
        before = once(service, dict.fromkeys((*counted, "nachlass_rows_total"), 20))
        old = service.workers(2)
        service.process.send_signal(signal.SIGHUP)
        service.workers(2, without=old)
        assert service.predict(row) == service.predict(row)
        once(service, dict.fromkeys((*counted, "nachlass_rows_total"), 22))
        for _ in range(2):
            killed = min(service.workers(2))
            os.kill(killed, signal.SIGKILL)
            service.workers(2, without={killed})
        after = once(service, {**dict.fromkeys(counted, 22), "nachlass_requests_in_flight": 0})
        assert set(before) <= set(after)


def test_a_thousand_restarts_need_no_more_files(home_image: Image, tmp_path: Path) -> None:
    model = manifests.read(home_image.manifest_file).model
    assert model is not None

    def start() -> Metrics:
        slot = lease(tmp_path)
        metrics = Metrics(model, directory=tmp_path, slot=slot.number, prefix="n", buckets=None, info={"name": "m"})
        metrics.observe_request("/predict", 200, 0.1, 0.1)
        metrics.observe(0.1, [[1, 90.0, "Ulm", "owner"]], [300.0])
        metrics.in_flight = 1
        metrics.set_waiting(1)
        metrics.count_rows()
        os.close(slot.lock)  # As the kernel does when the process is gone.
        return metrics

    def files() -> dict[str, int]:
        return {file.name: file.stat().st_size for file in tmp_path.iterdir()}

    start()
    first = files()
    for _ in range(998):
        start()
    metrics = start()
    assert files() == first
    text = metrics.expose().decode()
    assert "n_predictions_count 1000.0" in text
    assert 'n_column_bin_total{bin="Ulm",column="town"} 1000.0' in text
    assert "n_requests_in_flight 0.0" in text


def test_worker_that_has_just_begun_keeps_no_other_from_telling_its_metrics(home_image: Image, tmp_path: Path) -> None:
    model = manifests.read(home_image.manifest_file).model
    assert model is not None
    metrics = Metrics(
        model, directory=tmp_path, slot=lease(tmp_path).number, prefix="n", buckets=None, info={"name": "m"}
    )
    metrics.observe_request("/predict", 200, 0.1, 0.1)
    for kind in ("counter", "histogram", "summary"):  # Another has made its files, and written nothing.
        (tmp_path / f"{kind}_1.db").touch()
    (tmp_path / "tallies-1").touch()
    assert 'n_requests_total{route="/predict",status="200"} 1.0' in metrics.expose().decode()
