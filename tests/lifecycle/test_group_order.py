"""The groups of our builder files, and wrong ones, as the real detector resolves them with stand-ins for the others."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders import NACHLASS, group_of, read_toml, stand_ins, write_toml
from tests.support.facilities import TOOLS, require
from tests.support.lifecycle import BUILD_USER, PLATFORM_API
from tests.support.pythons import ROOT
from tests.support.repositories import classifier_repository

COMPOSITE = "nachlass/paketo"
PAKETO = ["paketo-buildpacks/cpython", "paketo-buildpacks/pip", "paketo-buildpacks/pip-install"]
WITH_CERTIFICATES = ["paketo-buildpacks/ca-certificates", *PAKETO]
GOOGLE = ["google.python.runtime", "google.python.pip"]


@dataclass(frozen=True, kw_only=True)
class Detected:
    """What the detector decided: the buildpacks that build, and for each name of the plan who wants it and how."""

    exit_code: int
    output: str
    group: Sequence[str]
    launch: frozenset[str]
    build: frozenset[str]


class Detector:
    """The lifecycle's detector, as the user of a build."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._buildpacks = root / "buildpacks"
        self._versions: dict[str, str] = {}
        for directory in (*stand_ins().values(), ROOT, ROOT / "builders/paketo"):
            self._add(directory)
        self.app = classifier_repository(root / "app")
        for name in ("platform", "layers"):
            (root / name).mkdir()

    def _add(self, directory: Path) -> None:
        described = read_toml(directory / "buildpack.toml")["buildpack"]
        self._versions[described["id"]] = described["version"]
        target = self._buildpacks / described["id"].replace("/", "_") / described["version"]
        target.mkdir(parents=True)
        shutil.copy(directory / "buildpack.toml", target)
        if (directory / "bin").is_dir():
            shutil.copytree(directory / "bin", target / "bin")

    def detect(self, members: Sequence[dict[str, Any]]) -> Detected:
        """Let the detector resolve one group; `members` are as in a builder file, which need not name versions."""
        group = [{"version": self._versions[member["id"]], **member} for member in members]
        files = {name: self._root / f"layers/{name}.toml" for name in ("group", "plan")}
        options = {
            "app": self.app,
            "buildpacks": self._buildpacks,
            "order": write_toml(self._root / "order.toml", {"order": [{"group": group}]}),
            "layers": self._root / "layers",
            "platform": self._root / "platform",
            **files,
        }
        for path in (self._root, *self._root.rglob("*")):
            os.chown(path, *BUILD_USER, follow_symlinks=False)
        user, group_id = map(str, BUILD_USER)
        done = subprocess.run(
            [
                *("setpriv", "--reuid", user, "--regid", group_id, "--clear-groups", TOOLS / "detector"),
                *(word for name, value in options.items() for word in (f"-{name}", value)),
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self._root),
                "CNB_PLATFORM_API": PLATFORM_API,
                "CNB_NO_COLOR": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        found = read_toml(files["group"])["group"] if done.returncode == 0 else []
        entries = read_toml(files["plan"]).get("entries", []) if done.returncode == 0 else []
        return Detected(
            exit_code=done.returncode,
            output=done.stdout,
            group=[member["id"] for member in found],
            launch=_wanted(entries, "launch"),
            build=_wanted(entries, "build"),
        )


def _wanted(entries: Sequence[dict[str, Any]], kind: str) -> frozenset[str]:
    required = [each for entry in entries for each in entry["requires"]]
    return frozenset(each["name"] for each in required if each.get("metadata", {}).get(kind))


def group(*ids: str) -> list[dict[str, Any]]:
    return [{"id": each} for each in ids]


@pytest.fixture
def detector() -> Iterator[Detector]:
    require("lifecycle")
    root = Path(tempfile.mkdtemp(prefix="nachlass-detector-"))
    root.chmod(0o755)  # Another user has to get in; pytest's own directories are private.
    try:
        yield Detector(root)
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("members", [group_of(ROOT / "builder.toml"), group(COMPOSITE)], ids=["builder", "composite"])
def test_paketos_python_and_packages_are_asked_for_build_and_launch(
    detector: Detector, members: list[dict[str, Any]]
) -> None:
    found = detector.detect(members)

    assert found.group == [*WITH_CERTIFICATES, NACHLASS], found.output
    assert found.launch == {"cpython", "site-packages"}
    assert found.build == {"cpython", "pip", "site-packages"}


def test_herokus_python_comes_without_being_asked(detector: Detector) -> None:
    members = group_of(ROOT / "builders/heroku/builder.toml")
    found = detector.detect(members)

    assert found.group == ["heroku/python", NACHLASS], found.output
    assert found.launch == found.build == frozenset()

    (detector.app / "Procfile").write_text("web: something else\n")
    assert detector.detect(members).group == ["heroku/python", NACHLASS, "heroku/procfile"]


def test_procfiles_buildpack_on_the_command_line_needs_a_procfile(detector: Detector) -> None:
    named = group("heroku/python", NACHLASS, "heroku/procfile")  # Of those that are named so, none is optional.

    assert detector.detect(named).exit_code != 0
    assert detector.detect(named[:2]).group == ["heroku/python", NACHLASS]
    (detector.app / "Procfile").write_text("web: something else\n")
    assert detector.detect(named).group == ["heroku/python", NACHLASS, "heroku/procfile"]


def test_debian_builder_needs_nobody_else(detector: Detector) -> None:
    found = detector.detect(group_of(ROOT / "builders/debian/builder.toml"))

    assert found.group == [NACHLASS], found.output
    assert found.launch == found.build == frozenset()


def test_googles_buildpacks_come_without_being_asked(detector: Detector) -> None:
    (detector.app / "helpers.py").write_text("")
    found = detector.detect(group(*GOOGLE, NACHLASS))

    assert found.group == [*GOOGLE, NACHLASS], found.output
    assert found.launch == found.build == frozenset()


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(group(NACHLASS, *PAKETO), id="first"),
        pytest.param(group(PAKETO[0], NACHLASS, *PAKETO[1:]), id="after-cpython"),
        pytest.param(group(*PAKETO[:2], NACHLASS, PAKETO[2]), id="before-pip-install"),
    ],
)
def test_before_pip_install_the_detector_says_that_nobody_wants_its_packages(
    detector: Detector, members: list[dict[str, Any]]
) -> None:
    found = detector.detect(members)

    assert found.exit_code != 0
    assert "paketo-buildpacks/pip-install@0.7.40 provides unused site-packages" in found.output
    assert "nachlass: comes after the buildpacks that provide Python and install the requirements" in found.output
