"""The one place where the build starts other programs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import host

_KEPT_LINES = 400
"""Of a failing program's output; pip's reason stands at the end."""


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
) -> Finished:
    """Run `command` to its end in a process group of its own, and hand each line of its output to `on_line`.

    However this function ends, nothing of the group is left running.

    Raises:
        OSError: The program cannot be started.
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
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                line = raw.rstrip("\n")
                lines.append(line)
                del lines[:-_KEPT_LINES]
                if on_line is not None:
                    on_line(line)
            exit_code = process.wait()
        finally:
            host.kill_group(process.pid)
    return Finished(command=arguments, exit_code=exit_code, output="\n".join(lines))
