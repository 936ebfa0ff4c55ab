"""Beside papermill and jupyter-cache: what each tool adds to the time of a notebook's cells."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import peers_environment, repositories, stopwatch
from bench.report import row, section
from tests.support.environment import IMAGE_PATH
from tests.support.installed import platform_like
from tests.support.phases import Phases

_WORKER = Path(__file__).with_name("peer_worker.py")
_TOOLS = ("papermill", "jupyter-cache")


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One notebook by one tool: seconds beside its cells, seconds a cell that does nothing, the whole process."""

    own_s: float
    cell_s: float
    process_s: float


def measure(installed: Phases, root: Path, runs: int) -> None:
    section("Execution, beside papermill and jupyter-cache")
    repository = repositories.hundred_cells(root / "repository")
    env = {"NACHLASS_NOTEBOOKS": "b.ipynb", "NACHLASS_ALWAYS_RUN": "b.ipynb"}
    phases = platform_like(installed, root / "platform", repository, env)
    peers = Peers(root / "home")
    stopwatch.build(phases)
    results: dict[str, list[Execution]] = {"nachlass": [], **{tool: [] for tool in _TOOLS}}
    for _ in range(runs):
        results["nachlass"].append(_by_nachlass(phases))
        for tool in _TOOLS:
            results[tool].append(_by_peer(peers, tool, repository))
    for tool, executions in results.items():
        row(f"{tool}: own time a notebook", [each.own_s for each in executions], "s")
        row(f"{tool}: a cell that does nothing", [each.cell_s * 1000 for each in executions], "ms")
        if tool in _TOOLS:
            row(f"{tool}: its whole process, beside the cells", [each.process_s for each in executions], "s")
    for tool in _TOOLS:
        pairs = zip(results["nachlass"], results[tool], strict=True)
        row(f"own time: nachlass to {tool}, pair by pair", [ours.own_s / theirs.own_s for ours, theirs in pairs], "x")


def _by_nachlass(phases: Phases) -> Execution:
    timed = stopwatch.build(phases)
    (notebook,) = timed.notebooks
    return _execution(notebook.whole_s, notebook.stamps, timed.seconds)


def _by_peer(peers: Peers, tool: str, repository: Path) -> Execution:
    started = time.perf_counter()
    told = peers.ask(tool, str(repository), "b.ipynb")
    return _execution(told["seconds"], told["stamps"], time.perf_counter() - started)


def _execution(whole_s: float, stamps: Mapping[str, float], process_s: float) -> Execution:
    cells_s = stamps["last"] - stamps["first"]
    return Execution(
        own_s=whole_s - cells_s,
        cell_s=(stamps["hundredth"] - stamps["first"]) / 100,
        process_s=process_s - cells_s,
    )


class Peers:
    """The peers' Python, and a home without anybody's settings."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        self._python = peers_environment.python()
        self._env = {
            "PATH": f"{self._python.parent}:{IMAGE_PATH}",
            "HOME": str(home),
            "NACHLASS_STAGE_FILE": str(home / "saved.stage"),
            "LC_ALL": "C.UTF-8",
            **{name: os.environ[name] for name in ("TMPDIR",) if name in os.environ},
        }

    def ask(self, *arguments: str, env: Mapping[str, str] | None = None) -> Any:
        """Return what the worker answers."""
        command: list[str | Path] = [self._python, _WORKER, *arguments]
        done = subprocess.run(command, env={**self._env, **(env or {})}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])
