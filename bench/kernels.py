"""What a run costs beside its cells: the kernel's start, our own time, and watching what it reads."""

from __future__ import annotations

from pathlib import Path

from bench import repositories, stopwatch
from bench.report import progress, row, section
from bench.stopwatch import NotebookTimes
from tests.cache.lab import platform_like
from tests.support.phases import Phases


def measure(installed: Phases, root: Path, runs: int) -> None:
    section("Runs")
    _own_time(installed, root / "tiny", runs)
    _tracing(installed, root / "heavy", runs)


def _own_time(installed: Phases, root: Path, runs: int) -> None:
    repository = repositories.tiny(root / "repository")
    phases = platform_like(
        installed,
        root / "platform",
        repository,
        {"NACHLASS_NOTEBOOKS": "a.ipynb,b.ipynb", "NACHLASS_ALWAYS_RUN": "a.ipynb,b.ipynb"},
    )
    stopwatch.build(phases)
    notebooks = [each for _ in range(runs) for each in stopwatch.build(phases).notebooks]
    assert len(notebooks) == 2 * runs
    row("kernel start to first cell", [each.to_first_cell_s for each in notebooks], "s", "1.0 s")
    row("own time a notebook, beside its cells", [each.own_s for each in notebooks], "s", "1.5 s")


def _tracing(installed: Phases, root: Path, runs: int) -> None:
    repository = repositories.heavy(root / "repository")
    phases = platform_like(
        installed, root / "platform", repository, {"NACHLASS_NOTEBOOKS": "b.ipynb", "NACHLASS_ALWAYS_RUN": "b.ipynb"}
    )
    for mode in ("off", "trace"):
        _run(phases, mode)
    pairs: list[tuple[NotebookTimes, NotebookTimes]] = []
    for number in range(2 * runs):
        progress(f"tracing off and on, {number + 1} of {2 * runs}")
        if number % 2:
            traced = _run(phases, "trace")
            pairs.append((_run(phases, "off"), traced))
        else:
            untraced = _run(phases, "off")
            pairs.append((untraced, _run(phases, "trace")))
    row("cells that import much and read 200 files, untraced", [off.cells_s for off, _ in pairs], "s")
    row("tracing: ratio of the cells' seconds", [on.cells_s / off.cells_s for off, on in pairs], "x", "1.05 x")
    cpu = [on.stamps["cpu"] / off.stamps["cpu"] for off, on in pairs]
    row("tracing: ratio of the kernel's processor time", cpu, "x")
    row("tracing: ratio from heading to heading", [on.whole_s / off.whole_s for off, on in pairs], "x", "1.05 x")


def _run(phases: Phases, mode: str) -> NotebookTimes:
    phases.set_env({"NACHLASS_CACHE": mode})
    (notebook,) = stopwatch.build(phases).notebooks
    return notebook
