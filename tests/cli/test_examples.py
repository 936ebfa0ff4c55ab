"""Every example becomes a service: the real command, buildpack and packages.

Each on two or three of the Pythons that this machine has, so that each Python has two; each on all of them with
NACHLASS_TEST_EVERY_PYTHON=1.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.facilities import require
from tests.support.pythons import ROOT, find_python

PYTHONS = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")
# Those with the same requirements are neighbours: they share the packages layer of their common output directory.
EXAMPLES = ("spam", "iris", "tickets", "houses")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output with spaces")


def cases() -> list[tuple[str, str]]:
    is_whole = os.environ.get("NACHLASS_TEST_EVERY_PYTHON") == "1"
    found = itertools.product(enumerate(EXAMPLES), enumerate(PYTHONS))
    return [(example, python) for (i, example), (j, python) in found if is_whole or (j - i) % len(EXAMPLES) in (0, 1)]


@pytest.mark.parametrize(("example", "python"), cases())
def test_example_builds_serves_and_predicts(example: str, python: str, output: Path) -> None:
    require(python)
    found = find_python(python)
    assert found is not None
    command = ["run", str(ROOT / "examples" / example), "--check", "--python", str(found.executable)]
    done = subprocess.run(
        [sys.executable, "-m", "nachlass_cli", *command, "--output", str(output / python)],
        env={name: value for name, value in os.environ.items() if name != "NACHLASS_BUILDPACK_DIR"},
        cwd=output,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "The service works." in done.stdout
    assert json.loads((output / python / "layers/stages/manifest.json").read_text())["name"] == example
