"""`ls`: what the stage cache holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nachlass_bp.cache.digests import DIRECTORY
from nachlass_bp.cache.looking import ReadOnlyStore
from nachlass_bp.cache.store import Store, Stored
from nachlass_bp.cache.trace import Trace
from nachlass_bp.cache.view import Output as Written
from nachlass_bp.output import Output, size_text
from nachlass_bp.query.words import counted, effort, precision, when


def tell(store: ReadOnlyStore, output: Output) -> None:
    """Show every run that is kept, and what all of it takes."""
    contents, every = store.contents(), store.all_traces()
    output.step(f"Stage cache: {store.root}")
    if store.discarded is not None:
        output.step(f"The next build begins a new one, because of this one {store.discarded.removeprefix('it ')}")
    used = store.used() or set()
    for traces in every:
        output.blank()
        output.step(f"{traces[0].trace.key.notebook}: {counted(len(traces), 'run')}")
        for stored in traces:
            last = " (used by the last build)" if stored.file in used else ""
            output.entry(f"{when(stored.trace)}{last}: {effort(stored.trace)}")
            for line in _about(store, stored.trace):
                output.entry(f"    {line}")
    blobs = sum(_is_blob(path) for path in (*contents.needed, *contents.lost))
    size = size_text(sum(contents.needed.values()) + sum(contents.lost.values()))
    lost = sum(contents.lost.values())
    output.blank()
    output.step(f"{size} in all, with {counted(blobs, 'blob')}; {size_text(lost)} of it belong to no run")


def _about(store: Store, trace: Trace) -> Iterator[str]:
    if reason := precision(trace):
        yield reason
    else:
        yield f"traced: it used {counted(len(_inputs(trace)), 'file')} of the repository"
    for path, written in trace.outputs.items():
        if path not in _stage_copies(trace):
            yield f"wrote {_wrote(path, written)}"
    if trace.stage is not None:
        yield f"saved a stage ({_size(store, trace.stage)})"
    if trace.not_reusable is not None:
        yield f"the next build will run it again: {trace.not_reusable}"
    elif trace.network is not None:
        yield f"reusable only where what comes from the network is said to be stable: {trace.network}"
    else:
        yield "reusable"


def _wrote(path: str, written: Written) -> str:
    if written.entry is None:
        return f"{path} (deleted)"
    if written.entry == DIRECTORY:
        return f"{path}/"
    if written.entry.startswith("l:"):
        return f"{path} (a link to {written.entry.removeprefix('l:')})"
    return f"{path} ({size_text(written.size_bytes)})"


def _stage_copies(trace: Trace) -> set[str]:
    """Return the outputs that are the stage itself, which stands beside the notebook as well."""
    return {path for path, written in trace.outputs.items() if trace.stage and written.entry == f"f:{trace.stage}"}


def _inputs(trace: Trace) -> list[str]:
    return [path for path, entry in trace.dependencies.files.items() if entry is not None]


def _size(store: Store, blob: str) -> str:
    size = _bytes(store, blob)
    return "missing" if size is None else size_text(size)


def _bytes(store: Store, blob: str) -> int | None:
    try:
        return store.path_of(blob).stat().st_size
    except OSError:
        return None


def _is_blob(path: Path) -> bool:
    return path.parent.parent.name == "blobs"


def facts(store: ReadOnlyStore) -> dict[str, Any]:
    """Return the same as `tell`, for programs."""
    contents, used = store.contents(), store.used() or set()
    return {
        "store": str(store.root),
        "discarded": store.discarded,
        "bytes": sum(contents.needed.values()) + sum(contents.lost.values()),
        "unreferenced_bytes": sum(contents.lost.values()),
        "blobs": sum(_is_blob(path) for path in (*contents.needed, *contents.lost)),
        "notebooks": {
            traces[0].trace.key.notebook: [_facts_of(store, stored, used) for stored in traces]
            for traces in store.all_traces()
        },
    }


def _facts_of(store: Store, stored: Stored, used: set[Path]) -> dict[str, Any]:
    trace = stored.trace
    return {
        "at": trace.record.at,
        "seconds": trace.record.seconds,
        "peak_bytes": trace.record.peak_bytes,
        "mode": trace.mode,
        "mode_reason": trace.mode_reason,
        "not_reusable": trace.not_reusable,
        "network": trace.network,
        "used_by_last_build": stored.file in used,
        "files": len(_inputs(trace)) if trace.mode == "trace" else None,
        "outputs": {
            path: None if written.entry is None else written.size_bytes for path, written in trace.outputs.items()
        },
        "stage_bytes": _bytes(store, trace.stage) if trace.stage else None,
    }
