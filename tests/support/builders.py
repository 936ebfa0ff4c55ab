"""Builders made from our builder files, with the stand-ins of `tests/e2e/providers` for what these pull."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import toml

from tests.support.pythons import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NACHLASS = "nachlass/nachlass"
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


def builder(
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
