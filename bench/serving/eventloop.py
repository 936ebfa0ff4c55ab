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
from bench.serving.servers import nachlass

_SETTING = '"loop": "uvloop"'


def measure(measured: Measured) -> None:
    section(f"{measured.model}: uvloop beside Python's event loop")
    with _without_uvloop(measured.ours.built) as built, running(nachlass(), built) as plain:
        for connections in (64, 1):
            unless_refused(
                f"asyncio and uvloop in turn, {connections} connections",
                partial(_in_turn, measured, plain, connections),
            )


def _in_turn(measured: Measured, plain: Running, connections: int) -> None:
    def load(server: Running) -> Load:
        return measured.closed(server, connections=connections)

    load(plain)
    found = alternate(lambda: load(plain), lambda: load(measured.ours), _rate, measured.alternations)
    for name, loads in (("asyncio", found.firsts), ("uvloop", found.seconds)):
        row(f"{name}, {connections} connections: requests", [each.rate for each in loads], "/s")
        row(f"{name}, {connections} connections: p50", [each.p50_ms for each in loads], "ms")
        row(f"{name}, {connections} connections: p99", [each.p99_ms for each in loads], "ms")
    row(f"uvloop over asyncio, {connections} connections{found.remark}", found.ratios(_rate), "x")


@contextmanager
def _without_uvloop(built: Built) -> Iterator[Built]:
    """Copy what was built, and let the copy's worker use Python's event loop."""
    with tempfile.TemporaryDirectory(prefix="eventloop-", dir=CACHE) as temporary:
        output = Path(temporary) / "output"
        shutil.copytree(built.output, output, symlinks=True)
        (worker,) = (output / "layers/scorer").rglob("nachlass_scorer/worker.py")
        text = worker.read_text(encoding="utf-8")
        assert _SETTING in text, worker
        worker.write_text(text.replace(_SETTING, '"loop": "asyncio"'), encoding="utf-8")
        for bytecode in worker.parent.rglob("worker.*.pyc"):
            bytecode.unlink()
        yield replace(built, output=output)


def _rate(load: Load) -> float:
    return load.rate
