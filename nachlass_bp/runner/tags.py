"""Tags of cells that say how they run; all others (`remove-cell`, `hide-input`, …) say how they are shown."""

from __future__ import annotations

from typing import Any

SKIP = "skip-execution"
"""nbclient's and Jupyter Book's name for a cell that a run leaves out."""
RAISES = "raises-exception"
"""nbclient's and Jupyter Book's name for a cell whose exception doesn't end the run."""


def tags_of(cell: Any) -> list[str]:
    """Return the cell's tags."""
    return list(cell.metadata.get("tags", []))


def is_left_out(cell: Any) -> bool:
    """Whether a run leaves the code cell out because its tag says so."""
    return SKIP in tags_of(cell)
