"""A terminal for programs that behave otherwise on one."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path


def run_on_terminal(
    command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, columns: int = 80
) -> tuple[int, str]:
    """Run a program whose output goes to a terminal; return its status and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        process = subprocess.Popen(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    finally:
        os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # EIO: the last one who had it open has ended.
        pass
    finally:
        os.close(ours)
    return process.wait(), written.decode()


def screen(written: str) -> list[str]:
    """Return the lines that are there in the end: what was erased isn't."""
    lines = written.split("\n")
    return [line.rstrip("\r").rpartition("\r\x1b[K")[2] for line in lines]
