"""What a run costs beside its cells: the kernel's start, our own time, and watching what it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bench import repositories, stopwatch
from bench.report import progress, row, section
from bench.stopwatch import NotebookTimes
from tests.support.installed import platform_like
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


_PAIRS = 4
"""Pairs of runs, with tracing and without, for each run of other things: what tracing costs is less than the noise."""


def _tracing(installed: Phases, root: Path, runs: int) -> None:
    repository = repositories.heavy(root / "repository")
    phases = platform_like(
        installed, root / "platform", repository, {"NACHLASS_NOTEBOOKS": "b.ipynb", "NACHLASS_ALWAYS_RUN": "b.ipynb"}
    )
    for mode in ("off", "trace"):
        _run(phases, mode)
    pairs: list[tuple[NotebookTimes, NotebookTimes]] = []
    for number in range(_PAIRS * runs):
        progress(f"tracing off and on, {number + 1} of {_PAIRS * runs}")
        if number % 2:
            traced = _run(phases, "trace")
            pairs.append((_run(phases, "off"), traced))
        else:
            untraced = _run(phases, "off")
            pairs.append((untraced, _run(phases, "trace")))
    row("cells that import much and read 200 files, untraced", [off.cells_s for off, _ in pairs], "s")
    measures: tuple[tuple[str, str, Callable[[NotebookTimes], float]], ...] = (
        ("the cells' seconds", "1.05 x", lambda times: times.cells_s),
        ("the kernel's processor time", "", lambda times: times.stamps["cpu"]),
        ("the time from heading to heading", "1.05 x", lambda times: times.whole_s),
    )
    for what, bound, seconds in measures:
        row(f"tracing: ratio of {what}, by pairs", [seconds(on) / seconds(off) for off, on in pairs], "x", bound)
        # What else the machine does only adds: the fastest runs have the least of it.
        fastest = min(seconds(on) for _, on in pairs) / min(seconds(off) for off, _ in pairs)
        row(f"tracing: ratio of {what}, fastest by fastest", [fastest], "x", bound)


def _run(phases: Phases, mode: str) -> NotebookTimes:
    phases.set_env({"NACHLASS_CACHE": mode})
    (notebook,) = stopwatch.build(phases).notebooks
    return notebook
