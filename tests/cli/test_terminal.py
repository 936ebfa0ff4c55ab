"""A build on a person's terminal knows that it is one; a log of it doesn't."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cli.harness import Nachlass, write
from tests.support.terminal import run_on_terminal

ASK = 'if [ -t 1 ]; then echo "a terminal: ${TERM-unset}"; else echo "a log: ${TERM-unset}"; fi'


def test_build_inherits_the_terminal_and_its_kind(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": ASK})
    command = [sys.executable, "-m", "nachlass_cli", "build", str(repository)]
    env = {**nachlass.env(), "TERM": "xterm-mono"}
    status, written = run_on_terminal(command, env=env, cwd=nachlass.home)
    assert status == 0, written
    assert "a terminal: xterm-mono\r\n" in written


def test_log_is_the_same_whatever_the_terminal_of_the_shell(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": ASK})
    finished = nachlass("build", repository, extra={"TERM": "xterm-mono"})
    assert "a log: unset\n" in finished.out
