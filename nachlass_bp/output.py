"""What the author reads while a build runs: noun headings, verb steps, other programs' output indented."""

from __future__ import annotations

import re
import shlex
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from nachlass_bp import hidden
from nachlass_bp.terminal import StatusLine

if TYPE_CHECKING:
    from nachlass_bp.errors import BuildpackError

_SETTING_LINE = re.compile(r"^(\s+)((?:NACHLASS|S2I)_[A-Z_]+=.+)$", re.MULTILINE)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # A colour, or an order to move about or erase (ECMA-48, CSI).
    r"|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?"  # A title, a link: strings with an end of their own.
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"  # Whatever else isn't text; tabs and ends of lines stay.
)
_NOT_OF_A_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that end a line, move the cursor, turn the direction of writing, or stand for bytes that are no text."""


class Output:
    """Write the build log; every line passes the redaction of known secrets and holds no control characters.

    Several threads may write. `is_terminal` says that lines of the stream can be redrawn.
    """

    def __init__(self, stream: TextIO | None = None, *, is_terminal: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._secrets: list[str] = []
        self._lock = threading.RLock()  # A signal's exception may leave a plain lock locked, for the last words.
        self._status = StatusLine(self._stream) if is_terminal else None
        self._written_at = time.monotonic()
        self._repository: str | None = None

    def advise(self, repository: str | None) -> None:
        """Let advice show settings as they are given where this build was started.

        That is by `nachlass build` of a directory of the person's, or else, None, by a platform that sets variables.
        """
        self._repository = repository

    @property
    def is_terminal(self) -> bool:
        """Whether `status` shows anything."""
        return self._status is not None

    @property
    def silent_s(self) -> float:
        """For how long no line has been written."""
        return time.monotonic() - self._written_at

    def status(self, text: str) -> None:
        """Show `text` below everything else, in place of what was there; nothing where lines can't be redrawn."""
        if self._status is not None:
            with self._lock:
                self._status.set(self._plain(text))
                self._stream.flush()

    def hide(self, secrets: Iterable[str]) -> None:
        """Replace these values by `****` in everything written from now on."""
        forms = {form for value in secrets for form in hidden.spellings(value)}
        self._secrets = sorted({*self._secrets, *forms}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return `text` without secrets and without the credentials of URLs; colours may go with them."""
        text = self._blot(text)
        bare = _CONTROLS.sub("", text) if self._secrets else text
        return text if bare == text or (blotted := self._blot(bare)) == bare else blotted

    def _blot(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, hidden.MARK)
        return _URL_CREDENTIALS.sub(hidden.MARK, text) if "://" in text else text

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._write(f"\n[{self._one_line(text)}]")

    def step(self, text: str, reasons: Sequence[str] = ()) -> None:
        """Say what is done now, and why when there is a choice: a line each, whatever names are in them."""
        self._write(self._one_line(text))
        for reason in reasons:
            self._write(f" - {self._one_line(reason)}")

    def blank(self) -> None:
        """Leave a line free."""
        self._write("")

    def document(self, text: str) -> None:
        """Write a text of several lines as it is, for programs."""
        self._write(text)

    def entry(self, text: str) -> None:
        """Say in one line, whatever names are in it, what belongs to the step above, indented."""
        self._write(f"    {self._one_line(text)}")

    def detail(self, text: str) -> None:
        """Show another program's text, or what belongs to the step above, indented."""
        for line in text.splitlines():
            self._write(f"    {line}")

    def warning(self, text: str) -> None:
        """Say something that does not stop the build but that the author wants to know."""
        lines = self._with_settings(text).splitlines()
        self._write(f"Warning: {lines[0]}")
        for line in lines[1:]:
            self._write(f"         {line}")

    def error(self, error: BuildpackError, *, is_advised: bool = True) -> None:
        """Show an error as its golden file has it; without advice and reference where the platform has them to say."""
        self._stream.flush()
        text = render_error(error, self.advice_of(error)) if is_advised else render_problem(error)
        self._write("\n" + text.rstrip("\n"))

    def advice_of(self, error: BuildpackError) -> str:
        """Return what to do about an error, as it is shown."""
        return self._with_settings(error.advice)

    def _with_settings(self, text: str) -> str:
        """Return advice with the whole command in place of a line that is nothing but a setting."""
        return _SETTING_LINE.sub(lambda line: line[1] + self._how_to_set(line[2]), text)

    def _how_to_set(self, setting: str) -> str:
        quoted = shlex.quote(setting)
        if self._repository is None:
            return f"{setting}      (pack build: --env {quoted})"
        return f"nachlass build {shlex.quote(self._repository)} --env {quoted}"

    def _write(self, text: str) -> None:
        line = self._plain(text) + "\n"
        with self._lock:
            if self._status is not None:
                self._status.clear()
            self._stream.write(line)
            if self._status is not None:
                self._status.draw()
            self._stream.flush()
            self._written_at = time.monotonic()

    def _one_line(self, text: str) -> str:
        # First without secrets: none is known by what stands for its ends of lines here.
        return one_line(self.redact(text))

    def _plain(self, text: str) -> str:
        """Return `text` as it may be written: a secret is hidden whether or not control characters are part of it."""
        return self._blot(_CONTROLS.sub("", self._blot(text)))


def one_line(text: str) -> str:
    """Return `text` with control characters as Python writes them: a name with one can't be taken for another line."""
    return _NOT_OF_A_LINE.sub(lambda found: repr(found[0])[1:-1], text)


def render_error(error: BuildpackError, advice: str | None = None) -> str:
    """Return the text of `error`: heading, details of others, what happened, what to do, reference."""
    return f"{render_problem(error)}\n\n{advice or error.advice}\n\nReference: {error.reference}\n"


def render_problem(error: BuildpackError) -> str:
    """Return the first half of it: heading, details of others, what happened."""
    parts = [f"[Error: {error.heading}]"]
    if error.details:
        parts.append(error.details.rstrip() + "\n")
    parts.append(error.body)
    return "\n".join(parts)


def duration_text(seconds: float) -> str:
    """Return a duration as a person reads it."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def size_text(size_bytes: int) -> str:
    """Return a size as a person reads it, in binary units."""
    if size_bytes < 1024:
        return f"{size_bytes} bytes"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1024 or unit == "GiB":
            return f"{size:.1f} {unit}"
    raise AssertionError
