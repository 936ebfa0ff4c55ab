"""How many processors the service has."""

from __future__ import annotations

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def processors(quota: Path = _QUOTA) -> float:
    """Return how many processors this process may keep busy, by its affinity and its container's limit.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, "cpu.max": microseconds in each period of so many.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        most, period = quota.read_text(encoding="ascii").split()
        return min(float(count), int(most) / int(period))
    except (OSError, ValueError):  # It isn't Linux, not a container of this kind, or one without a limit ("max").
        return float(count)
