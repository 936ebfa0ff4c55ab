"""What a path holds, as one short text, and sha256 at the speed of the disk."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_SMALL_BYTES = 1 << 12
Entry = str
"""`f:<sha256>` a file, `x:<sha256>` an executable one, `l:<target>` a link, `d` a directory, `o` anything else."""

DIRECTORY = "d"
OTHER = "o"


def sha256_of(path: str | Path) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        # For a small file, making a large buffer would take longer than reading and hashing it.
        buffer = bytearray(min(_BLOCK_BYTES, max(os.fstat(file.fileno()).st_size, _SMALL_BYTES)))
        window = memoryview(buffer)
        while count := file.readinto(buffer):
            digest.update(window[:count])
    return digest.hexdigest()


class Digester:
    """Digests of paths, none of them computed twice for a file that has not been touched since (within one build)."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int, int], str] = {}

    def entry(self, path: str | Path) -> Entry | None:
        """Return what `path` holds, None if it isn't there. Links are described, not followed."""
        found, known = _look(path)
        if found is None:
            return known
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        digest = self._known.get(key)
        if digest is None:
            digest = self._known[key] = sha256_of(path)
        return f"{_kind(found)}:{digest}"


def shape(path: str | Path) -> str | None:
    """Return what `os.stat` tells of a path that a rebuild keeps: its kind, whether it is executable and a file's size.

    Links are described.
    """
    found, known = _look(path)
    return known if found is None else f"{_kind(found)}:{found.st_size}"


def _kind(found: os.stat_result) -> str:
    return "x" if found.st_mode & 0o111 else "f"


def _look(path: str | Path) -> tuple[os.stat_result | None, Entry | None]:
    """Return the status of a regular file, or else the entry of what is there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, None
    if stat.S_ISREG(found.st_mode):
        return found, None
    if stat.S_ISDIR(found.st_mode):
        return None, DIRECTORY
    # Strings: this is asked for every file of a repository.
    return None, f"l:{os.readlink(path)}" if stat.S_ISLNK(found.st_mode) else OTHER  # noqa: PTH115


def blob_of(entry: Entry) -> str | None:
    """Return the sha256 of the bytes behind an entry, None for what has none."""
    kind, _, value = entry.partition(":")
    return value if kind in {"f", "x"} else None
