"""What a part of the benchmark has at hand: one model, all servers with it, and how long to measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.report import progress
from bench.serving import load
from bench.serving.cores import ONE_EACH
from bench.serving.load import Load, LoadError
from bench.serving.pipeline import InProcess
from bench.serving.running import Running

REFERENCE = "fastapi"
"""The peer that the bounds are about."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All servers run at the same time, on the same core: those that nobody asks cost next to nothing."""

    model: str
    ours: Running
    peers: Mapping[str, Running]
    pipeline: InProcess
    alternations: int
    seconds: float

    @property
    def servers(self) -> tuple[Running, ...]:
        return (self.ours, *self.peers.values())

    def closed(self, server: Running, *, rows: int = 1, connections: int = 64) -> Load:
        return load.closed(server, server.bodies(rows), connections, self.seconds, ONE_EACH)


def unless_refused(what: str, measure: Callable[[], None]) -> None:
    """Measure; where a request was refused or lost, say that instead of a figure."""
    progress(what)
    try:
        measure()
    except LoadError as error:
        print(f"{what}: NOT MEASURED, {error}", flush=True)
