"""`prune`: the stage cache without what the next build, if nothing changes, has no need of."""

from __future__ import annotations

from pathlib import Path

from nachlass_bp.cache.looking import ReadOnlyStore
from nachlass_bp.cache.store import Store
from nachlass_bp.output import Output, size_text
from nachlass_bp.query.words import counted


def prune(root: Path, output: Output, *, keep: int, everything: bool) -> None:
    """Remove runs and whatever belongs to none, and say what that freed. No build may be going on.

    Args:
        root: The store's directory.
        output: Where to say it.
        keep: How many runs of each notebook are kept besides the one that the last build used.
        everything: Keep none at all.
    """
    bytes_before, runs_before = _measure(root)
    store = Store(root)  # One of another format is gone with that.
    if everything:
        store.clear()
    else:
        used = store.used()
        if used is None:
            output.step("What the last build used isn't known: the newest run of each notebook is kept")
            used = {traces[0].file for traces in store.all_traces()}
        store.evict(used, None, older=keep)
    bytes_after, runs_after = _measure(root)
    freed = size_text(max(0, bytes_before - bytes_after))
    output.step(f"Removed {counted(runs_before - runs_after, 'run')}: {freed} freed")
    output.step(f"Kept {counted(runs_after, 'run')}: {size_text(bytes_after)}")


def _measure(root: Path) -> tuple[int, int]:
    """Return the bytes and the runs of a store."""
    store = ReadOnlyStore(root)
    contents = store.contents()
    size = sum(contents.needed.values()) + sum(contents.lost.values())
    return size, sum(len(traces) for traces in store.all_traces())
