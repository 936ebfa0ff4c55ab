"""A server that runs: started on its cores, asked until it is ready, ended with all that it started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.serving import processes
from bench.serving.built import Built
from bench.serving.cores import ONE_EACH, Cores, pinned
from bench.serving.models import Row
from bench.serving.servers import Server, Start
from nachlass_cli.serve import free_port

_READY_S = 120
_END_S = 15


class StartError(Exception):
    """A server ended, or did not become ready in time; the message is the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Running:
    """One server with one model."""

    server: Server
    built: Built
    pid: int
    port: int
    ready_s: float
    """Seconds from its start to the first answer that says it is ready."""
    directory: Path
    """For files of its own."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, rows: int) -> Path:
        """Return a file with the bodies of requests of so many rows, one a line."""
        file = self.directory / f"bodies-{rows}.jsonl"
        if not file.exists():
            lines = (self._body(request) for request in self.built.model.requests(rows))
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return file

    def predict(self, rows: Sequence[Row]) -> list[Any]:
        """Return what the server predicts for the rows of one request."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{self.server.path}", self._body(rows).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as response:
            return self.server.values(json.load(response))

    def _body(self, rows: Sequence[Row]) -> str:
        return json.dumps(self.server.body(self.built.model, rows), ensure_ascii=False)


@contextmanager
def running(
    server: Server, built: Built, *, cores: Cores = ONE_EACH, variables: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Start a server and wait until it is ready; end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="nachlass-bench-") as temporary:
        directory, port = Path(temporary), free_port()
        start = server.prepare(Start(built=built, port=port, directory=directory))
        with (directory / "log").open("wb") as log:
            started = time.perf_counter()
            process = subprocess.Popen(
                pinned(start.command, cores.server),
                env={**start.env, **(variables or {})},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            _wait(process, f"http://127.0.0.1:{port}{server.ready}", directory / "log")
            ready_s = time.perf_counter() - started
            yield Running(server=server, built=built, pid=process.pid, port=port, ready_s=ready_s, directory=directory)
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _READY_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as response:
            if response.status == 200:
                return
        if process.poll() is not None or time.monotonic() > end:
            raise StartError(log.read_text(errors="replace")[-4000:])
        time.sleep(0.005)


def _end(process: subprocess.Popen[bytes]) -> None:
    all_of_it = processes.tree(process.pid)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    # Some leave processes behind. They are known by their session: a number alone may be somebody else's by now.
    for pid in all_of_it:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == process.pid:
                os.kill(pid, signal.SIGKILL)
    process.wait()
