"""The last line of a terminal, redrawn in place. Standard library only: it serves before the tools are there."""

from __future__ import annotations

import os
import unicodedata
from typing import TextIO

_CLEAR = "\r\x1b[K"
"""To the first column, then erase to the end of the line: ECMA-48 (EL), which every terminal but `dumb` knows."""
_USUAL_COLUMNS = 80


class StatusLine:
    """What stands below everything written so far; `clear` it before a line is written, `draw` it again afterwards."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._is_drawn = False

    def set(self, text: str) -> None:
        """Show another text from now on, nothing if it is empty."""
        self._text = text
        self.clear()
        self.draw()

    def clear(self) -> None:
        """Take the text away for a moment."""
        if self._is_drawn:
            self._stream.write(_CLEAR)
            self._is_drawn = False

    def draw(self) -> None:
        """Show the text, as much of it as fits into a line: a terminal that wrapped it could not erase it."""
        if self._text:
            self._stream.write(_fitting(self._text, self._columns() - 1))
            self._is_drawn = True

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _USUAL_COLUMNS
        except (OSError, ValueError):
            return _USUAL_COLUMNS


def _fitting(text: str, columns: int) -> str:
    """Return as much of the beginning of `text` as fits; characters of East Asia take two columns."""
    used = 0
    for index, character in enumerate(text):
        used += 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used > columns:
            return text[:index]
    return text


def is_terminal(stream: TextIO, terminal_type: str) -> bool:
    """Whether lines of `stream` can be redrawn; `terminal_type` is what TERM says, empty when it says nothing."""
    return terminal_type not in {"", "dumb"} and stream.isatty()
