"""One repository, built again and again by pack: what runs again, what is reused, and from where."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker import docker, image_id, labels, serving
from tests.support.pack import Platform, cache, copy_cache, layer_was_reused, ran, remove_cache
from tests.support.project import VERSION
from tests.support.pythons import ROOT
from tests.support.repositories import write_notebook, write_repository
from tests.support.spam import REQUIREMENTS

FEATURES = (
    "import os, pickle\nfrom sklearn.feature_extraction.text import HashingVectorizer",
    "stage = HashingVectorizer(n_features=256).fit([])",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(stage, file)",
    "with open('features.txt', 'w') as file:\n    file.write(str(stage.n_features))",
)
MODEL = (
    """\
import os, pickle
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression""",
    "rows = [line.rstrip('\\n').split(',') for line in open('data/train.csv')]",
    "X = HashingVectorizer(n_features=int(open('features.txt').read())).fit_transform([row[0] for row in rows])",
    "stage = LogisticRegression().fit(X, [row[1] for row in rows])",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(stage, file)",
)
ROWS = "cheap pills,spam\nmy dear sister,legitimate\n" * 5
NOTEBOOKS = {"01-features.ipynb": FEATURES, "02-model.ipynb": MODEL}
SETTINGS = {"NACHLASS_NOTEBOOKS": ",".join(NOTEBOOKS)}
OURS = ("packages", "scorer", "stages")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write(tmp_path / "repository")


def write(root: Path) -> Path:
    return write_repository(root, NOTEBOOKS, requirements=REQUIREMENTS, files={"data/train.csv": ROWS})


@pytest.fixture(scope="module")
def first(name: str, machine: Platform, spam: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build once, for all tests that begin with an image and a cache; return the image's name."""
    repository = write(tmp_path_factory.mktemp("first") / "repository")
    copy_cache(spam, f"{name}-first")
    log = machine.built(f"{name}-first", repository, *cache(f"{name}-first"), env=SETTINGS)
    assert ran(log) == list(NOTEBOOKS)
    return f"{name}-first"


@pytest.fixture
def image(first: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the name of an image that was built once, and of its cache; both are the test's own."""
    own = f"{first}-{abs(hash(request.node.name)) % 10**8}"
    docker("tag", first, own)
    copy_cache(first, own)
    yield own
    docker("rmi", "--force", own, check=False)
    remove_cache(own)


def test_unchanged_repository_runs_nothing_and_gives_the_same_image(
    image: str, repository: Path, machine: Platform
) -> None:
    before = image_id(image)
    log = machine.built(image, repository, *cache(image), env=SETTINGS)

    assert ran(log) == []
    for layer in ("tools", "kernel", "packages", "scorer"):
        assert f'Restoring data for "nachlass/nachlass:{layer}" from cache' in log
    assert [layer for layer in OURS if not layer_was_reused(log, layer)] == []
    assert image_id(image) == before


def test_changed_notebook_runs_with_the_one_that_reads_what_it_writes(
    image: str, repository: Path, machine: Platform
) -> None:
    change(repository / "01-features.ipynb", FEATURES, "256", "128")
    log = machine.built(image, repository, *cache(image), env=SETTINGS)

    assert ran(log) == ["01-features.ipynb", "02-model.ipynb"]
    assert_it_predicts(image)


def change(notebook: Path, cells: Sequence[str], old: str, new: str) -> None:
    changed = [cell.replace(old, new) for cell in cells]
    assert changed != list(cells)
    write_notebook(notebook, changed)


def test_changed_notebook_that_nobody_depends_on_runs_alone(image: str, repository: Path, machine: Platform) -> None:
    change(repository / "02-model.ipynb", MODEL, "LogisticRegression()", "LogisticRegression(C=2)")
    log = machine.built(image, repository, *cache(image), env=SETTINGS)

    assert ran(log) == ["02-model.ipynb"]
    assert layer_was_reused(log, "scorer")
    assert_it_predicts(image)


def test_changed_data_run_what_read_them(image: str, repository: Path, machine: Platform) -> None:
    (repository / "data/train.csv").write_text(ROWS + "buy now,spam\n")
    assert ran(machine.built(image, repository, *cache(image), env=SETTINGS)) == ["02-model.ipynb"]


def test_clear_cache_runs_everything(image: str, repository: Path, machine: Platform) -> None:
    log = machine.built(image, repository, "--clear-cache", *cache(image), env=SETTINGS)
    assert ran(log) == list(NOTEBOOKS)


def test_without_the_previous_image_the_cache_suffices_for_another_tag(
    image: str, repository: Path, machine: Platform
) -> None:
    docker("rmi", "--force", image)
    other = f"{image}:other"
    assert ran(machine.built(other, repository, *cache(image), env=SETTINGS)) == []
    assert_it_predicts(other)
    docker("rmi", "--force", other)


def test_without_the_cache_the_previous_image_suffices(image: str, repository: Path, machine: Platform) -> None:
    before = parts(image)
    remove_cache(image)
    log = machine.built(image, repository, *cache(image), env=SETTINGS)
    assert ran(log) == []
    assert log.count("reused (in the previous image)") == len(NOTEBOOKS)
    assert layer_was_reused(log, "stages")
    assert parts(image) == before
    assert_it_predicts(image)


def assert_it_predicts(image: str) -> None:
    with serving(image) as running:
        assert running.predict(["pills, cheap"]) == ["spam"]


def parts(image: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what an image says of its model, and where its bills of materials and its stages are."""
    found = labels(image)
    lifecycle = json.loads(found["io.buildpacks.lifecycle.metadata"])
    (stages,) = [ours["layers"]["stages"]["sha"] for ours in lifecycle["buildpacks"]]
    ours = {name: value for name, value in found.items() if name.startswith("io.nachlass.")}
    assert ours
    return ours, {"sbom": lifecycle["sbom"], "stages": stages}


def test_newer_buildpack_keeps_what_it_can_and_says_why_it_drops_the_rest(
    image: str, repository: Path, machine: Platform, tmp_path: Path
) -> None:
    newer = tmp_path / "newer"
    subprocess.run([sys.executable, ROOT / "scripts/buildpackage.py", newer], check=True)
    toml = newer / "buildpack.toml"
    text = toml.read_text()
    assert f'version = "{VERSION}"' in text
    toml.write_text(text.replace(f'version = "{VERSION}"', 'version = "99.1.0"'))
    lock = newer / "locks/kernel.txt"
    lock.write_text(lock.read_text() + "# Other pins.\n")

    log = machine.built(
        image, repository, *cache(image), "--buildpack", str(newer), "--trust-extra-buildpacks", env=SETTINGS
    )

    assert "Discarding cached notebook kernel since:" in log
    assert "nachlass has changed" in log
    assert "Using cached packages" in log
    assert_it_predicts(image)
    assert labels(image)["io.nachlass.version"] == "99.1.0"
