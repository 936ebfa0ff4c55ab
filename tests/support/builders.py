"""Builders made from our builder files, with the stand-ins of `tests/e2e/providers` for what these pull."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toml

from tests.support import debian, pack
from tests.support.pack import Platform
from tests.support.pythons import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NACHLASS = "nachlass/nachlass"
PACKAGE = ROOT / "dist/nachlass.cnb"
BYTECODE = "/layers/nachlass_nachlass/pycache/bytecode"
"""Where the layer `pycache` has it."""
_STAND_INS = ROOT / "tests/e2e/providers"


def read_toml(file: Path) -> dict[str, Any]:
    """Read a file of a buildpack or a builder."""
    return tomllib.loads(file.read_text(encoding="utf-8"))


def stand_ins() -> dict[str, Path]:
    """Return the directories of all stand-ins by the ids of the buildpacks that they stand in for."""
    return {read_toml(file)["buildpack"]["id"]: file.parent for file in sorted(_STAND_INS.glob("*/*/buildpack.toml"))}


def group_of(file: Path) -> list[dict[str, Any]]:
    """Return the one group of buildpacks that a builder file or a composite has."""
    ((group,),) = [[order["group"] for order in read_toml(file)["order"]]]
    return [dict(member) for member in group]


def builder_of(
    group: Sequence[Mapping[str, Any]], *, build_image: str, run_image: str, nachlass: Path | None = None
) -> dict[str, Any]:
    """Return a builder file for one group, with stand-ins for all of it but nachlass."""
    known: Mapping[str, Path | None] = {**stand_ins(), NACHLASS: nachlass}
    return {
        "buildpacks": [{"uri": str(known[member["id"]])} for member in group],
        "order": [{"group": list(group)}],
        "build": {"image": build_image},
        "run": {"images": [{"image": run_image}]},
        "lifecycle": {"uri": str(ROOT / ".tools/lifecycle.tgz")},
    }


def write_toml(file: Path, content: Mapping[str, Any]) -> Path:
    """Write such a file."""
    file.write_text(toml.dumps(content), encoding="utf-8")
    return file


@dataclass(frozen=True, kw_only=True)
class Bases:
    """A machine with two base images that have no Python, and the repository that all builds are of."""

    machine: Platform
    name: str
    repository: Path

    @classmethod
    def make(cls, machine: Platform, name: str, repository: Path) -> Bases:
        """Make the two images, and the buildpack."""
        pack.make("base-images")
        pack.make("buildpack")
        debian.build_image(f"{name}-build")
        debian.run_image(f"{name}-run")
        return cls(machine=machine, name=name, repository=repository)

    def builder(self, provider: str, content: Mapping[str, Any], scratch: Path) -> str:
        """Make the builder of a file's content, and return its name."""
        image = f"{self.name}-builder-{provider}"
        file = write_toml(scratch / f"{provider}.toml", content)
        made = self.machine.pack("builder", "create", image, "--config", file, "--pull-policy", "never")
        assert made.exit_code == 0, made.output
        return image

    def replaced(self, file: str) -> dict[str, Any]:
        """Return one of our builder files, with stand-ins for what it pulls."""
        group = group_of(ROOT / file)
        return self.content(group, nachlass=PACKAGE)

    def content(self, group: Sequence[Mapping[str, Any]], *, nachlass: Path | None = None) -> dict[str, Any]:
        """Return a builder file of one group, on the two base images."""
        images = (f"{self.name}-build", f"{self.name}-run")
        return builder_of(group, build_image=images[0], run_image=images[1], nachlass=nachlass)

    def build(self, provider: str, builder: str, *options: str, env: Mapping[str, str] | None = None) -> str:
        """Build the repository, and return the log."""
        dependencies = ("--volume", f"{debian.dependencies()}:/dependencies:ro")
        image = f"{self.name}-{provider}"
        return self.machine.built(image, self.repository, *dependencies, *options, builder=builder, env=env)
