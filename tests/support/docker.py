"""The machine's container engine, as a person uses it: images, containers, volumes, and a registry on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.support.service import START_TIMEOUT_S, Response, free_port, send

RESTRICTED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:mode=1777")
"""What a careful platform gives a container: nothing to write to but a temporary directory."""


def docker(*words: str | Path, check: bool = True, stdin: bytes | None = None) -> str:
    """Run one command of docker and return what it printed on both streams."""
    done = subprocess.run(
        ["docker", *map(str, words)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    output = done.stdout.decode(errors="replace")
    assert done.returncode == 0 or not check, f"docker {' '.join(map(str, words))}\n{output}"
    return output


@dataclass(frozen=True, kw_only=True)
class Container:
    """A running container whose port 8080 is a port of this machine's loopback."""

    id: str
    port: int

    def get(self, path: str) -> Response:
        """Send a GET request."""
        return send(self.port, "GET", path)

    def post(self, path: str, *, form: Mapping[str, str]) -> Response:
        """Send a form."""
        return send(self.port, "POST", path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})

    def predict(self, rows: object) -> Any:
        """Predict by the form that nachlass has always answered, and return the decoded answer, which must be a 200."""
        answer = self.post("/predict", form={"json_args": json.dumps(rows)})
        assert answer.status == 200, f"{answer.status}: {answer.text}\n{self.log()}"
        return answer.json()

    def log(self) -> str:
        """Return what it has written so far."""
        return docker("logs", self.id, check=False)

    def exit_code(self) -> int:
        """Wait for its end and return its status."""
        return int(docker("wait", self.id))

    def wait_until_ready(self) -> None:
        """Wait until it is ready to score."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.get("/readyz").status == 200:
                    return
            is_running = docker("inspect", "--format", "{{.State.Running}}", self.id).strip() == "true"
            assert is_running, f"it has ended:\n{self.log()}"
            assert time.monotonic() < deadline, f"it is not ready after {START_TIMEOUT_S} s:\n{self.log()}"
            time.sleep(0.05)


@contextlib.contextmanager
def container(
    image: str, *command: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """Run an image, with its port 8080 on loopback, until the block is left; it need not be ready yet."""
    port = free_port()
    variables = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
    publish = () if {"host", "none"} & set(options) else ("--publish", f"127.0.0.1:{port}:8080")
    started = docker("run", "--detach", *publish, *variables, *options, image, *command)
    running = Container(id=started.strip().splitlines()[-1], port=port)
    try:
        yield running
    finally:
        docker("rm", "--force", running.id, check=False)


@contextlib.contextmanager
def serving(
    image: str, *command: str, options: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Iterator[Container]:
    """Run an image and wait until it is ready to score."""
    with container(image, *command, options=options, env={"NACHLASS_DRAIN": "0", **(env or {})}) as running:
        running.wait_until_ready()
        yield running


def labels(image: str) -> dict[str, str]:
    """Return the labels of an image."""
    return dict(json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)) or {})


def image_id(image: str) -> str | None:
    """Return the digest of a local image's configuration, None if there is no such image."""
    found = docker("image", "inspect", "--format", "{{.Id}}", image, check=False).strip()
    return found if found.startswith("sha256:") else None


def unpack(image: str, directory: Path, path: str = "/") -> Path:
    """Copy `path` of an image to `directory`, with the modes that it has."""
    made = docker("create", image, "x").strip()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(["docker", "cp", f"{made}:{path}", "-"], stdout=subprocess.PIPE) as archive:
            subprocess.run(["tar", "-xf", "-", "-C", str(directory)], stdin=archive.stdout, check=True)
        assert archive.returncode == 0
    finally:
        docker("rm", "--force", made)
    return directory / Path(path).name


def program(name: str) -> str | None:
    """Return where a program of Debian's administrator is."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


@contextlib.contextmanager
def registry(root: Path) -> Iterator[str]:
    """Serve a registry of our own on loopback; yield its address, as images are named after it."""
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(root / "images")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (root / "registry.yml").write_text(json.dumps(config))  # JSON is YAML.
    command = program("docker-registry")
    assert command
    with (root / "registry.log").open("wb") as log:
        server = subprocess.Popen([command, "serve", root / "registry.yml"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                if send(port, "GET", "/v2/").status == 200:
                    break
            assert time.monotonic() < deadline, (root / "registry.log").read_text()
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        server.terminate()
        server.wait(20)
