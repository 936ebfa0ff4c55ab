"""`launcher.py score`, run as its image runs it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.scorer.image import Image


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What one run left."""

    status: int
    out: bytes
    err: str

    def csv(self) -> list[list[str]]:
        """Return the cells of the output, line by line."""
        return list(csv.reader(io.StringIO(self.out.decode(), newline="")))

    def objects(self) -> list[Any]:
        """Return the values of the output's JSON lines."""
        return objects(self.out)


def score(
    image: Image,
    *words: str | Path,
    rows: bytes | str | None = None,
    cwd: Path = Path("/"),
    env: Mapping[str, str] | None = None,
) -> Scored:
    """Score `rows` through the standard streams, or a file that the words name."""
    given = rows.encode() if isinstance(rows, str) else rows
    done = subprocess.run(
        command(image, *words),
        env=image.env(**(env or {})),
        cwd=cwd,
        input=b"" if given is None else given,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return Scored(status=done.returncode, out=done.stdout, err=done.stderr.decode())


def command(image: Image, *words: str | Path) -> list[str]:
    return [sys.executable, str(image.scorer.launcher), "score", *map(str, words)]


def objects(lines: bytes | str) -> list[Any]:
    return [json.loads(line) for line in lines.splitlines()]


def closing(rows: int, bad: int) -> str:
    """Return how a run's last line begins."""
    return f"{rows:,} rows, {bad:,} bad, "


def columns(table: Sequence[Sequence[str]], *names: str) -> list[tuple[str, ...]]:
    """Return some columns of CSV that has a header."""
    places = [table[0].index(name) for name in names]
    return [tuple(row[place] for place in places) for row in table[1:]]
