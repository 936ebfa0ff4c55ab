"""One row a request, 64 connections, with a line in the access log for each request and without."""

from __future__ import annotations

from bench.report import row, section
from bench.serving.alternation import alternate
from bench.serving.load import Load
from bench.serving.measured import Measured, unless_refused
from bench.serving.running import running
from bench.serving.servers import nachlass


def measure(measured: Measured) -> None:
    section(f"{measured.model}: with an access log")
    unless_refused("nachlass without and with it in turn", lambda: _without_and_with(measured))


def _without_and_with(measured: Measured) -> None:
    with running(nachlass(NACHLASS_ACCESS_LOG="on"), measured.ours.built) as logging:
        measured.closed(logging)
        found = alternate(
            lambda: measured.closed(measured.ours), lambda: measured.closed(logging), _rate, measured.alternations
        )
    row("without: requests", [each.rate for each in found.firsts], "/s")
    row("with: requests", [each.rate for each in found.seconds], "/s")
    ratios = [100 * ratio for ratio in found.ratios(_rate)]
    row(f"with by without, pair by pair{found.remark}", ratios, "%", "at least 75 %")


def _rate(load: Load) -> float:
    return load.rate
