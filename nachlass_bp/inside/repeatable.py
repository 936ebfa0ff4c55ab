"""Make two runs of the same cells do the same: random numbers from a seed, and cells with the same names each time."""

from __future__ import annotations

import hashlib
import os
import random
from typing import Any

from .after_import import after_import

_PLACE = "/tmp/ipykernel_0"  # noqa: S108 - the name of a place, at which there is nothing
"""Like ipykernel's `/tmp/ipykernel_<process id>`, by which joblib and numba know a notebook; no process has this id."""


def name_cells(shell: Any) -> None:
    """Name each cell after its source alone: a function's code carries the name, and so does a pickle of it.

    ipykernel has the process id in it. Its own remedy, IPYKERNEL_CELL_NAME, is one name for all cells, by which
    tracebacks would show lines of the wrong one; it is left to whoever sets it.
    """
    if "IPYKERNEL_CELL_NAME" not in os.environ:
        shell.compile.get_code_name = _name_of


def _name_of(raw_code: str, code: str, number: int) -> str:
    del code, number  # The number depends on which cells ran before.
    return f"{_PLACE}/{hashlib.sha256(raw_code.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.py"


def seed_at_first_cell(shell: Any, seed: int) -> None:
    """Seed `random` when the first cell begins, and `numpy.random` then or when something imports it."""

    def begin(_info: Any) -> None:
        shell.events.unregister("pre_run_cell", begin)
        random.seed(seed)
        after_import("numpy.random", lambda module: module.__dict__["seed"](seed))

    shell.events.register("pre_run_cell", begin)
