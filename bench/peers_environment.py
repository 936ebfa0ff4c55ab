"""The environment of papermill and jupyter-cache: their own, never the product's."""

from __future__ import annotations

from pathlib import Path

from bench import environments

_PINS = Path(__file__).with_name("requirements.txt")


def python() -> Path:
    """Return the Python that has what bench/requirements.txt pins, installed now if it was not there."""
    return environments.python("peers", _PINS)
