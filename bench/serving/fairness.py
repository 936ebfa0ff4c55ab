"""One row a request, one connection, while four others send a thousand rows at a time, for which nobody should wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from bench.report import row, section
from bench.serving import load
from bench.serving.alternation import alternate
from bench.serving.cores import ONE_EACH
from bench.serving.load import Load
from bench.serving.measured import Measured, unless_refused

_LONG_ROWS = 1000
_LONG_CLIENTS = 4


def measure(measured: Measured) -> None:
    section(f"{measured.model}: one row a request, alone and beside {_LONG_CLIENTS} clients of {_LONG_ROWS} rows")
    unless_refused("nachlass, alone and beside long requests in turn", lambda: _alone_and_beside(measured))


def _alone_and_beside(measured: Measured) -> None:
    found = alternate(
        lambda: measured.closed(measured.ours, connections=1),
        lambda: _beside(measured),
        _p99,
        measured.alternations,
    )
    row("p99 alone", [each.p99_ms for each in found.firsts], "ms")
    row("p99 beside long requests", [each.p99_ms for each in found.seconds], "ms")
    row(f"beside by alone, pair by pair{found.remark}", found.ratios(_p99), "x", "at most 5 x")


def _beside(measured: Measured) -> Load:
    ours = measured.ours
    with ThreadPoolExecutor(1) as pool:
        # A little longer, so that short requests are never alone.
        long = pool.submit(load.closed, ours, ours.bodies(_LONG_ROWS), _LONG_CLIENTS, measured.seconds + 1, ONE_EACH)
        short = measured.closed(ours, connections=1)
        long.result()
        return short


def _p99(found: Load) -> float:
    return found.p99_ms
