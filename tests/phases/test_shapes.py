"""A one-notebook repository becomes a service in every environment that a Python buildpack leaves behind."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.phases.conftest import Workshop
from tests.phases.providers import SHAPES, bare
from tests.support.phases import Built, Detected, Phases
from tests.support.pythons import this_python
from tests.support.repositories import classifier_repository


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One build in one shape."""

    phases: Phases
    detected: Detected
    built: Built
    files_before: Mapping[str, tuple[int, int]]
    files_after: Mapping[str, tuple[int, int]]


@pytest.fixture(scope="module", params=SHAPES)
def outcome(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, offline: dict[str, str]
) -> Outcome:
    root = tmp_path_factory.mktemp(request.param)
    repository = classifier_repository(root / "repository")
    phases = Phases(root / "platform", repository, provider=SHAPES[request.param](this_python()), env=offline)
    detected = phases.detect()
    before = provided_files(phases)
    process = phases.start_build()
    output, _ = process.communicate()
    after = provided_files(phases)
    built = phases.finish_build(process.returncode, output)
    return Outcome(phases=phases, detected=detected, built=built, files_before=before, files_after=after)


def provided_files(phases: Phases) -> dict[str, tuple[int, int]]:
    """Return size and time of all files in the layers of the provider's buildpacks."""
    directories = [phases.layers_root / name for name in phases.provider.buildpacks]
    files = [path for directory in directories for path in directory.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def test_notebook_becomes_a_service(outcome: Outcome) -> None:
    assert outcome.detected.exit_code == 0, outcome.detected.output
    assert outcome.built.exit_code == 0, outcome.built.output
    with outcome.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]


def test_build_writes_nothing_into_other_buildpacks_layers(outcome: Outcome) -> None:
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.files_after == outcome.files_before


def test_bare_image_needs_no_python_buildpack(workshop: Workshop, tmp_path: Path) -> None:
    built = workshop.build(classifier_repository(tmp_path / "repository"))

    assert built.exit_code == 0, built.output
    assert built.layers["packages"].launch, "nachlass itself installs the requirements"
    with workshop.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]
    scored = subprocess.run(
        workshop.phases.command("score"),
        env=workshop.phases.launch_env("score"),
        cwd=workshop.phases.app,
        input="0.1,0.0\n3.0,2.8\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert scored.stdout == "0.1,0.0,low\n3.0,2.8,high\n"


def test_system_python_needs_the_platforms_consent(tmp_path: Path, offline: dict[str, str]) -> None:
    repository = classifier_repository(tmp_path / "repository")
    env = {**offline, "NACHLASS_SYSTEM_PYTHON": ""}
    built = Phases(tmp_path / "platform", repository, provider=bare(this_python()), env=env).build()

    assert built.exit_code == 1
    assert "NACHLASS_SYSTEM_PYTHON" in built.output
    assert "Traceback" not in built.output
