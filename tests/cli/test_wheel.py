"""The package as people install it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.cli.harness import ROOT, write


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.iterdir()
    return built


def test_the_wheel_holds_the_whole_buildpack_and_nothing_of_a_developers_machine(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = "nachlass_cli/buildpack"
    rooms = [ROOT / name for name in ("bin", "nachlass_bp", "scorer", "locks")]
    wanted = {
        f"{inside}/{path.relative_to(ROOT).as_posix()}"
        for room in rooms
        for path in room.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted | {f"{inside}/buildpack.toml"} <= names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith(("tests/", "examples/"))]


def test_an_installation_in_a_path_with_blanks_runs_its_own_buildpack(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "my tools"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", wheel], check=True)
    # As in a person's shell: nothing of this test's Python.
    shell = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    version = subprocess.run(
        [venv / "bin/nachlass", "--version"], env=shell, capture_output=True, text=True, check=True
    )
    assert version.stdout.startswith("nachlass ")
    (package,) = venv.glob("lib/python*/site-packages/nachlass_cli/buildpack")
    for phase in ("detect", "build"):
        assert os.access(package / "bin" / phase, os.X_OK)

    write(tmp_path / "empty repo", {"readme.txt": ""})
    command: list[str | Path] = [venv / "bin/nachlass", "build", tmp_path / "empty repo"]
    finished = subprocess.run(command, env=shell, capture_output=True, text=True, check=False)
    assert finished.returncode == 1
    assert "[Error: nachlass doesn't know which notebooks to run]\n" in finished.stderr
    assert "Reference: not-detected" in finished.stderr
