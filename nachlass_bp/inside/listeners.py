"""Whose a listening socket of this machine is: the notebook's own processes', or somebody else's.

Linux only, from /proc; elsewhere nobody is known to be the notebook's. Source: proc(5).
"""

from __future__ import annotations

import os

_LISTENING = "0A"


def is_ours(port: int, process: int) -> bool:
    """Return whether a process that descends from `process`, or itself, listens at the TCP port."""
    return _is_held(_tcp_listeners(port), process)


def is_ours_unix(address: str | bytes, process: int) -> bool:
    """Return whether such a process listens at the Unix socket; an abstract one's address begins with a NUL."""
    wanted = os.fsdecode(address).replace("\0", "@", 1)
    found: set[str] = set()
    for line in _lines("/proc/self/net/unix"):
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and os.path.abspath(fields[7]) == os.path.abspath(wanted):  # noqa: PTH100 - strings
            found.add(fields[6])
    return _is_held(found, process)


def _tcp_listeners(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
        for line in _lines(table):
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(fields[9])
    return found


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as table:
            return table.read().splitlines()[1:]
    except OSError:
        return []


def _is_held(inodes: set[str], process: int) -> bool:
    return bool(inodes) and any(inodes & _sockets(each) for each in _descendants(process))


def _descendants(process: int) -> set[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names
        if name.isdigit() and (stat := _parent_of(name)) is not None:
            children.setdefault(stat, []).append(int(name))
    found: set[int] = set()
    waiting = [process]
    while waiting:
        each = waiting.pop()
        found.add(each)
        waiting.extend(children.get(each, ()))
    return found


def _parent_of(process: str) -> int | None:
    """Return a process's parent, None if it has ended."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _sockets(process: int) -> set[str]:
    directory = f"/proc/{process}/fd"
    found: set[str] = set()
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names
    except OSError:
        return found  # It has ended, or is another user's.
    for name in names:
        try:
            target = os.readlink(f"{directory}/{name}")  # noqa: PTH115 - strings
        except OSError:
            continue  # Closed by now.
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
