"""What Linux tells about our control group: memory, how often the out-of-memory killer struck, processor time.

Source: Documentation/admin-guide/cgroup-v2.rst ("Memory Interface Files"), cgroup-v1/memory.rst, cgroups(7).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60
"""Version 1 says "none" by a number of about this size, version 2 by the word "max"."""


def oom_kills(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int | None:
    """Return how often the out-of-memory killer struck in our group, or None where that is not told."""
    for directory in _directories(mount, membership):
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                for line in (directory / name).read_text().splitlines():
                    key, _, value = line.partition(" ")
                    if key == "oom_kill":
                        return int(value)
    return None


def memory_limit_bytes(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int | None:
    """Return the memory that our group may use, or None when there is no limit.

    A group above ours may have a lower limit than our own.
    """
    limits: list[int] = []
    for directory in _directories(mount, membership):
        while directory != mount.parent:
            for name in ("memory.max", "memory.limit_in_bytes"):
                with contextlib.suppress(OSError, ValueError):
                    limits.append(int((directory / name).read_text()))
            directory = directory.parent  # noqa: PLW2901 - upwards until the mount
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


def was_out_of_memory(before: int | None) -> bool:
    """Whether the out-of-memory killer has struck since `oom_kills` returned `before`."""
    now = oom_kills()
    return before is not None and now is not None and now > before


def _directories(mount: Path, membership: Path) -> Iterator[Path]:
    """Yield where our group may be seen, the likeliest first.

    A container with a namespace of its own sees its group at the root; so does one without, whose mount shows nothing
    above its group, while /proc names the whole path.
    """
    with contextlib.suppress(OSError):
        for line in membership.read_text().splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if controllers == "":
                yield mount / path.lstrip("/")
                yield mount / "unified" / path.lstrip("/")
            elif "memory" in controllers.split(","):
                yield mount / "memory" / path.lstrip("/")
    yield mount
    yield mount / "memory"


def cpu_quota(own_groups: Path = MEMBERSHIP, mount: Path = MOUNT) -> float | None:
    """Return how many processors' worth of time the process and all in its cgroups may use, None for no limit.

    Of a group and those above it the strictest counts. Source: cgroups(7); cpu.max of version 2, cpu.cfs_quota_us and
    cpu.cfs_period_us of version 1.
    """
    quotas: list[float] = []
    with contextlib.suppress(OSError):
        for line in own_groups.read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = mount / controllers if controllers else mount
            # A container sees its own group at the top, whatever its path is outside.
            for place in (top, *(top / part for part in _groups_above(group))):
                quotas += filter(None, [_quota_of(place)])
    return min(quotas, default=None)


def _groups_above(group: str) -> list[str]:
    parts = [part for part in group.split("/") if part]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _quota_of(group: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(quota) / float(period) if quota != "max" and float(quota) > 0 else None
    return None
