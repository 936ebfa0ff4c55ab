"""The real lifecycle builds a repository twice and runs what it exported: other user, other directories than usual."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.facilities import require
from tests.support.layers import unreadable_files
from tests.support.lifecycle import Exported, Lifecycle
from tests.support.oci import Image
from tests.support.pythons import find_python, wheelhouse
from tests.support.repositories import write_repository
from tests.support.trees import link_tree

MARKER = "kingfisher4711"
"""A word that stands in every training row and nowhere else: a hashing vectorizer does not keep it."""

CELLS = (
    """\
import csv, os, pickle
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline""",
    "with open('data/train.csv') as file:\n    rows = list(csv.DictReader(file))\nrows",
    "X = [row['text'] for row in rows]\ny = [row['label'] for row in rows]",
    "model = make_pipeline(HashingVectorizer(), LogisticRegression()).fit(X, y)",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
JUPYTER = ("IPython", "ipykernel", "jupyter_client", "jupyter_core", "nbclient", "nbformat", "traitlets", "zmq")


@dataclass(frozen=True, kw_only=True)
class Builds:
    """Two builds of one repository, and the second one's image, unpacked."""

    lifecycle: Lifecycle
    first: Exported
    second: Exported
    image: Image
    layers: Path


@contextmanager
def built_twice(*, has_cache: bool) -> Iterator[Builds]:
    require("lifecycle")
    root = Path(tempfile.mkdtemp(prefix="nachlass-lifecycle-"))
    root.chmod(0o755)  # Two other users have to get in; pytest's own directories are private.
    try:
        repository = training_repository(root / "repository")
        lifecycle = Lifecycle(root, repository, env=platform_env(root), has_cache=has_cache)
        first, second = lifecycle.build(), lifecycle.build()
        assert first.exit_code == 0, first.output
        assert second.exit_code == 0, second.output
        assert second.image is not None
        layers = lifecycle.unpack(second.image) / "nachlass_nachlass"
        yield Builds(lifecycle=lifecycle, first=first, second=second, image=second.image, layers=layers)
    finally:
        shutil.rmtree(root)


@pytest.fixture(scope="session")
def builds() -> Iterator[Builds]:
    with built_twice(has_cache=True) as made:
        yield made


@pytest.fixture(scope="session")
def cacheless() -> Iterator[Builds]:
    """Build the same on a platform that keeps no cache, as Shipwright is."""
    with built_twice(has_cache=False) as made:
        yield made


def training_repository(root: Path) -> Path:
    rows = [
        f"{MARKER} {text},{label}" for text, label in [("cheap pills", "spam"), ("my dear sister", "legitimate")] * 5
    ]
    return write_repository(
        root,
        {"train.ipynb": CELLS},
        files={"data/train.csv": "\n".join(["text,label", *rows]) + "\n"},
    )


def platform_env(root: Path) -> dict[str, str]:
    """Return what the user of this platform sets: the host's Python, and a directory of wheels as the package index."""
    python = find_python("python3", path="/usr/bin:/bin")
    assert python is not None
    link_tree(wheelhouse(python), root / "wheels")
    return {"NACHLASS_SYSTEM_PYTHON": "true", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(root / "wheels")}


def metadata(image: Image, label: str) -> Any:
    return json.loads(image.labels[f"io.buildpacks.{label}.metadata"])


def test_exported_service_predicts_for_another_user(builds: Builds) -> None:
    with builds.lifecycle.serve(builds.image) as service:
        assert service.predict(["pills, very cheap", "to my dear sister"]) == ["spam", "legitimate"]
        assert service.post("/metrics").status == 200


def test_word_score_makes_the_image_predict_for_rows_that_it_reads(builds: Builds) -> None:
    scored = builds.lifecycle.run(builds.image, "score", rows='"pills, very cheap"\nto my dear sister\n')
    assert (scored.returncode, scored.stdout) == (
        0,
        '"pills, very cheap",spam\nto my dear sister,legitimate\n',
    ), scored.stderr


def test_web_is_the_default_process_in_both_builds(builds: Builds) -> None:
    for build in (builds.first, builds.second):
        assert build.image is not None
        assert build.image.config["config"]["Entrypoint"] == ["/cnb/process/web"]


def test_second_build_restores_the_cache(builds: Builds) -> None:
    for layer in ("tools", "kernel", "packages", "scorer"):
        assert f'Restoring data for "nachlass/nachlass:{layer}" from cache' in builds.second.output


def test_second_build_reuses_the_images_layers(builds: Builds) -> None:
    for layer in ("packages", "scorer", "stages"):
        assert f"Reusing layer 'nachlass/nachlass:{layer}'" in builds.second.output


def test_second_image_has_the_labels_and_layers_of_the_first(builds: Builds) -> None:
    assert builds.first.image is not None
    assert builds.image.labels.keys() == builds.first.image.labels.keys()
    assert shipped_layers(builds.image) == shipped_layers(builds.first.image)


def shipped_layers(image: Image) -> Mapping[str, str]:
    """Return our launch layers with their digests."""
    (ours,) = metadata(image, "lifecycle")["buildpacks"]
    return {name: layer["sha"] for name, layer in ours["layers"].items() if layer["launch"]}


def test_image_holds_launch_layers_only(builds: Builds) -> None:
    assert {path.name for path in builds.layers.iterdir()} == {"packages", "scorer", "stages"}


def test_image_holds_nothing_of_jupyter_and_nothing_of_the_build(builds: Builds) -> None:
    names = {path.name for path in builds.layers.rglob("*")}

    assert not names & {*JUPYTER, "nachlass_bp"}


def test_training_rows_are_nowhere_but_in_the_repositorys_own_file(builds: Builds) -> None:
    files = [path for path in builds.lifecycle.rootfs.rglob("*") if path.is_file() and not path.is_symlink()]
    holding = [path for path in files if MARKER.encode() in path.read_bytes()]

    app = builds.lifecycle.rootfs / builds.lifecycle.app.relative_to("/")
    assert holding == [app / "data/train.csv"]
    assert not any(MARKER in value for value in builds.image.labels.values())


def test_everyone_may_read_the_images_files(builds: Builds) -> None:
    assert unreadable_files(builds.layers) == []


def test_models_bill_of_materials_is_in_both_images(builds: Builds) -> None:
    bill = json.loads(bill_of_materials(builds).read_text())
    manifest = json.loads((builds.layers / "stages/manifest.json").read_text())

    assert builds.first.image is not None
    assert metadata(builds.first.image, "lifecycle")["sbom"] == metadata(builds.image, "lifecycle")["sbom"]
    (stage,) = [each for each in bill["components"] if each["type"] == "machine-learning-model"]
    assert stage["hashes"][0]["content"] == manifest["stages"][0]["sha256"]


def bill_of_materials(builds: Builds) -> Path:
    return builds.layers.parent / "sbom/launch/nachlass_nachlass/stages/sbom.cdx.json"


def test_without_a_cache_an_unchanged_repository_runs_no_notebook(cacheless: Builds) -> None:
    first = cacheless.first.image

    assert "train.ipynb: reused (in the previous image)" in cacheless.second.output
    assert "Running" not in cacheless.second.output
    assert "Reusing layer 'nachlass/nachlass:stages'" in cacheless.second.output
    assert first is not None
    assert shipped_layers(cacheless.image)["stages"] == shipped_layers(first)["stages"]
    ours = {name: value for name, value in first.labels.items() if name.startswith("io.nachlass.")}
    assert ours
    assert ours.items() <= cacheless.image.labels.items()
    assert bill_of_materials(cacheless).is_file()
    with cacheless.lifecycle.serve(cacheless.image) as service:
        assert service.predict(["pills, very cheap", "to my dear sister"]) == ["spam", "legitimate"]


def test_failing_notebook_fails_the_build_with_our_words(builds: Builds) -> None:
    notebook = builds.lifecycle.repository / "train.ipynb"
    intact = notebook.read_text()
    notebook.write_text(intact.replace("data/train.csv", "data/missing.csv"))
    try:
        failed = builds.lifecycle.build()
    finally:
        notebook.write_text(intact)

    assert failed.exit_code == 51, failed.output  # A buildpack's build failed: Platform API 0.13.
    assert "data/missing.csv" in failed.output
    assert "Reference: " in failed.output
