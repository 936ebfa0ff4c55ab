"""The command, run as a person runs it, against a small buildpack in sh."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDPACK = Path(__file__).parent / "buildpack"


_AT_A_TERMINAL = (
    "import runpy, signal, sys\n"
    # Under nohup, or in the background of a script, these are ignored, and so they would be by all that is started.
    "for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):\n"
    "    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)\n"
    "runpy.run_module('nachlass_cli', run_name='__main__', alter_sys=True)\n"
)
"""`python -m nachlass_cli` as a person's shell starts it."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    status: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Nachlass:
    """Runs the command; `extra` are variables of the person's shell."""

    home: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *words: str | Path, extra: Mapping[str, str] | None = None) -> Finished:
        process = self.start(*words, extra=extra)
        out, err = process.communicate()
        return Finished(status=process.returncode, out=out, err=err)

    def start(
        self, *words: str | Path, extra: Mapping[str, str] | None = None, stdin: int | None = None
    ) -> subprocess.Popen[str]:
        env = {**self.env(), **(extra or {})}
        process = subprocess.Popen(
            [sys.executable, "-c", _AT_A_TERMINAL, *map(str, words)],
            env=env,
            cwd=self.home,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def env(self) -> dict[str, str]:
        """The person's shell."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "NACHLASS_BUILDPACK_DIR": str(BUILDPACK),
            "GIT_CONFIG_GLOBAL": os.devnull,
        }

    @property
    def outputs(self) -> list[Path]:
        return sorted((self.home / ".cache/nachlass").iterdir())

    @property
    def output(self) -> Path:
        """The one output directory that the builds of this test share."""
        (only,) = self.outputs
        return only

    def environment(self) -> dict[str, str]:
        """The variables that the build phase saw."""
        lines = (self.output / "report/environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def write(directory: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)


def git(directory: Path, *words: str | Path) -> None:
    settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "protocol.file.allow=always"]
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(directory)}
    subprocess.run(["git", *settings, *words], cwd=directory, env=env, check=True, capture_output=True)


def files_below(directory: Path) -> set[str]:
    return {
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def wait_for(condition: Callable[[], object], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
