"""One row a request, 64 connections: requests a second, ours over each peer's."""

from __future__ import annotations

import statistics
from functools import partial

from bench.report import row, section
from bench.serving.alternation import Alternation, alternate
from bench.serving.load import Load
from bench.serving.measured import REFERENCE, Measured, unless_refused

BOUNDS = {"iris": 6, "text": 8, "columns": 15, "forest": 15}


def measure(measured: Measured) -> None:
    section(f"{measured.model}: one row a request, 64 connections")
    medians: dict[str, float] = {}
    ours: list[Load] = []
    for name in measured.peers:
        unless_refused(f"nachlass and {name} in turn", partial(_beside, measured, name, medians, ours))
    if ours:
        row("nachlass: p99 by p50", [each.tail for each in ours], "x", "at most 2 x")
    if REFERENCE in medians:
        ahead = {name: median for name, median in medians.items() if not name.startswith(REFERENCE)}
        for name, median in ahead.items():
            verdict = "yes" if median > medians[REFERENCE] else "NO"
            print(f"ahead of {name} by more than of {REFERENCE}: {verdict} ({median:.1f} x)", flush=True)


def _beside(measured: Measured, name: str, medians: dict[str, float], ours: list[Load]) -> None:
    peer = measured.peers[name]
    found: Alternation[Load] = alternate(
        lambda: measured.closed(peer), lambda: measured.closed(measured.ours), _rate, measured.alternations
    )
    ratios = found.ratios(_rate)
    medians[name] = statistics.median(ratios)
    ours += found.seconds
    for server, loads in ((name, found.firsts), ("nachlass", found.seconds)):
        row(f"{server}: requests", [each.rate for each in loads], "/s")
        row(f"{server}: p50", [each.p50_ms for each in loads], "ms")
        row(f"{server}: p99", [each.p99_ms for each in loads], "ms")
        row(f"{server}: processor time for 1,000 requests", [each.cpu_s for each in loads], "s")
    bound = f"at least {BOUNDS[measured.model]} x" if name == REFERENCE else ""
    row(f"nachlass over {name}, pair by pair{found.remark}", ratios, "x", bound)


def _rate(load: Load) -> float:
    return load.rate
