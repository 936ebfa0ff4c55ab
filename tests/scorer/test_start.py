"""How `web` starts, refuses to start, and stops."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.facilities import require
from tests.support.service import free_port, running_service


@pytest.fixture
def broken(spam_image: Image, tmp_path: Path) -> Image:
    """A copy that a test may spoil."""
    shutil.copytree(spam_image.stages, tmp_path / "stages")
    return Image(scorer=spam_image.scorer, stages=tmp_path / "stages", app=spam_image.app)


@pytest.mark.parametrize("change", [{"version": "3.2.1"}, {"implementation": "pypy"}, {"abi": "cpython-399-other"}])
def test_web_on_another_python_says_rebuild(broken: Image, change: dict[str, str]) -> None:
    trained = json.loads(broken.manifest_file.read_text())["interpreter"]
    broken.edit_manifest(interpreter={**trained, **change})
    ended = broken.run_web()
    assert ended.returncode == 78
    assert "rebuild, do not rebase" in ended.stderr
    assert next(iter(change.values())) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_another_patch_release_of_the_same_python_may_serve(broken: Image) -> None:
    trained = json.loads(broken.manifest_file.read_text())["interpreter"]
    minor = ".".join(map(str, sys.version_info[:2]))
    # It gets as far as the port, which is not one.
    broken.edit_manifest(interpreter={**trained, "version": f"{minor}.99"})
    assert "PORT" in broken.run_web(PORT="none").stderr


def test_a_stage_that_was_tampered_with_is_not_unpickled(broken: Image, tmp_path: Path) -> None:
    stage = broken.stages / "stages/02.pickle"
    stage.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    ended = broken.run_web()
    assert ended.returncode not in (0, None)
    assert "Stage 2 (02-stage.ipynb): stages/02.pickle is not the file that the build saved" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PORT": "http"}, "PORT='http' is not a whole number from 1 to 65535"),
        ({"PORT": "0"}, "PORT='0'"),
        ({"PORT": "65536"}, "PORT='65536'"),
        ({"NACHLASS_WORKERS": "0"}, "NACHLASS_WORKERS='0' is not a whole number from 1"),
        ({"NACHLASS_MAX_BODY_BYTES": "1e6"}, "NACHLASS_MAX_BODY_BYTES='1e6'"),
        ({"NACHLASS_UI": "no"}, "NACHLASS_UI='no' is neither on nor off"),
        ({"NACHLASS_METRICS_PREFIX": "my-app"}, "NACHLASS_METRICS_PREFIX='my-app' can't start"),
        ({"S2I_APP_METRICS_PREFIX": "1st"}, "S2I_APP_METRICS_PREFIX='1st' can't start"),
        ({"NACHLASS_METRICS_BUCKETS": "inf"}, "NACHLASS_METRICS_BUCKETS='inf' is not a list of ascending"),
        ({"NACHLASS_METRICS_BUCKETS": "1,3,2"}, "NACHLASS_METRICS_BUCKETS='1,3,2' is not a list of ascending"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(spam_image: Image, variables: dict[str, str], words: str) -> None:
    ended = spam_image.run_web(**variables)
    assert ended.returncode == 78
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_published_notebooks_that_cannot_be_read_are_told_at_once(spam_image: Image, tmp_path: Path) -> None:
    ended = spam_image.run_web(NACHLASS_PUBLISHED_NOTEBOOKS=str(tmp_path))
    assert ended.returncode == 78
    assert f"The published notebooks can't be read: [Errno 2] No such file or directory: '{tmp_path}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_wrong_manifests_and_commands_are_explained(broken: Image) -> None:
    assert "There is no such command: train" in broken.run_web("train").stderr
    broken.edit_manifest(model=None)
    assert "the build that wrote this manifest did not finish" in broken.run_web().stderr
    broken.edit_manifest(launch={**json.loads(broken.manifest_file.read_text())["launch"], "overlay_names": 5})
    ended = broken.run_web()
    assert (ended.returncode, "Traceback" in ended.stderr) == (78, False)
    broken.manifest_file.write_text("{")
    assert broken.run_web().returncode == 78
    broken.manifest_file.unlink()
    ended = broken.run_web()
    assert ended.returncode == 78
    assert "can't be read" in ended.stderr
    assert "NACHLASS_MANIFEST is not set" in broken.run_web(NACHLASS_MANIFEST="").stderr


@pytest.mark.parametrize("name", ["python3.6", "python3.8"])
def test_an_old_python_gets_the_message_too(spam_image: Image, name: str) -> None:
    old = _find_old(name)
    if old is None:
        pytest.skip(f"no {name} on this machine")
    ended = spam_image.run_web(python=old)
    assert (ended.returncode, "rebuild, do not rebase" in ended.stderr) == (78, True), ended.stderr


def _find_old(name: str) -> str | None:
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for path in [*map(str, versions.glob(f"*/bin/{name}")), shutil.which(name)]:
        # A pyenv shim is there for versions that are not selected as well.
        if path and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


def test_the_argument_serve_is_ignored_and_sigterm_ends_with_0(spam_image: Image, tmp_path: Path) -> None:
    port = free_port()
    with running_service(
        [sys.executable, str(spam_image.scorer.launcher), "web", "serve"],
        cwd=Path("/"),
        env=spam_image.env(PORT=str(port)),
        port=port,
        log_file=tmp_path / "log",
    ) as service:
        assert service.predict(["tasty"]) == ["spam"]
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(30) == 0
        assert "Traceback" not in service.log()


def test_sigterm_while_the_model_loads_ends_with_0(new_image: Callable[[], Image], tmp_path: Path) -> None:
    image = new_image()
    (image.app / "slow.py").write_text(
        "import pathlib, time\n"
        f"def load():\n    pathlib.Path({str(tmp_path / 'loading')!r}).touch()\n    time.sleep(60)\n"
    )
    image.write_stages([b"cslow\nload\n(tR."])
    image.edit_manifest(model=_MODEL)
    process = subprocess.Popen([sys.executable, str(image.scorer.launcher), "web"], env=image.env())
    while not (tmp_path / "loading").exists():
        assert process.poll() is None
    process.terminate()
    assert process.wait(30) == 0


_MODEL = {
    "task": "other",
    "classes": [],
    "input": {"kind": "array", "width": 1, "columns": [], "dtype": "float64"},
    "sample_shape": [1, 1],
    "example": [0],
}


def test_requests_in_flight_are_answered_before_the_service_ends(new_image: Callable[[], Image], serve: Serve) -> None:
    image = new_image()
    (image.app / "slow.py").write_text(
        "import time\n"
        "class Slow:\n"
        "    def fit(self, X, y=None):\n        return self\n"
        "    def predict(self, X):\n        time.sleep(0.5)\n        return [1] * len(X)\n"
    )
    image.write_stages([b"cslow\nSlow\n)\x81."])
    image.finish(image.check([[[1.0]]]))
    with serve(image) as service, socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n[[1]]"
        )
        # The body is read before the next connection is answered, since both are the one worker's.
        assert service.get("/healthz").status == 200
        service.process.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        assert answer.endswith(b"[1]"), answer
        assert service.process.wait(30) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_workers_end_when_the_master_is_killed(spam_image: Image, serve: Serve) -> None:
    with serve(spam_image) as service:
        service.process.kill()
        service.process.wait(10)
        deadline = time.monotonic() + 20
        while service.answers():
            assert time.monotonic() < deadline, "a worker goes on without its master"
            time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_to_the_master_alone_ends_it_without_killing(
    spam_image: Image, serve: Serve, number: signal.Signals
) -> None:
    with serve(spam_image) as service:
        service.process.send_signal(number)
        assert service.process.wait(20) == 0
        assert "SIGKILL" not in service.log()


def test_it_serves_as_any_user_without_home_from_layers_that_nobody_may_write(
    spam_image: Image, tmp_path: Path
) -> None:
    require("root")
    require("setpriv")
    for path in (spam_image.app, spam_image.scorer.directory):
        _let_everybody_in(path)
    port = free_port()
    with running_service(
        [
            *("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", "--no-new-privs"),
            *(sys.executable, str(spam_image.scorer.launcher), "web"),
        ],
        cwd=Path("/"),
        env=spam_image.env(PORT=str(port)),
        port=port,
        log_file=tmp_path / "log",
    ) as service:
        assert service.predict(["tasty"]) == ["spam"]
        assert service.get("/metrics").status == 200
        assert "rror" not in service.log()


def _let_everybody_in(path: Path) -> None:
    """Undo the privacy of pytest's directories above `path`."""
    for directory in path.parents:
        if directory.stat().st_mode & 0o011 != 0o011:
            directory.chmod(directory.stat().st_mode | 0o011)
