"""Every example becomes an image by `pack build`, and runs as careful platforms run images."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import spam
from tests.support.docker import RESTRICTED, Container, container, docker, labels, serving
from tests.support.pack import Platform, cache, copy_cache, remove_images
from tests.support.project import VERSION
from tests.support.pythons import ROOT

NOTEBOOKS = {
    "spam": spam.NOTEBOOKS,
    "iris": "iris.ipynb",
    "tickets": "notebooks/01-vocabulary.ipynb,notebooks/02-team.ipynb",
    "houses": "prices.ipynb",
}
HOUSES = {
    "area_m2": [120, 65],
    "rooms": [4, None],
    "built": [1990, None],
    "garden_m2": [200, None],
    "district": ["harbour", "mills"],
    "heating": ["gas", None],
}
ROWS: dict[str, Any] = {
    "spam": ["I ordered these chips and my family loved them", "I cannot make speeches, Emma."],
    "iris": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]],
    "tickets": ["The courier took my parcel away again!!", "I was charged 49 EUR twice"],
    "houses": [dict(zip(HOUSES, values, strict=True)) for values in zip(*HOUSES.values(), strict=True)],
}
LABELS = {"spam": ["spam", "legitimate"], "iris": ["setosa", "virginica"], "tickets": ["delivery", "billing"]}
"""What the examples' own pages promise; prices are numbers, and are looked at by their order."""
EXAMPLES = list(NOTEBOOKS)


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(
    request: pytest.FixtureRequest,
    example: str,
    name: str,
    machine: Platform,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    if example == "spam":
        yield str(request.getfixturevalue("spam"))
        return
    repository = tmp_path_factory.mktemp("examples") / example
    shutil.copytree(ROOT / "examples" / example, repository)
    (repository / "project.toml").unlink(missing_ok=True)  # The variable is what everybody can set.
    own = f"{name}-{example}"
    copy_cache(request.getfixturevalue("spam"), own)  # It has all that isn't the repository's own.
    machine.built(own, repository, *cache(own), env={"NACHLASS_NOTEBOOKS": NOTEBOOKS[example]})
    yield own
    remove_images(own)


@pytest.fixture(scope="module")
def network(name: str) -> Iterator[str]:
    """Yield a network in which there is nobody else."""
    docker("network", "create", name)
    yield name
    docker("network", "rm", name, check=False)


@contextmanager
def restricted(image: str, network: str, *command: str) -> Iterator[Container]:
    """Serve as a user whom nobody knows, in a network of its own, with nothing to write to."""
    with serving(image, *command, options=(*RESTRICTED, "--user", "4321:0", "--network", network)) as running:
        yield running


def test_it_predicts_by_form_for_a_user_whom_nobody_knows(example: str, image: str, network: str) -> None:
    with restricted(image, network) as running:
        answer = running.predict(ROWS[example])
        assert running.get("/healthz").status == running.get("/readyz").status == 200
        metrics = running.get("/metrics").text
        described = running.get("/metadata").json()
    assert described["nachlass"] == labels(image)["io.nachlass.version"] == VERSION
    assert is_right(example, answer), answer
    assert "nachlass_predict" in metrics


def is_right(example: str, answer: Any) -> bool:
    if example in LABELS:
        return bool(answer == LABELS[example])
    large, small = answer
    return bool(large > small > 0)


def test_metrics_count_what_was_predicted(example: str, image: str, network: str) -> None:
    with restricted(image, network, "serve") as running:  # As SageMaker says it.
        running.predict(ROWS[example])
        lines = running.get("/metrics").text.splitlines()
    samples = [line for line in lines if line.startswith(("nachlass_predictions_total", "nachlass_predictions_count"))]
    assert sum(float(line.rpartition(" ")[2]) for line in samples) == len(ROWS[example]), lines


def test_stop_ends_it_in_time_with_status_0(example: str, image: str) -> None:
    del example
    with container(image, options=RESTRICTED) as running:
        running.wait_until_ready()
        started = time.monotonic()
        docker("stop", running.id)  # Which kills after 10 seconds.
        took_s = time.monotonic() - started
        assert running.exit_code() == 0
    assert took_s < 9


def test_score_predicts_for_the_rows_that_it_reads(example: str, image: str) -> None:
    command = ["docker", "run", "--rm", "--interactive", *RESTRICTED, "--user", "4321:0", image, "score"]
    scored = subprocess.run(command, input=as_csv(ROWS[example]), capture_output=True, text=True, check=False)
    assert scored.returncode == 0, scored.stderr
    found = list(csv.reader(scored.stdout.splitlines()))
    predictions = [line[-1] for line in found if line[-1] != "prediction"]
    assert is_right(example, [json.loads(each) for each in predictions] if example == "houses" else predictions)


def as_csv(rows: list[Any]) -> str:
    """Write rows as people do: named columns with their names, texts and numbers without."""
    text = io.StringIO()
    writer = csv.writer(text)
    if isinstance(rows[0], dict):
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow(row.values() if isinstance(row, dict) else row if isinstance(row, list) else [row])
    return text.getvalue()


def test_image_says_what_it_is(image: str, machine: Platform) -> None:
    shown = machine.pack("inspect", image).output  # It also looks for the image in a registry, which has none.
    assert re.search(r"^ +web \(default\)\s", shown, re.MULTILINE), shown
    assert re.search(r"^ +score\s", shown, re.MULTILINE), shown
    found = labels(image)
    assert found["io.nachlass.task"] in {"classifier", "regressor"}
    assert found["io.nachlass.stages"]


def test_its_user_is_not_the_builds(image: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image).strip() == "1002:1000"


def test_nothing_of_the_build_is_in_the_image(image: str) -> None:
    listed = docker("run", "--rm", "--entrypoint", "launcher", image, "ls /layers/nachlass_nachlass")
    assert set(listed.split()) == {"packages", "scorer", "stages"}
