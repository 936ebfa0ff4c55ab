"""Values that nobody is to read, and every spelling in which a program may leave one of them behind.

The log, the executed notebooks, names, and the search of files all go by the same spellings.
"""

from __future__ import annotations

import html
import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Shorter values ("1", "yes") would redact half of the log and protect nothing."""
MARK = "****"
_SHORTEST_PART = 8
"""Of base64, a part that doesn't depend on what stands around it; shorter ones turn up in any picture."""
_MOST_LINES = 50
"""Of a value in a file: looking for a thousand lines of certificates would take longer than all else."""
_LINE_OF_BASE64 = 76
_BLOCK_BYTES = 1 << 20
_PLACES = re.compile(r"([A-Z0-9_]*PATH|HOME|TMPDIR|TZ|LANG|LANGUAGE|LC_[A-Z]+|SERVICE_BINDING_ROOT)\Z")
_SETTINGS = ("NACHLASS_", "S2I_", "BP_", "CNB_")


def is_telling(variable: str, value: str) -> bool:
    """Whether a variable's value is somebody's own: no setting of the build, and no place, time zone or language."""
    if variable.startswith("PIP_"):
        return "@" in value  # An index that wants a password.
    return not variable.startswith(_SETTINGS) and _PLACES.match(variable) is None


def spellings(value: str, most_lines: int | None = None) -> set[str]:
    """Return what a program may leave of a value, in text: all of it or a line, as it is or encoded."""
    found = {form for line in (value, *value.splitlines()[:most_lines]) for form in _escaped(line)}
    found.update(_encoded(value), _encoded(value.strip()))
    return {form for form in found if len(form) >= SHORTEST}


def _escaped(line: str) -> Iterator[str]:
    """Yield a line as it is, escaped, or taken for a path."""
    for text in {line, line.strip()}:
        yield text
        yield repr(text)[1:-1]
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield html.escape(text)
        yield html.escape(text, quote=False)
        if "/" in text:
            yield os.path.normpath(text)


def _encoded(text: str) -> Iterator[str]:
    """Yield a value as what URLs, headers and dumps have of it."""
    if len(text) < SHORTEST:
        return
    data = _bytes(text)
    yield from (quote(data), quote(data, safe=""), quote_plus(data), data.hex(), data.hex().upper())
    for encode in (b64encode, urlsafe_b64encode):
        whole = encode(data).decode()
        yield whole
        yield whole.rstrip("=")
        yield whole[:_LINE_OF_BASE64]  # Of one that is broken into lines.
        for before in range(3):  # As a part of something longer, `user:password` for instance.
            text_around = encode(bytes(before) + data).decode()
            part = text_around[-(-8 * before // 6) : 8 * (before + len(data)) // 6]
            if len(part) >= _SHORTEST_PART:
                yield part


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class Hidden:
    """Values by the names that may be told; too short ones are no secrets. False when there are none."""

    def __init__(self, values: Mapping[str, str]) -> None:
        forms = [(form, name) for name, value in values.items() for form in spellings(value)]
        self._forms = sorted(forms, key=lambda each: len(each[0]), reverse=True)
        self._patterns = _least([(data, name) for name, value in values.items() for data in _in_files(value)])
        self._overlap = max((len(data) for data, _ in self._patterns), default=1) - 1

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def redact(self, text: str) -> str:
        """Return a text with a mark in place of each value."""
        for form, _ in self._forms:
            text = text.replace(form, MARK)
        return text

    def in_texts(self, texts: Iterable[str]) -> str | None:
        """Return the name of a value that one of the texts holds, None if none does."""
        whole = "\n".join(texts)
        return next((name for form, name in self._forms if form in whole), None)

    def in_file(self, file: str | Path) -> str | None:
        """Return the name of a value that a file holds anywhere, None if it holds none.

        Raises:
            OSError: It can't be read.
        """
        if not self._patterns:
            return None
        with open(file, "rb", buffering=0) as stream:
            rest = b""
            while block := stream.read(_BLOCK_BYTES):
                window = rest + block
                for data, name in self._patterns:
                    if data in window:
                        return name
                rest = window[-self._overlap :]
        return None


def _in_files(value: str) -> Iterator[bytes]:
    """Yield the spellings as bytes: numpy keeps text in four bytes a character, Windows in two."""
    yield from map(_bytes, spellings(value, _MOST_LINES))
    for text in {line.strip() for line in (value, *value.splitlines()[:_MOST_LINES])}:
        if len(text) >= SHORTEST:
            for encoding in ("utf-16-le", "utf-32-le"):
                yield text.encode(encoding, "surrogatepass").rstrip(b"\0")


def _least(patterns: Iterable[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
    """Return as few patterns as find the same files: what has another one in it is found by that one."""
    found: list[tuple[bytes, str]] = []
    for data, name in sorted(patterns, key=lambda each: len(each[0])):
        if not any(known in data for known, _ in found):
            found.append((data, name))
    return found
