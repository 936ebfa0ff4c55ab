"""Which packages of an overlay are used beside the user's own: the fewest that the locked stack can live with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Replaced:
    """A distribution of the user's that the locked stack cannot use; `required` is what it asks for."""

    name: str
    installed: str
    required: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} (yours is {self.installed}, needed is {self.required})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlay:
    """What is taken from the overlay: top-level `names`, the `distributions` that install them, and whom they hide."""

    names: tuple[str, ...]
    distributions: tuple[str, ...]
    replaced: tuple[Replaced, ...]


def choose_overlay(companion: Path, installed: Mapping[str, str]) -> Overlay:
    """Decide what the overlay of `companion` (`locks/<name>.json`) has to provide in an environment.

    Args:
        companion: The generated description of the lock.
        installed: The environment's distributions and their versions.

    Returns:
        All of `ours`, and those of `shared` that the environment lacks or has in a version that does not satisfy.
    """
    described = json.loads(companion.read_text(encoding="utf-8"))
    present = {canonicalize_name(name): version for name, version in installed.items()}
    taken: dict[str, list[str]] = {name: entry["names"] for name, entry in described["ours"].items()}
    replaced: list[Replaced] = []
    for name, entry in described["shared"].items():
        theirs = present.get(canonicalize_name(name))
        if theirs is not None and _satisfies(theirs, entry["requires"]):
            continue
        taken[name] = entry["names"]
        if theirs is not None:
            replaced.append(Replaced(name=name, installed=theirs, required=entry["requires"], version=entry["version"]))
    return Overlay(
        names=tuple(sorted({top for names in taken.values() for top in names})),
        distributions=tuple(sorted(taken)),
        replaced=tuple(replaced),
    )


def _satisfies(version: str, requires: str) -> bool:
    try:
        return SpecifierSet(requires).contains(Version(version), prereleases=True)
    except InvalidVersion:
        # A version that no tool of today can compare is an environment of long ago: ours is the safe choice.
        return not requires
