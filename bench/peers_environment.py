"""The environment of papermill and jupyter-cache: their own, never the product's."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from bench.report import progress
from tests.support.pythons import ROOT, this_python

_PINS = ROOT / "bench" / "requirements.txt"
_CACHE = ROOT / ".cache" / "bench"


def python() -> Path:
    """Return the Python that has what bench/requirements.txt pins, installed now if it was not there."""
    base = this_python()
    key = hashlib.sha256(_PINS.read_bytes() + f"{base.executable} {base.abi}".encode()).hexdigest()[:16]
    directory = _CACHE / f"peers-{key}"
    if not directory.exists():
        progress("installing papermill and jupyter-cache")
        new = directory.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        subprocess.run([base.executable, "-m", "venv", new], check=True)
        command: list[str | Path] = [
            new / "bin/python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
            _PINS,
        ]
        subprocess.run(command, check=True)
        new.rename(directory)  # Its programs name the old place; `python -m` and kernels go by the interpreter.
    return directory / "bin/python"
