"""What is outside the working tree and was looked at all the same: paths are absolute."""

from __future__ import annotations

import os
from collections.abc import Iterable

from nachlass_bp.cache.trace import digest_of

_MOST_LINKS = 40
_BYTECODE = ".pyc"


def on_the_way(path: str) -> list[str]:
    """Return the path, the links on the way to what it stands for, and that: a link leading elsewhere is a change."""
    found = {path: None}
    waiting, here = path.strip("/").split("/"), ""
    links = 0
    while waiting:
        name = waiting.pop(0)
        if name in {"", "."}:
            continue
        if name == "..":
            here = here.rpartition("/")[0]
            continue
        place = f"{here}/{name}"
        try:
            target = os.readlink(place)  # noqa: PTH115 - strings
        except OSError:
            here = place
            continue
        found[place] = None
        links += 1
        if links > _MOST_LINKS:
            break
        if target.startswith("/"):
            here = ""
        waiting = [*target.strip("/").split("/"), *waiting]
    else:
        found[here or "/"] = None
    return list(found)


def source_of(path: str) -> str | None:
    """Return the module that a file of bytecode was made from, None for any other path: it is looked at, not opened."""
    directory, _, name = path.rpartition("/")
    if not name.endswith(_BYTECODE) or not directory.endswith("/__pycache__"):
        return None
    return f"{directory.removesuffix('__pycache__')}{name.partition('.')[0]}.py"


def listing(directory: str) -> str | None:
    """Return the digest of the names in a directory, None if there is none."""
    try:
        return digest_of(sorted(os.listdir(directory)))  # noqa: PTH208 - names
    except OSError:
        return None


def importable(directory: str, modules: Iterable[str]) -> dict[str, list[str]]:
    """Return for each module the names in a directory that its import could find there."""
    found: dict[str, list[str]] = {module: [] for module in modules}
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208 - names
    except OSError:
        return found
    for name in names:
        stem = name.partition(".")[0]
        if stem in found:
            found[stem].append(name)
            found[stem].extend(f"{name}/{inner}" for inner in _initial(f"{directory}/{name}"))
    return found


def _initial(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names
    except OSError:
        return []
    return sorted(name for name in names if name.partition(".")[0] == "__init__")
