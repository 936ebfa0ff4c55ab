"""The service with uvloop's event loop, and with Python's own: is it worth its space in each image?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.environments import CACHE
from bench.report import row, section
from bench.serving.alternation import alternate
from bench.serving.built import Built
from bench.serving.load import Load
from bench.serving.measured import Measured, unless_refused
from bench.serving.running import Running, running
from bench.serving.servers import nachlass, python_of

_SETTING = '"loop": "asyncio"'


def measure(measured: Measured) -> None:
    section(f"{measured.model}: uvloop beside Python's event loop")
    with _with_uvloop(measured.ours.built) as built, running(nachlass(), built) as other:
        for connections in (64, 1):
            unless_refused(
                f"asyncio and uvloop in turn, {connections} connections",
                partial(_in_turn, measured, other, connections),
            )


def _in_turn(measured: Measured, other: Running, connections: int) -> None:
    def load(server: Running) -> Load:
        return measured.closed(server, connections=connections)

    load(other)
    found = alternate(lambda: load(measured.ours), lambda: load(other), _rate, measured.alternations)
    for name, loads in (("asyncio", found.firsts), ("uvloop", found.seconds)):
        row(f"{name}, {connections} connections: requests", [each.rate for each in loads], "/s")
        row(f"{name}, {connections} connections: p50", [each.p50_ms for each in loads], "ms")
        row(f"{name}, {connections} connections: p99", [each.p99_ms for each in loads], "ms")
    row(f"uvloop over asyncio, {connections} connections{found.remark}", found.ratios(_rate), "x")


@contextmanager
def _with_uvloop(built: Built) -> Iterator[Built]:
    """Copy what was built, and let the copy's worker use uvloop, as the hand-written service does."""
    with tempfile.TemporaryDirectory(prefix="eventloop-", dir=CACHE) as temporary:
        output = Path(temporary) / "output"
        shutil.copytree(built.output, output, symlinks=True)
        scorer = output / "layers/scorer"
        (worker,) = scorer.rglob("nachlass_scorer/worker.py")
        text = worker.read_text(encoding="utf-8")
        assert _SETTING in text, worker
        worker.write_text(text.replace(_SETTING, '"loop": "uvloop"'), encoding="utf-8")
        for bytecode in worker.parent.rglob("worker.*.pyc"):
            bytecode.unlink()
        (package,) = python_of("fastapi").parent.parent.glob("lib/python*/site-packages/uvloop")
        shutil.copytree(package, scorer / "overlay/uvloop")
        yield replace(built, output=output)


def _rate(load: Load) -> float:
    return load.rate
