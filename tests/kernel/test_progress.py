"""What a log and a terminal show while a notebook runs."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.notebook_run import command_for, job_for, notebook_of, outcome_of, run
from tests.kernel.user_kernel import user_environment
from tests.support.pythons import ROOT, this_python
from tests.support.terminal import run_on_terminal, screen

CELLS = ["print('\\x1b[31mred\\x1b[0m and \\x07loud')", "import time; time.sleep(3)", "", "print('a\\rb')\n1 / 0"]
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="session")
def bare() -> Path:
    return user_environment(this_python(), [])


def test_log_has_a_line_for_each_cell_and_breaks_a_silence(bare: Path, tmp_path: Path) -> None:
    outcome = run(job_for(bare, tmp_path, notebook_of(CELLS)), heartbeat_s=1.0)
    lines = [re.sub(r"\d+\.\d+ s$", "N s", line) for line in outcome.log.splitlines()]
    assert [line for line in lines if "still" not in line] == [
        "    [1/4] red and loud",
        "    [1/4] done in N s",
        "    [2/4] done in N s",
        "    [4/4] b",
        "    [4/4] failed after N s",
    ]
    assert "    [2/4] still running after N s" in lines
    assert not CONTROLS.search(outcome.log)


def test_terminal_has_a_bar_that_is_gone_in_the_end(bare: Path, tmp_path: Path) -> None:
    job = replace(job_for(bare, tmp_path, notebook_of(CELLS)), heartbeat_s=1.0)
    env = {**os.environ, "TERM": "xterm"}
    status, written = run_on_terminal(command_for(job), env=env, cwd=ROOT, columns=41)
    assert (status, outcome_of(job, written).failure.kind) == (0, "CellFailedError")
    drawn = re.findall(r"\r\x1b\[K\[=====               \] \[2/4\] x.ipynb (\d+) s", written)
    assert len(set(drawn)) > 1, "it shows how long, and goes on"
    assert "still" not in written
    assert screen(written) == ["    [1/4] red and loud", "    [4/4] b", ""]


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_terminal_that_cannot_erase_gets_a_log(bare: Path, tmp_path: Path, kind: str) -> None:
    job = job_for(bare, tmp_path, notebook_of(["1"]))
    env = {**os.environ, "TERM": kind}
    _, written = run_on_terminal(command_for(job), env=env, cwd=ROOT)
    assert "    [1/1] done in" in written
    assert not CONTROLS.search(written.replace("\r\n", "\n"))
