"""Two workers on two cores, beside one on one."""

from __future__ import annotations

from bench.report import row, section
from bench.serving import load
from bench.serving.alternation import alternate
from bench.serving.cores import Cores, available
from bench.serving.measured import Measured, unless_refused
from bench.serving.running import Running, running
from bench.serving.servers import nachlass

_ONE, _TWO = Cores(server="0", load="2,3"), Cores(server="0,1", load="2,3")
_NEEDED = 4


def measure(measured: Measured) -> None:
    section(f"{measured.model}: two workers")
    if available() < _NEEDED:
        print(f"skipped: two cores serve and two make the load, and this machine has {available()}")
        return
    unless_refused("two workers and one in turn", lambda: _two_and_one(measured))


def _two_and_one(measured: Measured) -> None:
    def rate(server: Running, cores: Cores) -> float:
        return load.closed(server, server.bodies(1), 64, measured.seconds, cores).rate

    with (
        running(nachlass(), measured.ours.built, cores=_ONE) as one,
        running(nachlass(NACHLASS_WORKERS="2"), measured.ours.built, cores=_TWO) as two,
    ):
        found = alternate(lambda: rate(one, _ONE), lambda: rate(two, _TWO), lambda each: each, measured.alternations)
    row("one worker: requests", found.firsts, "/s")
    row("two workers: requests", found.seconds, "/s")
    row(f"two by one, pair by pair{found.remark}", found.ratios(lambda each: each), "x", "about 2 x")
