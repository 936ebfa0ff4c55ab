"""A platform on which one repository is built cold once, and then changed and built again as often as one likes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.installed import LARGE
from tests.support.layers import Layer
from tests.support.phases import Built, Phases
from tests.support.trees import link_tree, remove_tree

_DECISION = re.compile(r"^(?P<notebook>.+\.ipynb): (?P<what>run|reused) \((?P<why>.*)\)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a build did with a notebook, and why."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A build's decisions by notebook; a notebook that is listed twice has its last one here."""

    built: Built
    decisions: Mapping[str, Decision]

    @property
    def what(self) -> dict[str, str]:
        return {notebook: decision.what for notebook, decision in self.decisions.items()}


class Lab:
    """Builds a repository with the cache, the image and the working state of its cold build."""

    def __init__(self, phases: Phases, repository: Path) -> None:
        self.phases = phases
        self.pristine = repository
        self._cold = phases.root / "cold"
        self._upgraded: set[str] = set()
        self._env = {file.name: file.read_text() for file in (phases.platform / "env").iterdir()}
        phases.repository = phases.root / "changed"
        self.reset()
        self.cold = self.build()
        assert self.cold.built.exit_code == 0, self.cold.built.output
        self._layers: Mapping[str, Layer] = dict(phases.store.layers)
        self._save()

    def _save(self) -> None:
        self._cold.mkdir()
        link_tree(self.phases.store.kept, self._cold / "kept")
        link_tree(self.phases.layers, self._cold / "image")

    def reset(self) -> None:
        """Go back to what there was after the cold build: repository, settings, cache and image."""
        shutil.rmtree(self.phases.repository, ignore_errors=True)
        shutil.copytree(self.pristine, self.phases.repository, symlinks=True)
        for name in ("env", "bindings"):
            shutil.rmtree(self.phases.platform / name, ignore_errors=True)
            (self.phases.platform / name).mkdir()
        self.phases.set_env(self._env)
        if self._cold.exists():
            for kept, directory in (("kept", self.phases.store.kept), ("image", self.phases.layers)):
                self._put_back(self._cold / kept, directory)
            self.phases.store.layers = dict(self._layers)
            self._upgraded = set()

    def _put_back(self, cold: Path, directory: Path) -> None:
        """Make `directory` what it was; large layers that no build has changed since stay where they are."""
        for entry in directory.iterdir():
            is_same = entry.name in LARGE and self.phases.store.layers.get(entry.name) == self._layers[entry.name]
            if not is_same or entry.name in self._upgraded or not (cold / entry.name).exists():
                remove_tree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        for entry in cold.iterdir():
            if not (directory / entry.name).exists():
                if entry.is_dir():
                    link_tree(entry, directory / entry.name)
                else:
                    shutil.copy2(entry, directory / entry.name)

    def set_only(self, env: Mapping[str, str]) -> None:
        """Set variables besides those that the lab was made with, and no others."""
        shutil.rmtree(self.phases.platform / "env")
        (self.phases.platform / "env").mkdir()
        self.phases.set_env({**self._env, **env})

    def upgrade(self, distribution: str, version: str) -> str:
        """Let an installed distribution say that it is of another version; return the one that it was of."""
        metadata = next(self.phases.kept_layer("packages").rglob(f"{distribution}-*.dist-info/METADATA"))
        text = metadata.read_text()
        before = next(line for line in text.splitlines() if line.startswith("Version: "))
        self._upgraded = {"packages"}
        metadata.unlink()  # It is a link to a file of other labs.
        metadata.write_text(text.replace(before, f"Version: {version}"))
        return before.split()[1]

    def build(self, change: Callable[[Path], object] | None = None) -> Outcome:
        """Change the repository, then build it."""
        if change is not None:
            change(self.phases.repository)
        built = self.phases.build()
        found = _DECISION.finditer(built.output)
        return Outcome(
            built=built,
            decisions={match["notebook"]: Decision(what=match["what"], why=match["why"]) for match in found},
        )
