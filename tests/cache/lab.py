"""A platform on which one repository is built cold once, and then changed and built again as often as one likes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.layers import Layer
from tests.support.phases import Built, Phases
from tests.support.pythons import link_tree

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
                shutil.rmtree(directory)
                link_tree(self._cold / kept, directory)
            self.phases.store.layers = dict(self._layers)

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
