"""Environments of the peers: each has its own, below .cache/bench, made once for its pins and Python."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from bench.report import progress
from tests.support.pythons import ROOT, this_python

CACHE = ROOT / ".cache" / "bench"


def python(name: str, pins: Path) -> Path:
    """Return a Python that has what `pins` lists, installed now if it was not there."""
    base = this_python()
    key = hashlib.sha256(pins.read_bytes() + f"{base.executable} {base.abi}".encode()).hexdigest()[:16]
    directory = CACHE / f"{name}-{key}"
    done = directory / ".installed"
    if not done.exists():
        progress(f"installing {name}")
        # In its place from the beginning: its programs name their interpreter by its path.
        subprocess.run([base.executable, "-m", "venv", "--clear", directory], check=True)
        options = ["--quiet", "--disable-pip-version-check", "-r", str(pins)]
        subprocess.run([directory / "bin/python", "-m", "pip", "install", *options], check=True)
        done.touch()
    return directory / "bin/python"
