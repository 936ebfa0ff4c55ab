"""A stage cache in a directory of the platform's, by a service binding of type `nachlass-cache`."""

from __future__ import annotations

import shutil
from pathlib import Path
from subprocess import Popen

import pytest

from nachlass_bp.cache import trace
from nachlass_bp.cache.lock import StoreLock
from nachlass_bp.cache.store import FORMAT, Store
from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.cache.scenarios import MODEL, F, M, append, cells, two_notebooks
from tests.support.installed import LARGE
from tests.support.phases import Phases
from tests.support.trees import link_tree


@pytest.fixture(scope="module")
def lab(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(two_notebooks(tmp_path_factory.mktemp("r")), {"NACHLASS_NOTEBOOKS": f"{F},{M}"})


@pytest.fixture
def shared(lab: Lab, tmp_path: Path) -> Path:
    """Return a directory that two bindings of the lab's platform give to its builds, one of them wrongly."""
    lab.reset()
    directory = tmp_path / "shared"
    directory.mkdir()
    lab.phases.add_binding("b-cache", {"type": "nachlass-cache", "path": "a/relative/one"})
    lab.phases.add_binding("a-cache", {"type": "nachlass-cache", "path": f"{directory}\n"})
    return directory


def without_a_cache_of_the_platform(lab: Lab) -> None:
    shutil.rmtree(lab.phases.store.kept / "stage-store", ignore_errors=True)
    lab.phases.store.layers.pop("stage-store", None)


def test_directory_keeps_what_a_failed_build_has_finished(lab: Lab, shared: Path) -> None:
    broken = (*MODEL[:-1], "raise ValueError('not today')")
    failed = lab.build(cells(M, broken)).built
    assert failed.exit_code == 1
    assert "Of several service bindings of type nachlass-cache, a-cache is used." in failed.output
    assert "Stage cache: the directory of the service binding a-cache" in failed.output

    without_a_cache_of_the_platform(lab)
    mended = lab.build(cells(M, MODEL))
    assert mended.what == {F: "reused", M: "run"}
    assert mended.built.exit_code == 0, mended.built.output
    assert "stage-store" not in mended.built.layers, "there is one store, not two"

    without_a_cache_of_the_platform(lab)
    assert lab.build().what == {F: "reused", M: "reused"}
    assert [path.stat().st_mode & 0o077 for path in shared.rglob("*") if path.is_file()].count(0) > 5


def test_builds_at_the_same_time_share_a_directory(lab: Lab, shared: Path, tmp_path: Path) -> None:
    builds: list[tuple[Phases, Popen[str]]] = []
    for number in range(2):
        phases = Phases(tmp_path / f"platform-{number}", lab.phases.repository, provider=lab.phases.provider)
        shutil.copytree(lab.phases.platform, phases.platform, dirs_exist_ok=True)
        for name in LARGE:
            link_tree(lab.phases.kept_layer(name), phases.store.kept / name)
            phases.store.layers[name] = lab.phases.store.layers[name]
        builds.append((phases, phases.start_build()))
    for phases, process in builds:
        output, _ = process.communicate(timeout=300)
        assert phases.finish_build(process.returncode, output).exit_code == 0, output

    assert len(list(shared.glob("nachlass-*/traces/*/*.json"))) >= 2
    without_a_cache_of_the_platform(lab)
    assert lab.build().what == {F: "reused", M: "reused"}
    assert lab.build(append("data/train.csv", "2.8,2.6,high\n")).what == {F: "run", M: "run"}


def test_directory_that_cannot_be_used_costs_no_build(lab: Lab, shared: Path) -> None:
    shared.rmdir()
    built = lab.build()
    assert built.built.exit_code == 0, built.built.output
    assert (
        f"The stage cache of the service binding a-cache can't be used ({shared} isn't a directory)."
        in built.built.output
    )
    assert built.what == {F: "reused", M: "reused"}, "the layer is there as before"


@pytest.mark.parametrize("place", ["nachlass-{}/blobs", "nachlass-{}", "nachlass-{}.lock"])
def test_link_in_the_directory_is_not_followed(lab: Lab, shared: Path, tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    if not place.endswith(".lock"):
        elsewhere.mkdir()
    link = shared / place.format(f"{FORMAT}.{trace.FORMAT}")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere)
    built = lab.build()
    assert built.built.exit_code == 0, built.built.output
    assert f"a-cache can't be used ({link}: it is a link, and here none is followed)." in built.built.output
    assert built.what == {F: "reused", M: "reused"}, "the layer is there as before"
    assert [*elsewhere.iterdir()] == [] if elsewhere.is_dir() else not elsewhere.exists()


def test_nothing_is_dropped_while_another_build_uses_the_store(tmp_path: Path) -> None:
    ours, theirs = (Store(tmp_path / "store", StoreLock(tmp_path / "lock")) for _ in range(2))
    (tmp_path / "bytes").write_bytes(b"a stage that no trace names yet")
    blob = theirs.add(tmp_path / "bytes")
    ours.evict([], None)
    theirs.verify(blob)

    theirs.close()
    assert ours.evict([], None) < 200
    assert not ours.path_of(blob).exists()
