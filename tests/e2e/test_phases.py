"""A platform that runs the phases one by one, as kpack does, and that puts images onto newer run images."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.docker import RESTRICTED, container, docker, serving
from tests.support.facilities import require
from tests.support.pack import RUN_IMAGE, Platform
from tests.support.platform_phases import Built, Cluster, registry_with_run_image
from tests.support.pythons import copy_interpreter, find_python
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

NOTEBOOK = (
    "import os\nassert os.environ['SCALE'] == '10'\nassert os.environ['TOKEN'] == 'from-a-binding'",
    *LOGISTIC_REGRESSION,
)
BINDINGS = {"data": {"type": "nachlass", "TOKEN": "from-a-binding\n"}}
EX_CONFIG = 78
ROWS = [[0, 0], [3, 3]]
LABELS = ["low", "high"]


@pytest.fixture(scope="module")
def cluster(name: str, machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("cluster")
    with registry_with_run_image(root / "registry") as registry:
        yield Cluster(root=root / "pod", registry=registry, image=name, options=machine.mounts)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("source") / "repository", {"train.ipynb": NOTEBOOK})


@pytest.fixture(scope="module")
def settings(machine: Platform) -> dict[str, str]:
    return {**machine.variables, "NACHLASS_NOTEBOOKS": "train.ipynb", "SCALE": "10"}


@pytest.fixture(scope="module")
def first(cluster: Cluster, repository: Path, settings: dict[str, str]) -> Built:
    """Build once, from nothing."""
    return cluster.build(repository, env=settings, bindings=BINDINGS)


@pytest.fixture(scope="module")
def image(first: Built) -> Iterator[str]:
    """Yield what was pushed, on this machine."""
    docker("pull", first.image)
    yield first.image
    docker("rmi", "--force", first.image, check=False)


def test_pushed_image_predicts_as_another_user(first: Built, image: str) -> None:
    assert "Running 5 code cells" in first.logs["builder"]
    with serving(image, options=(*RESTRICTED, "--user", "54321:54321")) as running:
        assert running.predict(ROWS) == LABELS


def test_second_build_runs_no_notebook_and_pushes_the_same_image(
    first: Built, cluster: Cluster, repository: Path, settings: dict[str, str]
) -> None:
    second = cluster.build(repository, env=settings, bindings=BINDINGS)

    assert "train.ipynb: reused" in second.logs["builder"]
    assert "Running" not in second.logs["builder"]
    assert reused(second) == ["packages", "scorer", "stages"]
    assert digest(second) == digest(first)


def reused(built: Built) -> list[str]:
    return re.findall(r"Reusing layer 'nachlass/nachlass:(.+)'", built.logs["exporter"])


def digest(built: Built) -> str:
    (found,) = re.findall(r"Images \((sha256:[0-9a-f]{64})\)", built.logs["exporter"])
    return str(found)


@contextmanager
def other_run_image(tag: str, change: Callable[[Path], object], directory: Path) -> Iterator[str]:
    """Yield a run image that differs from ours in the files that `change` writes below `/`."""
    change(directory)
    made = docker("create", RUN_IMAGE, "x").strip()
    try:
        docker("cp", f"{directory}/.", f"{made}:/")
        docker("commit", made, tag)
        yield tag
    finally:
        docker("rm", "--force", made)
        docker("rmi", "--force", tag, check=False)


def diff_ids(image: str) -> list[str]:
    return list(json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def patched(root: Path) -> None:
    write(root / "etc/patched", "yes\n")


def assert_same_model_on(newer: str, rebased: str, image: str) -> None:
    """Check that an image has the run image's layers, then those of `image`, and serves."""
    assert diff_ids(rebased) == [*diff_ids(newer), *diff_ids(image)[len(diff_ids(RUN_IMAGE)) :]]
    with serving(rebased, options=RESTRICTED) as running:
        assert docker("exec", running.id, "cat", "/etc/patched") == "yes\n"
        assert running.predict(ROWS) == LABELS


def test_pack_rebases_onto_a_newer_run_image_without_the_notebooks(
    name: str, image: str, machine: Platform, tmp_path: Path
) -> None:
    own = f"{name}-newer"
    docker("tag", image, own)
    with other_run_image(f"{name}-run", patched, tmp_path) as newer:
        done = machine.pack("rebase", own, "--run-image", newer, "--pull-policy", "never", "--force")

        assert done.exit_code == 0, done.output
        assert_same_model_on(newer, own, image)
        docker("rmi", "--force", own)


@contextmanager
def rebased_in_the_registry(first: Built, run_image: str, cluster: Cluster) -> Iterator[str]:
    """Yield what the platform makes of an image when there is another run image, pulled."""
    pushed, rebased = f"{cluster.registry.address}/{run_image}", cluster.registry.tag(first.image, "rebased")
    docker("tag", run_image, pushed)
    try:
        docker("push", pushed)
        cluster.rebase(rebased, pushed)
        docker("pull", rebased)
        yield rebased
    finally:
        docker("rmi", "--force", pushed, rebased, check=False)


def test_platform_rebases_onto_a_newer_run_image_without_the_notebooks(
    name: str, first: Built, image: str, cluster: Cluster, tmp_path: Path
) -> None:
    with (
        other_run_image(f"{name}-run", patched, tmp_path) as newer,
        rebased_in_the_registry(first, newer, cluster) as rebased,
    ):
        assert_same_model_on(newer, rebased, image)


def of_another_version(root: Path) -> None:
    """Have the run image's Python say that it is another one: any machine can have that."""
    write(root / "usr/lib/python3.11/sitecustomize.py", "import sys\nsys.version_info = (3, 12, 1, 'final', 0)\n")


def another_python(root: Path) -> None:
    """Have another Python in the place of the run image's own."""
    found = [python for minor in (12, 13, 14, 10) if (python := find_python(f"python3.{minor}"))]
    if not found:
        require("python3.12")
    copy_interpreter(found[0], root / "usr")


@pytest.mark.parametrize("change", [of_another_version, another_python], ids=["says-so", "is-another"])
@pytest.mark.usefixtures("image")  # What is here already need not be pulled again.
def test_service_on_another_python_refuses_to_start(
    name: str, first: Built, cluster: Cluster, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    with (
        other_run_image(f"{name}-run", change, tmp_path) as other,
        rebased_in_the_registry(first, other, cluster) as rebased,
        container(rebased, options=RESTRICTED) as running,
    ):
        assert running.exit_code() == EX_CONFIG
        log = running.log()
    assert "trained by cpython 3.11.2" in log
    assert re.search(r"the image runs cpython 3\.(12|13|14|10)\.\d+ ", log)
    assert "rebuild, do not rebase" in log
