"""Looking for planted values in all that a build leaves behind, in every spelling that is cheap to look for."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

_SHORTEST = 8
"""Of a part of base64: shorter ones turn up by chance."""
_UNPACKERS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"\x78\x9c": zlib.decompress,
}


def spellings(value: str) -> set[bytes]:
    """Return what may be left of a value of one line."""
    data = value.encode()
    texts = {value, value[::-1], json.dumps(value)[1:-1], repr(value)[1:-1]}
    texts |= {quote(value), quote(value, safe=""), quote_plus(value), data.hex(), data.hex().upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # As a part of something longer.
            whole = encode(bytes(before) + data).decode()
            texts.add(whole[-(-8 * before // 6) : 8 * (before + len(data)) // 6])
    return {text.encode() for text in texts if len(text) >= _SHORTEST}


class Search:
    """Values by name; `found` says which of them are where."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Look for the lines of each value."""
        self._names = {
            form: name
            for name, value in values.items()
            for line in value.splitlines()
            if len(line) >= _SHORTEST
            for form in spellings(line)
        }

    def in_text(self, place: str, text: str) -> set[tuple[str, str]]:
        """Return (place, name) of what a text holds."""
        return self._in_bytes(place, text.encode())

    def in_tree(self, directory: Path) -> set[tuple[str, str]]:
        """Return (file, name) of what is in files, in names of files, and in what is packed in archives in them.

        Archives of tar are looked through as they are, with the names in them, and then by their files.
        """
        found = self._by_grep(directory)
        for path in sorted(directory.rglob("*")):
            found |= self._in_bytes(str(path), str(path.relative_to(directory)).encode())
            if path.is_file() and not path.is_symlink():
                for place, data in _packed(path):
                    found |= self._in_bytes(place, data)
        return found

    def _in_bytes(self, place: str, data: bytes) -> set[tuple[str, str]]:
        return {(place, name) for form, name in self._names.items() if form in data}

    def _by_grep(self, directory: Path) -> set[tuple[str, str]]:
        """Look through hundreds of megabytes: grep looks for all spellings at once."""
        with tempfile.NamedTemporaryFile() as patterns:
            patterns.write(b"\n".join(self._names))
            patterns.flush()
            done = subprocess.run(
                [
                    "grep",
                    "--recursive",
                    "--text",
                    "--only-matching",
                    "--fixed-strings",
                    "-Z",
                    "-f",
                    patterns.name,
                    directory,
                ],
                env={**os.environ, "LC_ALL": "C"},
                capture_output=True,
                check=False,
            )
        assert done.returncode in (0, 1), done.stderr
        hits = [line.split(b"\0", 1) for line in done.stdout.splitlines()]
        return {(place.decode(), self._names[form]) for place, form in hits}


def _packed(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what is compressed in a file, or in the files of an archive of tar, unpacked."""
    if not tarfile.is_tarfile(path):
        yield from _unpacked(str(path), path.read_bytes())
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isreg() and (file := archive.extractfile(member)) is not None:
                head = file.read(6)
                if head.startswith((*_UNPACKERS, b"PK\x03\x04")):
                    yield from _unpacked(f"{path}:{member.name}", head + file.read())


def _unpacked(place: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(b"PK\x03\x04") and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield f"{place}:{name}", archive.read(name)
    for magic, unpack in _UNPACKERS.items():
        if data.startswith(magic):
            try:
                yield place, unpack(data)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return  # It only begins like one.
