"""Where an output goes: a pipe gets it as it comes, a file is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from .stopping import writing


class Target:
    """One output; `name` is what messages call it."""

    def __init__(self, path: Path | None, standard_output: int) -> None:
        """Open it: a file under another name beside it, what is no file (a device, a named pipe) as it is.

        Args:
            path: The file, None for the standard output.
            standard_output: The descriptor of that.

        Raises:
            StopError: It can't be written.
        """
        self.name = "The standard output" if path is None else str(path)
        self._final: Path | None = None
        self._part: Path | None = None
        with writing(self.name):
            if path is None:
                self._raw = io.FileIO(standard_output, "wb")
            elif _is_special(path):
                self._raw = io.FileIO(str(path), "wb")
            else:
                # Of a link, what it leads to is replaced, not the link.
                self._final = path.resolve()
                mode = _mode(self._final)
                number, name = tempfile.mkstemp(prefix=f".{self._final.name}.", suffix=".part", dir=self._final.parent)
                self._part = Path(name)
                self._raw = io.FileIO(number, "wb")
                os.fchmod(number, mode)
        self.stream: BinaryIO = io.BufferedWriter(self._raw, 256 * 1024)

    def flush(self) -> None:
        """Let a reader of the pipe have what there is.

        Raises:
            StopError: It can't be written.
        """
        with writing(self.name):
            self.stream.flush()

    def finish(self) -> None:
        """Give the file its name.

        Raises:
            StopError: It can't be written.
        """
        with writing(self.name):
            self.stream.close()
            if self._part is not None and self._final is not None:
                self._part.replace(self._final)
                self._part = None

    def abandon(self) -> None:
        """Leave nothing of a file; after `finish`, do nothing."""
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._part.unlink()
            self._part = None
        # What the buffer holds is for nobody: closing the raw stream first keeps it from being written.
        with contextlib.suppress(OSError):
            self._raw.close()


def _is_special(path: Path) -> bool:
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def _mode(path: Path) -> int:
    """Return the permissions of the file that is there, else those of a new one."""
    with contextlib.suppress(OSError):
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
