"""Variables by which two runs of a notebook differ only where the notebook wants it; the user's own values win."""

from __future__ import annotations

import math

CONSTANT = {
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "SOURCE_DATE_EPOCH": "315532801",
    "TZ": "UTC",
}
"""The same on every machine. The date is the first second of 1980 and one, as images of buildpacks have it."""

_THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    "LOKY_MAX_CPU_COUNT",
)


def thread_limits(quota: float | None, processors: int) -> dict[str, str]:
    """Return how many threads numerical libraries shall have where a container may not use all processors.

    They count processors, and know nothing of quotas: 64 threads that share two processors' time wait for one another.

    Args:
        quota: Processors' worth of time that the container has, None for no limit.
        processors: How many there are.
    """
    threads = max(1, math.ceil(quota)) if quota is not None else processors
    return dict.fromkeys(_THREADS, str(threads)) if threads < processors else {}
