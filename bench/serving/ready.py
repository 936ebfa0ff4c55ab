"""From start to ready, beside the least that it takes: importing scikit-learn and unpickling the model."""

from __future__ import annotations

import subprocess
import time

from bench.command import BARE
from bench.report import progress, row, section
from bench.serving.alternation import alternate
from bench.serving.built import Built
from bench.serving.cores import ONE_EACH, pinned
from bench.serving.measured import Measured
from bench.serving.running import running
from bench.serving.servers import nachlass

_PAIRS = 7


def measure(measured: Measured) -> None:
    section(f"{measured.model}: from start to ready")
    progress("nachlass and the bare interpreter in turn")
    built = measured.ours.built
    _bare(built)  # From now on all files of both are in the page cache.
    found = alternate(lambda: _bare(built), lambda: _service(built), lambda seconds: seconds, _PAIRS)
    row("import sklearn and unpickle", found.firsts, "s")
    row("nachlass serve until ready", found.seconds, "s")
    ratios = found.ratios(lambda seconds: seconds)
    row(f"ratio, pair by pair{found.remark}", ratios, "x", "at most 1.5 x")


def _service(built: Built) -> float:
    with running(nachlass(), built) as server:
        return server.ready_s


def _bare(built: Built) -> float:
    command = pinned([str(built.python), "-c", BARE, str(built.pipeline)], ONE_EACH.server)
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started
