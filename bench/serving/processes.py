"""What a server's whole process tree has used so far: processor time and memory."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_SETTLE_S = 30
_IDLE_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Of all processes together, in MiB. Pages that several of them share count once in `pss`, each time in `rss`."""

    rss: float
    pss: float


def tree(root: int) -> list[int]:
    """Return a process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for process in found:  # It grows meanwhile.
        found.extend(parents.get(process, ()))
    return found


def cpu_s(root: int) -> float:
    """Return the seconds of processor time of the tree, with those of the processes that it waited for."""
    ticks = sum(sum(map(int, fields[11:15])) for process in tree(root) if (fields := _stat(process)))
    return ticks / _TICKS


def settle(root: int) -> None:
    """Wait until the tree has nothing to do: many servers go on with requests whose clients have left."""
    end = time.monotonic() + _SETTLE_S
    before = cpu_s(root)
    while time.monotonic() < end:
        time.sleep(_IDLE_S)
        used, before = cpu_s(root) - before, cpu_s(root)
        if used <= 1 / _TICKS:  # Some look around a little all the time.
            return


def memory(root: int) -> Memory:
    """Return how much memory the tree has now."""
    rss = pss = 0
    for process in tree(root):
        try:
            text = (_PROC / str(process) / "smaps_rollup").read_text()
        except OSError:  # It has just ended.
            continue
        kib = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
        rss, pss = rss + kib["Rss:"], pss + kib["Pss:"]
    return Memory(rss=rss / 1024, pss=pss / 1024)


def _stat(process: int) -> list[str]:
    """Return the fields of proc(5) `stat` from the state on, which is field 3 there; [] if the process is gone."""
    try:
        return (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
