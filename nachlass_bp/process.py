"""The one place where the build starts other programs."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import host

_KEPT_LINES = 400
"""Of a failing program's output; pip's reason stands at the end."""
_LAST_WORDS_S = 2.0
"""How long what a program has written may take to arrive, once it has ended."""


class TimeLimitError(Exception):
    """A program was ended because it took too long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A program that ended: `output` is stdout and stderr together, at most the last lines of it."""

    command: tuple[str, ...]
    exit_code: int
    output: str

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.exit_code == 0


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    on_line: Callable[[str], None] | None = None,
    limit_s: float | None = None,
) -> Finished:
    """Run `command` to its end in a process group of its own, and hand each line of its output to `on_line`.

    However this function ends, nothing of the group is left running. The output ends with the program: what it started
    and left behind may hold the pipe for ever.

    Raises:
        OSError: The program cannot be started.
        TimeLimitError: It did not end within `limit_s` seconds.
    """
    return _run([command], env, cwd, on_line, limit_s)[0]


def run_together(commands: Sequence[Sequence[str | Path]], *, env: Mapping[str, str], cwd: Path) -> list[Finished]:
    """Run several programs at the same time, each as `run` would; return when all have ended.

    Raises:
        OSError: One of them cannot be started.
    """
    return _run(commands, env, cwd, None, None)


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[str]
    reader: threading.Thread
    lines: list[str]
    arguments: tuple[str, ...]


def _run(
    commands: Sequence[Sequence[str | Path]],
    env: Mapping[str, str],
    cwd: Path,
    on_line: Callable[[str], None] | None,
    limit_s: float | None,
) -> list[Finished]:
    running: list[_Running] = []
    with ExitStack() as stack:
        try:
            for command in commands:
                running.append(_start(command, env, cwd, on_line))
                stack.enter_context(running[-1].process)
            codes = [each.process.wait(limit_s) for each in running]
        except subprocess.TimeoutExpired as error:
            raise TimeLimitError(running[0].arguments[0]) from error
        finally:
            for each in running:
                host.kill_group(each.process.pid)
            for each in running:
                each.reader.join(_LAST_WORDS_S)
            if any(each.reader.is_alive() for each in running):
                # Whoever left the group and holds the pipe ends with the build (host.py).
                host.kill_descendants()
                for each in running:
                    each.reader.join(_LAST_WORDS_S)
    return [
        Finished(command=each.arguments, exit_code=code, output="\n".join(each.lines))
        for each, code in zip(running, codes, strict=True)
    ]


def _start(
    command: Sequence[str | Path], env: Mapping[str, str], cwd: Path, on_line: Callable[[str], None] | None
) -> _Running:
    arguments = tuple(str(part) for part in command)
    process = subprocess.Popen(
        arguments,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    lines: list[str] = []
    reader = threading.Thread(target=_read, args=(process, lines, on_line), daemon=True)
    reader.start()
    return _Running(process, reader, lines, arguments)


def _read(process: subprocess.Popen[str], lines: list[str], on_line: Callable[[str], None] | None) -> None:
    assert process.stdout is not None
    for raw in process.stdout:
        line = raw.rstrip("\n")
        lines.append(line)
        del lines[:-_KEPT_LINES]
        if on_line is not None:
            on_line(line)
