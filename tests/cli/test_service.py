"""`serve` and `run`: the built process, started as a launcher starts it."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.harness import Nachlass, wait_for, write
from tests.support.facilities import require


@contextmanager
def serving(nachlass: Nachlass, *words: str | Path, extra: dict[str, str] | None = None) -> Iterator[tuple[int, str]]:
    """Run a command that serves; yield the port once it answers, and what was printed before."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = nachlass.start(*words, "--port", str(port), extra=extra)
    wait_for(lambda: process.poll() is not None or answers(port))
    assert process.poll() is None, process.communicate()
    assert process.stdout is not None
    printed = ""
    while "/predict\n" not in printed:
        printed += process.stdout.readline()
    yield port, printed
    process.send_signal(signal.SIGTERM)
    process.communicate()
    # The status is the service's own: the command has become it.
    assert process.returncode == 0


def answers(port: int) -> bool:
    try:
        ask(port, "/readyz")
    except OSError:
        return False
    return True


def ask(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def environment(port: int) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(ask(port, "/environment"))
    return answer


def test_the_service_runs_in_the_environment_that_a_launcher_makes(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    # The harness starts the command with a PYTHONPATH, too.
    shell = {
        "NACHLASS_LIST": "mine",
        "NACHLASS_CHOICE": "mine",
        "WEB_CONCURRENCY": "2",
        "SECRET": "x",
        "OTEL_SERVICE_NAME": "s",
    }
    with serving(nachlass, "serve", repository, extra=shell) as (port, _):
        seen = environment(port)
    env = seen["env"]
    assert seen["cwd"] == str(nachlass.output / "app")
    assert seen["argv"] == ["web"]
    assert env["NACHLASS_MANIFEST"] == "from-the-layer"
    assert env["NACHLASS_LIST"] == "mine:more"
    assert env["NACHLASS_CHOICE"] == "mine"
    assert env["KIND"] == "for-web"
    assert env["WEB_CONCURRENCY"] == "2"
    assert env["OTEL_SERVICE_NAME"] == "s"
    assert env["PORT"] == str(port)
    assert env["NACHLASS_HOST"] == "127.0.0.1"
    assert env["PATH"].startswith(f"{nachlass.output / 'layers/service/bin'}:")
    assert not {"SECRET", "PYTHONPATH", "NACHLASS_BUILDPACK_DIR"} & env.keys()


def test_the_printed_command_asks_for_a_prediction(nachlass: Nachlass, repository: Path) -> None:
    with serving(nachlass, "run", repository) as (port, printed):
        assert f"Serving my repo on http://127.0.0.1:{port}" in printed
        assert "Open it in a browser, or try it:\n" in printed
        command = re.search(r"^  (curl .*)$", printed, re.MULTILINE)
        assert command is not None
        assert command[1] == f"""curl --data-urlencode 'json_args=["one"]' http://127.0.0.1:{port}/predict"""


def test_the_output_directory_can_be_served_too(nachlass: Nachlass, repository: Path, tmp_path: Path) -> None:
    nachlass("build", repository, "--output", tmp_path / "out")
    with serving(nachlass, "serve", tmp_path / "out", extra={"NACHLASS_UI": "off"}) as (port, printed):
        assert ask(port, "/readyz") == "ready"
        assert "browser" not in printed


def test_a_service_runs_on_through_a_failed_build(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    write(repository, {"build.sh": "exit 1"})
    nachlass("build", repository)
    with serving(nachlass, "serve", repository) as (port, printed):
        assert ask(port, "/readyz") == "ready"
        # The failed build left no sample; the manifest has an example.
        assert "json_args=[[1.5, 2.5]]" in printed


def test_a_service_runs_on_after_a_killed_build(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    flag = repository.parent / "flag"
    write(repository, {"build.sh": f"echo $$ >'{flag}.new' && mv '{flag}.new' '{flag}'; exec sleep 1000"})
    build = nachlass.start("build", repository)
    wait_for(flag.exists)
    os.kill(build.pid, signal.SIGKILL)
    os.kill(int(flag.read_text()), signal.SIGKILL)
    build.communicate()
    with serving(nachlass, "serve", repository) as (port, _):
        assert ask(port, "/readyz") == "ready"


def test_a_directory_that_is_not_there_cannot_be_served(nachlass: Nachlass, tmp_path: Path) -> None:
    finished = nachlass("serve", tmp_path / "nope")
    assert finished.status == 1
    assert "There is no such directory." in finished.err


def test_a_port_in_use_is_an_error(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        finished = nachlass("serve", repository, "--port", str(port))
    assert finished.status == 1
    assert f"[Error: Port {port} can't be used]" in finished.err
    assert "--port" in finished.err


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_what_is_no_port_is_a_usage_error(nachlass: Nachlass, repository: Path, port: str) -> None:
    finished = nachlass("serve", repository, "--port", port)
    assert finished.status == 2
    assert f"'{port}' is not a port" in finished.err


def test_a_repository_without_a_build_cannot_be_served(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("serve", repository)
    assert finished.status == 1
    assert f"[Error: Nothing has been built for '{repository}']" in finished.err
    assert f"nachlass build '{repository}'" in finished.err


def test_check_says_each_step_and_leaves_nothing_running(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("run", repository, "--check")
    assert finished.status == 0, finished.err
    steps = [line.partition(":")[0] for line in finished.out.partition("[Check]\n")[2].splitlines()]
    assert steps == ["Ready", "Predicted", "Metrics", "Stopped", "The service works."]
    assert '["one!", "two!"] for 2 sample rows' in finished.out
    assert "the service begins" not in finished.out + finished.err, "its log is for who looks for a fault"


@pytest.mark.parametrize("tokens", ["one-token", "one-token the-last-one", None], ids=["one", "two", "file"])
def test_who_started_a_service_with_a_token_has_it(
    nachlass: Nachlass, repository: Path, tmp_path: Path, tokens: str | None
) -> None:
    require("curl")
    file = tmp_path / "its token"
    file.write_text("one-token\nthe-last-one\n")
    shell = {"NACHLASS_TOKEN_FILE": str(file)} if tokens is None else {"NACHLASS_TOKEN": tokens}
    finished = nachlass("run", repository, "--check", extra=shell)
    assert finished.status == 0, finished.err
    with serving(nachlass, "serve", repository, extra=shell) as (_, printed):
        (command,) = re.findall(r"^  (curl .*)$", printed, re.MULTILINE)
        assert "one-token" not in printed
        asked = subprocess.run(["/bin/sh", "-c", command], env={**os.environ, **shell}, capture_output=True, check=True)
        assert asked.stdout == b'["one!"]'


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("start", "Start: the service ended with status 3 before it was ready."),
        ("predict", "Prediction: /predict answered 500: it broke."),
        ("stop", "Stop: the service ended with status 1 after SIGTERM."),
    ],
)
def test_check_fails_when_the_service_does(nachlass: Nachlass, repository: Path, broken: str, problem: str) -> None:
    finished = nachlass("run", repository, "--check", extra={"NACHLASS_TEST_BREAK": broken})
    assert finished.status == 1
    assert "[Error: The service was built, but doesn't pass the check]" in finished.err
    assert problem in finished.err
    assert "\n[INFO] the service begins\n" in finished.out, "its own messages are above"


def test_version_is_the_installed_one(nachlass: Nachlass) -> None:
    finished = nachlass("--version")
    assert re.fullmatch(r"nachlass \d+\.\d+\.\d+\n", finished.out)


def test_a_build_without_a_web_process_cannot_be_served(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    (nachlass.output / "layers/launch.toml").unlink()
    finished = nachlass("serve", repository)
    assert finished.status == 1
    assert "defines no process of the type 'web'" in finished.err
