"""`nachlass run --check`: does the service that was just built do its work?"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any
from urllib.parse import urlencode

from nachlass_cli import credentials, output
from nachlass_cli.errors import CheckFailedError
from nachlass_cli.interruption import Supervisor
from nachlass_cli.launch import prepare_process
from nachlass_cli.record import BuildRecord
from nachlass_cli.sample import read_sample_rows
from nachlass_cli.serve import free_port
from nachlass_cli.workspace import Workspace

_START_LIMIT_S = 120.0
_REQUEST_LIMIT_S = 60.0
_STOP_LIMIT_S = 60.0
_PAUSE_S = 0.1


def check_service(workspace: Workspace, record: BuildRecord, supervisor: Supervisor) -> None:
    """Start the service, ask it for a prediction and its metrics, and stop it; say each step.

    Raises:
        CheckFailedError: A step failed.
        Interrupted: A signal arrived.
    """
    rows = read_sample_rows(workspace)
    if not rows:
        raise CheckFailedError("Sample", problem="the build kept no sample rows to ask about")
    port = free_port()
    process = prepare_process(workspace, record, "web", port=port)
    # Whatever address the service has elsewhere, this check asks for it here, and is its only client.
    env = {**process.env, "NACHLASS_HOST": "127.0.0.1", "NACHLASS_DRAIN": "0"}
    output.step("\n[Check]")
    began = time.monotonic()
    with (
        _shown_at_a_failure() as log,
        supervisor.started(process.command, env=env, cwd=process.working_directory, log=log) as service,
    ):
        _wait_until_ready(service, port)
        output.step(f"Ready: /readyz answered after {time.monotonic() - began:.1f} s")
        headers = credentials.headers(env)
        predictions = _predict(port, rows, headers)
        output.step(f"Predicted: {_shorten(json.dumps(predictions, ensure_ascii=False))} for {len(rows)} sample rows")
        output.step(f"Metrics: {_read_metrics(port, headers)} lines")
        _stop(service)
        output.step("Stopped: on SIGTERM, with status 0")
    output.step("The service works.")


@contextlib.contextmanager
def _shown_at_a_failure() -> Iterator[IO[bytes]]:
    """Hold what the service says, which is nothing to look at while it works, and show it if a step fails."""
    with tempfile.TemporaryFile() as log:
        try:
            yield log
        except CheckFailedError:
            log.seek(0)
            if said := log.read().decode(errors="replace").rstrip():
                output.step(said)
            raise


def _wait_until_ready(service: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    last = "it did not listen"
    while time.monotonic() < deadline:
        if (status := service.poll()) is not None:
            raise CheckFailedError("Start", problem=f"the service ended with status {status} before it was ready")
        try:
            answer, _ = _ask(port, "GET", "/readyz")
        except OSError as error:
            last = str(error)
        else:
            if answer == http.HTTPStatus.OK:
                return
            last = f"/readyz answered {answer}"
        time.sleep(_PAUSE_S)
    raise CheckFailedError("Start", problem=f"not ready after {_START_LIMIT_S:.0f} s ({last})")


def _predict(port: int, rows: list[Any], headers: Mapping[str, str]) -> list[Any]:
    form = urlencode({"json_args": json.dumps(rows)})
    sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    status, body = _ask_once("Prediction", port, "POST", "/predict", form, sent)
    if status != http.HTTPStatus.OK:
        raise CheckFailedError("Prediction", problem=f"/predict answered {status}: {_shorten(body)}")
    try:
        predictions = json.loads(body)
    except ValueError:
        predictions = None
    if not isinstance(predictions, list) or len(predictions) != len(rows):
        raise CheckFailedError("Prediction", problem=f"{len(rows)} rows were answered by: {_shorten(body)}")
    return predictions


def _read_metrics(port: int, headers: Mapping[str, str]) -> int:
    status, body = _ask_once("Metrics", port, "GET", "/metrics", None, headers)
    if status != http.HTTPStatus.OK or not body.strip():
        raise CheckFailedError("Metrics", problem=f"/metrics answered {status}: {_shorten(body)}")
    return len(body.splitlines())


def _stop(service: subprocess.Popen[bytes]) -> None:
    service.send_signal(signal.SIGTERM)
    try:
        status = service.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise CheckFailedError("Stop", problem=f"still running {_STOP_LIMIT_S:.0f} s after SIGTERM") from None
    if status != 0:
        raise CheckFailedError("Stop", problem=f"the service ended with status {status} after SIGTERM")


def _ask_once(
    step: str, port: int, method: str, path: str, body: str | None, headers: Mapping[str, str]
) -> tuple[int, str]:
    try:
        return _ask(port, method, path, body, headers)
    except OSError as error:
        raise CheckFailedError(step, problem=f"no answer from {path}: {error}") from error


def _ask(
    port: int, method: str, path: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str]:
    # Not urllib.request: it would send a request for 127.0.0.1 through the person's proxy.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_REQUEST_LIMIT_S)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except http.client.HTTPException as error:
        raise OSError(f"not HTTP: {error!r}") from error
    finally:
        connection.close()


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:200]}…"
