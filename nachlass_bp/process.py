"""The one place where the build starts other programs."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
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
    arguments = tuple(str(part) for part in command)
    lines: list[str] = []
    with subprocess.Popen(
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
    ) as process:
        reader = threading.Thread(target=_read, args=(process, lines, on_line), daemon=True)
        reader.start()
        try:
            exit_code = process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise TimeLimitError(arguments[0]) from error
        finally:
            host.kill_group(process.pid)
            reader.join(_LAST_WORDS_S)
            if reader.is_alive():  # Whoever left the group and holds the pipe ends with the build (host.py).
                host.kill_descendants()
                reader.join(_LAST_WORDS_S)
    return Finished(command=arguments, exit_code=exit_code, output="\n".join(lines))


def _read(process: subprocess.Popen[str], lines: list[str], on_line: Callable[[str], None] | None) -> None:
    assert process.stdout is not None
    for raw in process.stdout:
        line = raw.rstrip("\n")
        lines.append(line)
        del lines[:-_KEPT_LINES]
        if on_line is not None:
            on_line(line)
