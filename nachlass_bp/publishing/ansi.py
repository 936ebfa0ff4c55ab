"""Terminal text as HTML: colours stay, the cursor's ways don't."""

from __future__ import annotations

import html
import re

from nachlass_bp.publishing.allowed import ANSI_COLOURS

_SEQUENCE = re.compile(r"\x1b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def ansi_html(text: str) -> str:
    """Return `text` escaped, with spans for colour, bold and underline."""
    parts: list[str] = []
    style = _Style()
    end = 0
    text = _overwritten(text)
    for match in _SEQUENCE.finditer(text):
        parts.append(style.wrap(text[end : match.start()]))
        end = match.end()
        if match[2] == "m":
            style.change(match[1])
    parts.append(style.wrap(text[end:]))
    return "".join(parts)


def _overwritten(text: str) -> str:
    """Return what a terminal shows of lines that were written over, as progress bars do."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


class _Style:
    """What the sequences so far have set."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._colour = ""
        self._bold = False
        self._underline = False

    def change(self, parameters: str) -> None:
        """Apply a sequence's numbers; those of other palettes and of backgrounds change nothing."""
        numbers = [int(part) if part.isascii() and part.isdigit() else 0 for part in parameters.split(";")]
        while numbers:
            number = numbers.pop(0)
            if number == 0:
                self._reset()
            elif number == 1:
                self._bold = True
            elif number == 22:
                self._bold = False
            elif number == 4:
                self._underline = True
            elif number == 24:
                self._underline = False
            elif number == 39:
                self._colour = ""
            elif 30 <= number <= 37 or 90 <= number <= 97:
                self._colour = ANSI_COLOURS[number % 10]
            elif number in {38, 48}:
                del numbers[: 2 if numbers[:1] == [5] else 4]

    def wrap(self, text: str) -> str:
        """Return `text` escaped, in this style."""
        escaped = html.escape(_CONTROL.sub("", text), quote=False)
        flags = (("ansi-bold", self._bold), ("ansi-underline", self._underline))
        classes = [*([f"ansi-{self._colour}"] if self._colour else []), *(name for name, is_set in flags if is_set)]
        return f'<span class="{" ".join(classes)}">{escaped}</span>' if classes and escaped else escaped
