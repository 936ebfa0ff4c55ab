"""Whether a file looks like a saved model, told from its first bytes; nothing is unpickled."""

from __future__ import annotations

import bz2
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

SUFFIXES = frozenset({".sav", ".pkl", ".pickle", ".joblib", ".skops"})
_HEAD_BYTES = 4096
_ZIP = b"PK\x03\x04"
_LZ4 = b"\x04\x22\x4d\x18"
_DATA = frozenset({"pandas", "numpy", "scipy", "pyarrow", "polars", "datetime", "collections", "builtins"})
"""Packages whose pickled objects are data: a frame, an array, a counter."""


def looks_like_a_model(suffix: str, file: Path) -> bool:
    """Whether a file of that suffix holds a skops model, or a pickle (compressed or not) of more than plain data."""
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
        if head.startswith(_ZIP):
            return _is_skops(file)
    except (OSError, zipfile.BadZipFile):
        return False
    if (plain := _plain(head)) is None:
        return suffix in SUFFIXES
    if (package := _first_package(plain)) is None:
        return False
    # joblib keeps arrays in wrappers of its own: at the top of a file that is an array, not a model.
    return package not in _DATA and package != "joblib"


def _is_skops(file: Path) -> bool:
    with zipfile.ZipFile(file) as archive:
        return "schema.json" in archive.namelist()


def _plain(head: bytes) -> bytes | None:
    """Return the head as it was before joblib or the author compressed it, None if that can't be told."""
    if head.startswith(_LZ4):
        return None  # Not of the standard library.
    kinds: list[tuple[bytes, Callable[[], bytes]]] = [
        (b"\x1f\x8b", lambda: zlib.decompressobj(31).decompress(head, _HEAD_BYTES)),
        (b"\x78", lambda: zlib.decompressobj().decompress(head, _HEAD_BYTES)),
        (b"BZh", lambda: bz2.BZ2Decompressor().decompress(head, _HEAD_BYTES)),
        (b"\x5d\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(head, _HEAD_BYTES)),
        (b"\xfd7zXZ", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(head, _HEAD_BYTES)),
    ]
    for magic, decompress in kinds:
        if head.startswith(magic):
            try:
                return decompress() or None  # bzip2 gives nothing before it has a whole block.
            except (zlib.error, lzma.LZMAError, OSError, EOFError):
                return b""
    return head


def _first_package(head: bytes) -> str | None:
    """Return the package of the class that a pickle of protocol 2 to 5 begins with, None if it begins otherwise."""
    if head[:1] != b"\x80" or head[1:2] not in {b"\x02", b"\x03", b"\x04", b"\x05"}:
        return None
    texts: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(BytesIO(head)):
            if opcode.name == "GLOBAL":
                return str(argument).partition(" ")[0].partition(".")[0]
            if opcode.name == "STACK_GLOBAL":
                return texts[-2].partition(".")[0] if len(texts) > 1 else None
            if opcode.name in {"SHORT_BINUNICODE", "BINUNICODE"}:
                texts.append(str(argument))
            elif opcode.name in {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_SET", "MARK", "BINBYTES", "BINBYTES8"}:
                return None  # A container of whatever, or plain bytes.
    except ValueError:
        pass  # Cut off in the middle of an instruction.
    return None
