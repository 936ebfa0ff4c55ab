"""Every server by itself: all numbers of rows and connections, the open loop, memory, time to ready."""

from __future__ import annotations

from functools import partial

from bench.report import section
from bench.serving import load, processes
from bench.serving.cores import ONE_EACH
from bench.serving.load import Load
from bench.serving.measured import Measured, unless_refused
from bench.serving.running import Running

_ROWS = (1, 64)
_CONNECTIONS = (1, 8, 64)
_NAME = 18


def matrix(measured: Measured) -> None:
    """Measure each number of rows with each number of connections once."""
    section(f"{measured.model}: rows a request, connections")
    for rows in _ROWS:
        for connections in _CONNECTIONS:
            for server in measured.servers:
                what = f"{server.server.name}, {rows} rows, {connections} connections"
                unless_refused(what, partial(_cell, measured, server, rows, connections))


def open_loop(measured: Measured) -> None:
    """Measure each server at half of what it did a moment before."""
    section(f"{measured.model}: one row a request, open loop at half of each server's maximum")
    for server in measured.servers:
        unless_refused(server.server.name, partial(_at_half, measured, server))


def memory(measured: Measured) -> None:
    """Say what each server has after all that was asked of it so far, and how long it took to be ready."""
    section(f"{measured.model}: memory of all processes, and time to ready")
    for server in measured.servers:
        used = processes.memory(server.pid)
        count = len(processes.tree(server.pid))
        print(
            f"{server.server.name:<{_NAME}} RSS {used.rss:7.1f} MiB  PSS {used.pss:7.1f} MiB  "
            f"in {count} processes  ready after {server.ready_s:5.2f} s",
            flush=True,
        )


def _cell(measured: Measured, server: Running, rows: int, connections: int) -> None:
    found = measured.closed(server, rows=rows, connections=connections)
    _print(f"{server.server.name:<{_NAME}} {rows:2} rows, {connections:2} connections", found)


def _at_half(measured: Measured, server: Running) -> None:
    most = measured.closed(server).rate
    found = load.open_loop(server, server.bodies(1), most / 2, measured.seconds, ONE_EACH)
    _print(f"{server.server.name:<{_NAME}} of at most {most:8.1f}/s", found)


def _print(what: str, found: Load) -> None:
    print(
        f"{what:<42} {found.rate:8.1f}/s  p50 {found.p50_ms:8.2f}  p99 {found.p99_ms:8.2f}  "
        f"p99.9 {found.p999_ms:8.2f} ms  {found.cpu_s:7.3f} s of processor for 1,000",
        flush=True,
    )
