"""What a path holds, as one short text, and sha256 at the speed of the disk."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

_BLOCK_BYTES = 1 << 20
_SMALL_BYTES = 1 << 12
Entry = str
"""`f:<sha256>` a file, `x:<sha256>` an executable one, `l:<target>` a link, `d` a directory, `o` anything else.

`s:<keyed digest>` and, of an executable file, `t:<keyed digest>`: one from whose sha256 a secret could be guessed. Its
bytes are not to be kept.
"""

DIRECTORY = "d"
_SEALED = {"f": "s", "x": "t"}
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

    def __init__(self, is_secret: Callable[[str], bool] | None = None, keyed: Callable[[str], str] = str) -> None:
        """Digest openly what `is_secret` doesn't name; of the rest, let entries have what `keyed` makes of the sha256.

        Whether a file is secret is asked once for each content that a path has.
        """
        self._known: dict[tuple[int, int, int, int, int], str] = {}
        self._is_secret = is_secret
        self._keyed = keyed
        self._secret: dict[tuple[str, str], bool] = {}

    def entry(self, path: str | Path) -> Entry | None:
        """Return what `path` holds, None if it isn't there. Links are described, not followed."""
        found, known = _look(path)
        if found is None:
            return known
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        digest = self._known.get(key)
        if digest is None:
            digest = self._known[key] = sha256_of(path)
        if self._is_secret is not None:
            of_path = (str(path), digest)
            if of_path not in self._secret:
                self._secret[of_path] = self._is_secret(str(path))
            if self._secret[of_path]:
                return f"{_SEALED[_kind(found)]}:{self._keyed(digest)}"
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


def is_sealed(entry: Entry | None) -> bool:
    """Whether an entry is that of a file about which only a keyed digest may be known."""
    return entry is not None and entry.partition(":")[0] in _SEALED.values()


def blob_of(entry: Entry) -> str | None:
    """Return the sha256 of the bytes behind an entry, None for what has none or may not be kept."""
    kind, _, value = entry.partition(":")
    return value if kind in {"f", "x"} else None
