"""One line of the report for each thing that is measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def section(title: str) -> None:
    print(f"\n{title}", flush=True)


def row(what: str, values: Sequence[float], unit: str, bound: str = "") -> None:
    """Print the median of the values, how far they spread, and the bound that nachlass sets itself."""
    low, middle, high = min(values), statistics.median(values), max(values)
    limit = f"  (bound: {bound})" if bound else ""
    print(f"{what:<62} median {middle:8.2f} {unit:<4} min {low:8.2f}  max {high:8.2f}{limit}", flush=True)


def progress(text: str) -> None:
    """Say what takes long now, and is no result."""
    print(f"… {text}", flush=True)
