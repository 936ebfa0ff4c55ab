"""One row a request, one connection: the median time of an answer, beside the hand-written service's."""

from __future__ import annotations

from bench.report import row, section
from bench.serving.alternation import alternate
from bench.serving.load import Load
from bench.serving.measured import REFERENCE, Measured, unless_refused


def measure(measured: Measured) -> None:
    section(f"{measured.model}: one row a request, one connection")
    if REFERENCE not in measured.peers:
        print(f"left out: {REFERENCE} is not among the peers")
        return
    unless_refused(f"nachlass and {REFERENCE} in turn", lambda: _beside(measured))


def _beside(measured: Measured) -> None:
    peer = measured.peers[REFERENCE]
    found = alternate(
        lambda: measured.closed(peer, connections=1),
        lambda: measured.closed(measured.ours, connections=1),
        _p50,
        measured.alternations,
    )
    row(f"{REFERENCE}: p50", [each.p50_ms for each in found.firsts], "ms")
    row("nachlass: p50", [each.p50_ms for each in found.seconds], "ms")
    row(f"nachlass by {REFERENCE}, pair by pair{found.remark}", found.ratios(_p50), "x", "at most 1.05 x")


def _p50(load: Load) -> float:
    return load.p50_ms
