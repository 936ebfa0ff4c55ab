"""What all answers have in common: times, and runs in a few words."""

from __future__ import annotations

from datetime import datetime, timezone

from nachlass_bp.cache.trace import Trace
from nachlass_bp.output import duration_text, size_text


def when(trace: Trace) -> str:
    """Return when a run began."""
    return f"{datetime.fromisoformat(trace.record.at).astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def effort(trace: Trace) -> str:
    """Return how long a run took and how much memory it had at most."""
    peak = trace.record.peak_bytes
    return duration_text(trace.record.seconds) + (f", at most {size_text(peak)} of memory" if peak else "")


def precision(trace: Trace) -> str | None:
    """Return why a run counts the whole repository as its input, None if it was traced."""
    if trace.mode == "trace":
        return None
    return f"the whole repository counts as its input, because {trace.mode_reason}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return `1 run` or `2 runs`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
