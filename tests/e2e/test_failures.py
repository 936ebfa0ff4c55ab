"""Builds that fail, and builds that are interrupted: what a person sees last, and what is left."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.docker import docker, image_id
from tests.support.pack import Platform, cache, copy_cache
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository
from tests.support.spam import REQUIREMENTS


@pytest.fixture(scope="module")
def installed(name: str, spam: str) -> tuple[str, str]:
    """Return the option that gives a build everything but the notebooks' runs."""
    copy_cache(spam, name)
    return cache(name)


def test_failing_notebook_ends_the_build_with_our_words_and_no_image(
    name: str, machine: Platform, installed: tuple[str, str], tmp_path: Path
) -> None:
    write_repository(tmp_path, {"train.ipynb": ("x = 1", "x / 0")}, requirements=REQUIREMENTS)
    done = machine.build(f"{name}-failing", tmp_path, *installed, env={"NACHLASS_NOTEBOOKS": "train.ipynb"})

    assert done.exit_code != 0
    assert image_id(f"{name}-failing") is None
    assert "ZeroDivisionError: division by zero" in done.output
    ours, _, theirs = done.output.partition("Reference: ")
    assert "[Error: " in ours
    assert len(theirs.splitlines()) <= 4, done.output  # The lifecycle and pack each say that a buildpack failed.


def test_interrupt_leaves_no_container_and_no_image(
    name: str, machine: Platform, installed: tuple[str, str], tmp_path: Path
) -> None:
    cells = ("import time\nprint('it has begun', flush=True)\ntime.sleep(600)", *LOGISTIC_REGRESSION)
    repository = write_repository(tmp_path / "repository", {"train.ipynb": cells}, requirements=REQUIREMENTS)
    command = machine.build_command(
        f"{name}-interrupted", repository, *installed, env={"NACHLASS_NOTEBOOKS": "train.ipynb"}
    )
    log = tmp_path / "log"
    before = set(docker("ps", "--quiet").split())
    with log.open("wb") as file:
        # A test run in the background ignores the signal, and so would all that it starts.
        building = subprocess.Popen(
            command,
            env=machine.env,
            stdout=file,
            stderr=file,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
    try:
        deadline = time.monotonic() + 600
        while "it has begun" not in log.read_text(errors="replace"):
            assert building.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        mine = {each for each in docker("ps", "--quiet").split() if each not in before and is_building(each, name)}
        assert mine
        assert [pid for pid in Path("/proc").iterdir() if pid.name.isdecimal() and is_in_one_of(mine, pid)]
        building.send_signal(signal.SIGINT)

        assert building.wait(60) != 0
        deadline = time.monotonic() + 30
        while mine & set(docker("ps", "--quiet", "--all").split()):
            assert time.monotonic() < deadline, docker("ps", "--all")
            time.sleep(0.2)
        assert image_id(f"{name}-interrupted") is None
        assert [pid for pid in Path("/proc").iterdir() if pid.name.isdecimal() and is_in_one_of(mine, pid)] == []
    finally:
        building.kill()
        left = [each for each in docker("ps", "--quiet").split() if is_building(each, name)]
        if left:
            docker("rm", "--force", *left, check=False)


def is_building(container: str, name: str) -> bool:
    return f"{name}-interrupted" in docker("inspect", "--format", "{{json .Config.Cmd}}", container, check=False)


def is_in_one_of(containers: set[str], process: Path) -> bool:
    try:
        group = (process / "cgroup").read_text()
    except OSError:
        return False
    return any(container in group for container in containers)
