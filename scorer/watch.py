"""Which files below a directory a process reads."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

_READS = (os.O_RDONLY, os.O_RDWR)
_IMPORT_SYSTEM = "<frozen importlib._bootstrap_external>"


class ReadWatch:
    """Records files below `directory` that are opened for reading, from when it is made on.

    An audit hook can't be removed: make one for a process that ends soon.
    """

    def __init__(self, directory: Path) -> None:
        self._given = os.path.abspath(directory)  # noqa: PTH100 - resolve() would follow links, which is the other root.
        self._real = os.path.realpath(directory)
        self._paths: set[str] = set()
        self._import_listings: Counter[str] = Counter()
        sys.addaudithook(self._on_event)

    def opened(self) -> list[str]:
        """Return the regular files that were read, relative to the directory, sorted; bytecode doesn't count."""
        relative = {name for name in map(self._relative, tuple(self._paths)) if name is not None}
        return sorted(name for name in relative if not name.endswith(".pyc") and Path(self._given, name).is_file())

    def listed_by_imports(self) -> dict[str, int]:
        """Return how often the import system listed each directory, relative to the watched one ("" is that itself)."""
        found: Counter[str] = Counter()
        for path, count in tuple(self._import_listings.items()):
            relative = "" if path in {self._given, self._real} else self._relative(path)
            if relative is not None:
                found[relative] += count
        return found

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and len(arguments) == 3:
            path, mode, flags = arguments
            if isinstance(path, (str, bytes)) and _is_read(mode, flags):
                # Relative paths mean what they mean now; the process may change its directory.
                self._paths.add(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 - cheap, and follows no link
        elif event == "os.listdir" and isinstance(arguments[0], str):
            if sys._getframe(1).f_code.co_filename == _IMPORT_SYSTEM:  # noqa: SLF001 - the documented way to it
                self._import_listings[os.path.abspath(arguments[0])] += 1  # noqa: PTH100 - as above
        elif event == "sqlite3.connect" and arguments and isinstance(arguments[0], (str, bytes)):
            self._paths.add(os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100

    def _relative(self, path: str) -> str | None:
        for root, candidate in ((self._given, path), (self._real, os.path.realpath(path))):
            if candidate.startswith(root + os.sep):
                return os.path.relpath(candidate, root)
        return None


def _is_read(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return "r" in mode or "+" in mode
    return not isinstance(flags, int) or (flags & os.O_ACCMODE) in _READS
