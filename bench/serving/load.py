"""Load: as much as so many connections can ask for (wrk), or a fixed rate, whatever comes of it (vegeta)."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.serving import processes
from bench.serving.cores import Cores, pinned
from bench.serving.running import Running
from tests.support.pythons import ROOT

_POST = Path(__file__).with_name("post.lua")
_VEGETA = ROOT / ".tools" / "vegeta" / "vegeta"
_TIMEOUT_S = 30


class LoadError(Exception):
    """A request was refused or lost, so that the measurement says nothing."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What became of the requests of one measurement."""

    rate: float
    """Requests per second."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    cpu_s: float
    """Processor seconds of the server for a thousand requests."""

    @property
    def tail(self) -> float:
        return self.p99_ms / self.p50_ms


def require_tools() -> None:
    """Build vegeta, if it is not there yet; end here when wrk is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing. Debian and Ubuntu have it in the package wrk: apt-get install wrk")
    subprocess.run([ROOT / "scripts/install-go-tool.sh", "vegeta"], check=True)


def closed(running: Running, bodies: Path, connections: int, seconds: float, cores: Cores) -> Load:
    """Ask with each of the connections as soon as its last answer is there, for whole seconds.

    Raises:
        LoadError: A request was refused or lost, or none was answered.
    """
    before = processes.cpu_s(running.pid)
    found = _wrk(running, bodies, connections, seconds, cores)
    used = processes.cpu_s(running.pid) - before
    processes.settle(running.pid)
    if not found["requests"]:
        raise LoadError(f"{running.server.name} answered nothing in {seconds} s")
    return Load(
        rate=found["requests"] / found["seconds"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        p999_ms=found["p999_ms"],
        cpu_s=used / found["requests"] * 1000,
    )


def warm_up(running: Running, bodies: Path, cores: Cores) -> None:
    """Ask for a second, with many connections; a slow server may answer later."""
    _wrk(running, bodies, 64, 1, cores)
    processes.settle(running.pid)


def open_loop(running: Running, bodies: Path, rate: float, seconds: float, cores: Cores) -> Load:
    """Ask `rate` times a second, whether the earlier answers are there or not."""
    targets, results = bodies.with_suffix(".targets"), bodies.with_suffix(".results")
    targets.write_text("\n".join(_targets(running, bodies)), encoding="utf-8")
    per_second = max(1, round(rate))
    options = ["-connections=64", f"-rate={per_second}/s", f"-duration={seconds}s", f"-timeout={_TIMEOUT_S}s"]
    before = processes.cpu_s(running.pid)
    attack = [str(_VEGETA), "attack", *options, f"-targets={targets}", f"-output={results}"]
    _output(pinned(attack, cores.load))
    used = processes.cpu_s(running.pid) - before
    processes.settle(running.pid)
    rows = [line.split(",") for line in _output([str(_VEGETA), "encode", "-to=csv", str(results)]).splitlines()]
    failed = [row for row in rows if row[1] != "200"]
    if failed or not rows:
        raise LoadError(f"{running.server.name}: {len(failed)} of {len(rows)} requests failed: {failed[:1]}")
    latencies = sorted(int(row[2]) / 1e6 for row in rows)
    return Load(
        rate=len(rows) / seconds,
        p50_ms=percentile(latencies, 50),
        p99_ms=percentile(latencies, 99),
        p999_ms=percentile(latencies, 99.9),
        cpu_s=used / len(rows) * 1000,
    )


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Return the least value that so many per cent of all do not exceed."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)]


def _wrk(running: Running, bodies: Path, connections: int, seconds: float, cores: Cores) -> Mapping[str, float]:
    url = f"{running.url}{running.server.path}"
    length = f"-d{max(1, round(seconds))}s"
    options = ["-t1", f"-c{connections}", length, f"--timeout={_TIMEOUT_S}s", "-s", str(_POST)]
    text = _output(pinned(["wrk", *options, url, "--", str(bodies)], cores.load))
    found: dict[str, float] = json.loads(text.splitlines()[-1])
    if found["refused"] or found["lost"]:
        raise LoadError(f"{running.server.name}: {found}")
    return found


def _targets(running: Running, bodies: Path) -> list[str]:
    """Return vegeta's list of requests, each body in a file of its own."""
    found = []
    for number, body in enumerate(bodies.read_text(encoding="utf-8").splitlines()):
        file = bodies.with_suffix(f".{number}")
        file.write_text(body, encoding="utf-8")
        found.append(f"POST {running.url}{running.server.path}\nContent-Type: application/json\n@{file}\n")
    return found


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
