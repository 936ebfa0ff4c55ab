"""64 rows a request, 64 connections: rows a second, beside calls of the pipeline without a server.

Those calls have as many rows as the service would put into one: `Pace` decides it for both. What is reached is beside
what could be, if a server took no time but for the pipeline's calls and for reading requests.
"""

from __future__ import annotations

import statistics

from bench.report import row, section
from bench.serving.alternation import alternate
from bench.serving.measured import Measured, unless_refused
from bench.serving.pipeline import InProcess
from bench.serving.running import running
from bench.serving.servers import reader
from scorer.predictor.pace import Pace

_ROWS = 64
_LEARNING = 20
_LEARNING_S = 0.02


def measure(measured: Measured) -> None:
    section(f"{measured.model}: 64 rows a request, 64 connections")
    cap = batch_cap(measured.pipeline)
    unless_refused("nachlass and the pipeline alone in turn", lambda: _beside(measured, cap))
    unless_refused("a server that only reads and the pipeline alone in turn", lambda: _possible(measured, cap))


def _beside(measured: Measured, cap: int) -> None:
    found = alternate(
        lambda: _rows_alone(measured, cap),
        lambda: measured.closed(measured.ours, rows=_ROWS).rate * _ROWS,
        lambda rate: rate,
        measured.alternations,
    )
    row(f"the pipeline alone, {cap:,} rows a call: rows", found.firsts, "/s")
    row("nachlass: rows", found.seconds, "/s")
    ratios = [100 * ratio for ratio in found.ratios(lambda rate: rate)]
    row(f"nachlass by the pipeline alone, pair by pair{found.remark}", ratios, "%", "at least 70 %")


def _possible(measured: Measured, cap: int) -> None:
    """Tell what part of the pipeline's rows a second is left by HTTP and JSON, on one core with it."""
    with running(reader(), measured.ours.built) as server:
        found = alternate(
            lambda: _rows_alone(measured, cap),
            lambda: measured.closed(server, rows=_ROWS).rate * _ROWS,
            lambda rate: rate,
            measured.alternations,
        )
    row("a server that reads the JSON and no more: rows", found.seconds, "/s")
    # A row takes the time of both: 1 / (1 / alone + 1 / read), by what it takes alone.
    left = [100 * ratio / (1 + ratio) for ratio in found.ratios(lambda rate: rate)]
    row(f"what that leaves of the pipeline's rows, pair by pair{found.remark}", left, "%")


def batch_cap(pipeline: InProcess) -> int:
    """Return how many rows the service would put into one call, if calls took as long as they do without it."""
    pace = Pace()
    for _ in range(_LEARNING):
        for rows in (1, pace.merged_rows):
            pace.observe(rows, statistics.median(pipeline.calls(rows, _LEARNING_S)))
    return pace.merged_rows


def _rows_alone(measured: Measured, cap: int) -> float:
    calls = measured.pipeline.calls(cap, measured.seconds)
    return len(calls) * cap / sum(calls)
