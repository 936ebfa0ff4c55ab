"""The input's bytes: from a file or the standard input, its first ones looked at, and how many have been read."""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .arguments import Format
from .chunks import MOST_RECORD_BYTES
from .stopping import Status, StopError, reading

_FOREIGN = {
    b"\x1f\x8b": "is compressed by gzip: pipe it through zcat",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: pipe it through zstdcat",
    b"PK\x03\x04": "is a zip archive or a spreadsheet: export the sheet as CSV",
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
}
_BOM = b"\xef\xbb\xbf"


class _Counted(io.RawIOBase):
    """A raw stream whose first bytes have been read already, and whose bytes are counted."""

    def __init__(self, first: bytes, rest: io.RawIOBase) -> None:
        super().__init__()
        self._first = first
        self._rest = rest
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]  # mypy's own Buffer
        if self._first:
            count = min(len(buffer), len(self._first))
            buffer[:count] = self._first[:count]
            self._first = self._first[count:]
        else:
            count = self._rest.readinto(buffer) or 0
        self.count += count
        return count


class Source:
    """An input that has been opened; `name` is what messages call it, `first` are its first bytes."""

    def __init__(self, path: Path | None, standard_input: int) -> None:
        """Open the input.

        Args:
            path: The file, None for the standard input.
            standard_input: The descriptor of that.

        Raises:
            StopError: It can't be read, or is none of our formats.
        """
        self.name = "The standard input" if path is None else str(path)
        with reading(self.name):
            self._raw = io.FileIO(standard_input if path is None else str(path), "rb")
            described = os.fstat(self._raw.fileno())
            self.is_file = stat.S_ISREG(described.st_mode)
            start = self._raw.tell() if self.is_file else 0
            self.size = described.st_size - start if self.is_file else None
            self.first = self._read_first()
        for magic, what in _FOREIGN.items():
            if self.first.startswith(magic):
                raise StopError(Status.NO_INPUT, f"{self.name} {what}.")
        self._counted = _Counted(self.first, self._raw)
        self.stream: BinaryIO = io.BufferedReader(self._counted, 256 * 1024)

    def guess(self) -> Format:
        """Return the format that the first bytes tell.

        Raises:
            StopError: There are none.
        """
        if not self.first:
            raise StopError(Status.NO_INPUT, f"{self.name} is empty.")
        if self.first.startswith(b"PAR1"):
            return "parquet"
        return "jsonl" if self.first.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[") else "csv"

    def fractions(self) -> Iterator[float | None]:
        """Yield, each time, how much of the input has been read, None where its size isn't known."""
        while True:
            yield min(1.0, self._counted.count / self.size) if self.size else None

    def seekable(self) -> BinaryIO:
        """Return the input as a file to read at any place: of a pipe, a copy on disk.

        Raises:
            StopError: There is no place for a copy.
        """
        if self.is_file:
            with reading(self.name):
                self._raw.seek(0)
            return io.BufferedReader(self._raw, 256 * 1024)
        with reading(f"{self.name}, of which Parquet needs a copy on disk,"):
            # Closed, and so removed, with the process.
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - read until the run ends
            shutil.copyfileobj(self.stream, copy)
            copy.seek(0)
        return copy

    def _read_first(self) -> bytes:
        first = b""
        while len(first) < 4 and (more := self._raw.read(4 - len(first))):
            first += more
        return first


class LineTooLongError(ValueError):
    """A line is longer than any row may be; it has been skipped."""


class Lines:
    """The input's lines, with their ends; `number` is that of the last one, from 1."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._stream = source.stream
        self.number = 0
        self.has_bom = source.first.startswith(_BOM)
        if self.has_bom:
            self._stream.read(len(_BOM))

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes:
        try:
            line = self._stream.readline(MOST_RECORD_BYTES)
            if not line:
                raise StopIteration
            self.number += 1
            if len(line) < MOST_RECORD_BYTES or line.endswith(b"\n"):
                return line
            while line and not line.endswith(b"\n"):
                line = self._stream.readline(64 * 1024)
        except OSError as error:
            raise StopError(Status.NO_INPUT, f"{self._source.name} can't be read: {error.strerror or error}") from error
        raise LineTooLongError(f"A line is longer than {MOST_RECORD_BYTES // 2**20} MiB.")
