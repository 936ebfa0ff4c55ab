"""A launched process and a client for it: real processes, real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Response:
    """One answer of the service."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """Return the body, decoded."""
        return json.loads(self.text)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A running service on this machine."""

    port: int
    process: subprocess.Popen[bytes]
    log_file: Path

    def get(self, path: str) -> Response:
        """Send a GET request."""
        return self.request("GET", path)

    def post(self, path: str, *, form: Mapping[str, str] | None = None, json_body: object = None) -> Response:
        """Send a POST request with a form or a JSON body."""
        if form is not None:
            return self.request("POST", path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
        return self.request("POST", path, json.dumps(json_body), {"Content-Type": "application/json"})

    def predict(self, rows: object) -> Any:
        """Predict by the form that nachlass has always answered, and return the decoded answer, which must be a 200."""
        answer = self.post("/predict", form={"json_args": json.dumps(rows)})
        assert answer.status == 200, f"{answer.status}: {answer.text}\n{self.log()}"
        return answer.json()

    def request(
        self, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send one request on a connection of its own."""
        return send(self.port, method, path, body, headers)

    def answers(self) -> bool:
        """Whether anybody still accepts connections on the port."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def workers(self, count: int, *, without: Collection[int] = ()) -> set[int]:
        """Return the workers that are not in `without`, once there are so many: gunicorn starts one after the other."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while len(found := children(self.process.pid).difference(without)) != count:
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)
        return found

    def log(self) -> str:
        """Return what the process has written so far."""
        return self.log_file.read_text(errors="replace")


def send(
    port: int, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Send one request to a port of this machine, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        return Response(
            status=answer.status,
            headers={name.lower(): value for name, value in answer.getheaders()},
            text=answer.read().decode(),
        )


def children(pid: int) -> set[int]:
    """Return the processes that a process has started (Linux)."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running_service(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], port: int, log_file: Path
) -> Iterator[Service]:
    """Start `command`, wait until it is ready to score on `port`, and stop it as a platform would: by SIGTERM."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={"NACHLASS_DRAIN": "0", **env},  # The test is its only client.
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service = Service(port=port, process=process, log_file=log_file)
    try:
        _wait_until_ready(service)
        yield service
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session of its own, and whatever it left behind."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_until_ready(service: Service) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        code = service.process.poll()
        assert code is None, f"the service ended with {code} before it was ready:\n{service.log()}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            if service.get("/readyz").status == 200:
                return
        assert time.monotonic() < deadline, f"the service is not ready after {START_TIMEOUT_S} s:\n{service.log()}"
        time.sleep(0.05)
