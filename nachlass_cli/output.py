"""What a person reads: steps and warnings on stdout, errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nachlass_cli.errors import CliError

_SHOWN_NAMES = 5


def prepare_streams() -> None:
    """Make sure that a file name which is not valid UTF-8 can be printed."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def step(text: str) -> None:
    """Say what is done now."""
    # Flushed, because the phases write to the same terminal without going through this buffer.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def warning(text: str) -> None:
    """Say what does not stop the build but is probably not what the person wants."""
    step(f"Warning: {text}")


def error(failure: CliError) -> None:
    """Show a failure."""
    sys.stdout.flush()
    sys.stderr.write("\n" + render_error(failure))
    sys.stderr.flush()


def render_error(failure: CliError) -> str:
    """Return the text of a failure: heading, others' words, what happened, what to do, reference."""
    parts = [f"[Error: {failure.heading}]"]
    if failure.details:
        parts.append(failure.details.rstrip() + "\n")
    parts.append(failure.body)
    return "\n".join(parts) + f"\n\n{failure.advice}\n\nReference: {failure.reference}\n"


def name_some(names: Iterable[str]) -> str:
    """Return a short enumeration: the first few names, and how many more there are."""
    every = list(names)
    shown = ", ".join(every[:_SHOWN_NAMES])
    hidden = len(every) - _SHOWN_NAMES
    return f"{shown} and {hidden} more" if hidden > 0 else shown
