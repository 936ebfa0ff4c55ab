"""What each tool decides after a change: right, needless (it ran for nothing) or stale (it should have run).

The table is the one that the tests hold nachlass to (tests/cache/scenarios.py), with a few rows that they spell
otherwise. nachlass decides in real builds; jupyter-cache by its own API, on a cache that it filled itself; papermill
has no cache and runs everything.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import Peers
from bench.report import progress, section
from tests.cache.lab import Lab
from tests.cache.scenarios import (
    SCENARIOS,
    F,
    M,
    Scenario,
    as_if_opened_in_jupyter,
    edit,
    explained,
    nothing,
    two_notebooks,
)
from tests.support.installed import platform_like
from tests.support.phases import Phases

_TOOLS = ("nachlass", "papermill", "jupyter-cache")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A scenario after `earlier` ones, which are built but not counted; with `cold`, nothing has been built before."""

    scenario: Scenario
    earlier: Sequence[Scenario] = ()
    cold: bool = False
    package: bool = False
    """Whether a package was upgraded."""


_VARIABLE, _UNCHANGED = SCENARIOS["variable"], SCENARIOS["unchanged"]
TRIALS: Mapping[str, Trial] = {
    "first build": Trial(scenario=Scenario(change=nothing, features="run", model="run"), cold=True),
    **{name: Trial(scenario=scenario) for name, scenario in SCENARIOS.items()},
    "markdown alone": Trial(scenario=Scenario(change=explained, features="reused", model="reused")),
    "outputs, counts and metadata alone": Trial(
        scenario=Scenario(change=as_if_opened_in_jupyter, features="reused", model="reused")
    ),
    "README alone": Trial(scenario=Scenario(change=edit("README.md", "x"), features="reused", model="reused")),
    "variable as it was before": Trial(scenario=_UNCHANGED, earlier=(_VARIABLE,)),
    "variable changed to a value seen before": Trial(
        scenario=Scenario(change=nothing, env=_VARIABLE.env, features="reused", model="reused"),
        earlier=(_VARIABLE, _UNCHANGED),
    ),
    "package upgraded": Trial(scenario=Scenario(change=nothing, features="run", model="run"), package=True),
}


def measure(installed: Phases, root: Path, _runs: int) -> None:
    section("Decisions: notebooks of each scenario that should have run, and those that each tool ran")
    ours = _Ours(installed, root / "nachlass")
    theirs = _JupyterCache(root / "jupyter-cache")
    counts = {tool: Counter[str]() for tool in _TOOLS}
    for name, trial in TRIALS.items():
        wanted = {F: trial.scenario.features, M: trial.scenario.model}
        ran = {"nachlass": ours.ran(trial), "papermill": {F, M}, "jupyter-cache": theirs.ran(trial)}
        for tool in _TOOLS:
            counts[tool].update(_verdicts(wanted, ran[tool]))
        should = {notebook for notebook, what in wanted.items() if what == "run"}
        told = "  ".join(f"{tool} {_short(ran[tool]):<5}" for tool in _TOOLS)
        print(f"{name:<44} wanted {_short(should):<5}  {told}", flush=True)
    print(f"{len(TRIALS)} scenarios, {2 * len(TRIALS)} decisions")
    for tool in _TOOLS:
        told = "  ".join(f"{verdict} {counts[tool][verdict]:2}" for verdict in ("right", "needless", "stale"))
        print(f"{tool:<14} {told}", flush=True)


def _verdicts(wanted: Mapping[str, str], ran: set[str]) -> Iterator[str]:
    for notebook, what in wanted.items():
        if (what == "run") == (notebook in ran):
            yield "right"
        else:
            yield "stale" if what == "run" else "needless"


def _short(notebooks: set[str]) -> str:
    return " ".join(sorted(notebook[:2] for notebook in notebooks)) or "-"


class _Ours:
    """nachlass, in real builds."""

    def __init__(self, installed: Phases, root: Path) -> None:
        progress("the scenarios' cold build")
        env = {"NACHLASS_NOTEBOOKS": f"{F},{M}"}
        repository = two_notebooks(root / "repository")
        self._lab = Lab(platform_like(installed, root / "platform", repository, env), repository)

    def ran(self, trial: Trial) -> set[str]:
        if trial.cold:
            return {notebook for notebook, what in self._lab.cold.what.items() if what == "run"}
        self._lab.reset()
        for scenario in trial.earlier:
            self._build(scenario)
        if trial.package:
            self._lab.upgrade("threadpoolctl", "99.0")
        return self._build(trial.scenario)

    def _build(self, scenario: Scenario) -> set[str]:
        self._lab.set_only(dict(scenario.env))
        outcome = self._lab.build(scenario.change)
        assert outcome.built.exit_code == 0, outcome.built.output
        return {notebook for notebook, what in outcome.what.items() if what == "run"}


class _JupyterCache:
    """jupyter-cache with its own executor, in one directory, because its records name absolute paths."""

    def __init__(self, root: Path) -> None:
        self._peers = Peers(root / "home")
        self._pristine = two_notebooks(root / "pristine")
        self._repository = root / "repository"
        self._cache, self._cold = root / "cache", root / "cold"
        shutil.copytree(self._pristine, self._repository)
        self._first = self._decide({})
        shutil.copytree(self._cache, self._cold)

    def ran(self, trial: Trial) -> set[str]:
        """Return what it executes; that a package was upgraded, it has no way to see."""
        if trial.cold:
            return self._first
        for directory, source in ((self._repository, self._pristine), (self._cache, self._cold)):
            shutil.rmtree(directory)
            shutil.copytree(source, directory)
        for scenario in trial.earlier:
            self._build(scenario)
        return self._build(trial.scenario)

    def _build(self, scenario: Scenario) -> set[str]:
        scenario.change(self._repository)
        return self._decide(dict(scenario.env))

    def _decide(self, env: Mapping[str, str]) -> set[str]:
        return set(self._peers.ask("decide", str(self._cache), str(self._repository), F, M, env=env))
