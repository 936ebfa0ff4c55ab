"""A platform that keeps no cache: the previous image's model is kept when all is as it was, and only then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

TRAIN = "train.ipynb"
KEPT = "Keeping the model of the previous image: nothing of the repository, its packages or settings has changed"


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory, make_lab: LabMaker) -> Lab:
    files = {"README.md": "# Two numbers\n", ".git/HEAD": "1" * 40}
    repository = write_repository(tmp_path_factory.mktemp("kept") / "app", {TRAIN: LOGISTIC_REGRESSION}, files=files)
    return make_lab(repository)


@pytest.fixture
def lab(module_lab: Lab) -> Lab:
    module_lab.reset()
    lose_runs(module_lab)
    return module_lab


def lose_runs(lab: Lab) -> None:
    """Restore what a platform without a cache does of the model; that tools and packages are there saves time."""
    store = lab.phases.store
    store.layers = {name: layer for name, layer in store.layers.items() if name != "stage-store"}
    shutil.rmtree(store.kept / "stage-store", ignore_errors=True)


def test_unchanged_repository_runs_no_notebook_in_any_later_build(lab: Lab) -> None:
    bill = (lab.phases.layers / "stages.sbom.cdx.json").read_text()
    for commit in ("2", "3"):
        outcome = lab.build(lambda root, commit=commit: (root / ".git/HEAD").write_text(commit * 40))  # type: ignore[misc]

        assert outcome.built.exit_code == 0, outcome.built.output
        assert KEPT in outcome.built.output
        assert outcome.decisions[TRAIN].why == "in the previous image"
        assert "stages" in outcome.built.reused
        assert outcome.built.labels == lab.cold.built.labels
        assert (lab.phases.layers / "stages.sbom.cdx.json").read_text() == bill
        lose_runs(lab)
    with lab.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]


def test_any_change_of_the_repository_runs_the_notebooks(lab: Lab) -> None:
    outcome = lab.build(lambda root: (root / "README.md").write_text("# Two other numbers\n"))

    assert outcome.what == {TRAIN: "run"}, outcome.built.output
    assert "the repository, its packages or the settings have changed" in outcome.built.output


@pytest.mark.parametrize("variable", ["NACHLASS_SAMPLE=ship", "SOMETHING=new"])
def test_new_setting_or_variable_runs_the_notebooks(lab: Lab, variable: str) -> None:
    name, _, value = variable.partition("=")
    lab.phases.set_env({name: value})

    assert lab.build().what == {TRAIN: "run"}


def test_cache_that_is_off_runs_the_notebooks(lab: Lab) -> None:
    lab.phases.set_env({"NACHLASS_CACHE": "off"})
    outcome = lab.build()

    assert outcome.what == {TRAIN: "run"}
    lose_runs(lab)
    (lab.phases.platform / "env/NACHLASS_CACHE").unlink()
    later = lab.build()
    assert later.what == {TRAIN: "run"}
    assert "can't be kept: what train.ipynb used is not known (the cache is off)" in later.built.output


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("import os\nos.environ.get('BUCKETS')", "train.ipynb depends on the variable BUCKETS"),
        ("import subprocess\nsubprocess.run(['true'])", "train.ipynb depends on the secret TOKEN"),
        ("open('{outside}').read()", "train.ipynb read a file outside the repository"),
        ("import socket\nsocket.socket().connect_ex(('192.0.2.1', 9))", "train.ipynb used the network"),
    ],
    ids=["variable", "program", "outside", "network"],
)
def test_run_that_used_anything_else_is_not_kept_and_the_log_says_so(
    tmp_path: Path, make_lab: LabMaker, cell: str, why: str
) -> None:
    (tmp_path / "outside.txt").write_text("1")
    (tmp_path / "bindings/db").mkdir(parents=True)
    for name, text in {"type": "nachlass", "TOKEN": "hunter2-kingfisher"}.items():
        (tmp_path / "bindings/db" / name).write_text(text)
    cells = [cell.replace("{outside}", str(tmp_path / "outside.txt")), *LOGISTIC_REGRESSION]
    if "network" in why:
        cells.insert(0, "import socket\nsocket.setdefaulttimeout(0.2)")
    repository = write_repository(tmp_path / "app", {TRAIN: cells}, files={".git/HEAD": "1" * 40})
    lab = make_lab(repository, {"BUCKETS": "64", "SERVICE_BINDING_ROOT": str(tmp_path / "bindings")})

    assert lab.phases.store.layers["stages"].metadata["whole_missing"] == why
    assert "whole" not in lab.phases.store.layers["stages"].metadata
    if "outside" in why:
        lose_runs(lab)
        outcome = lab.build()
        assert outcome.what == {TRAIN: "run"}
        assert f"There is no stage cache, and the previous image's model can't be kept: {why}" in outcome.built.output
