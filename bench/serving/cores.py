"""Which cores serve and which make the load: nothing that is measured competes with what measures it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Cores in taskset's words."""

    server: str = "0"
    load: str = "1"


ONE_EACH = Cores()
TWO_EACH = Cores(server="0,1", load="2,3")


def pinned(command: Sequence[str], cores: str) -> list[str]:
    """Return the command that keeps to these cores, as do all that it starts."""
    return ["taskset", "-c", cores, *command]


def available() -> int:
    return len(os.sched_getaffinity(0))
