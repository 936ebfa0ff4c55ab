"""Where what earlier runs of notebooks left is kept: the cached layer `stage-store`, or a directory of the platform's.

The layer comes and goes with successful builds. A directory in a binding of type `nachlass-cache` keeps what finished
also when a later notebook fails, and may be shared by the builds of one application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nachlass_bp import bindings
from nachlass_bp.bindings import CacheDirectory
from nachlass_bp.cache import trace
from nachlass_bp.cache.lock import StoreLock
from nachlass_bp.cache.store import FORMAT, Store
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.output import Output

if TYPE_CHECKING:  # The cache is asked about before the tools are there, and settings are read with them.
    from nachlass_bp.config import Configuration

NAME = "stage-store"
_SHARED = f"nachlass-{FORMAT}.{trace.FORMAT}"
"""Builds of different releases may share a directory; each has its own store in it then."""


def layer(context: BuildContext) -> Layer:
    """Return the layer."""
    return Layer(layers_dir=context.layers_dir, name=NAME, cache=True)


def is_there(context: BuildContext) -> bool:
    """Whether there is a store that an earlier build may have left something in."""
    shared = bindings.cache_directories(context.bindings_dir)[:1]
    return layer(context).path.is_dir() or any(directory.problem is None for directory in shared)


def open_store(context: BuildContext, configuration: Configuration, output: Output) -> Store | None:
    """Return the store, None when the configuration wants none.

    The layer is declared at once and not sealed: whenever the build ends, the store is whole, and what it holds by
    then is worth keeping.
    """
    mine = layer(context)
    if configuration.cache.value == "off":
        if mine.path.is_dir():
            mine.declare({"format": FORMAT})  # For the builds that want it again.
        return None
    store = _shared(bindings.cache_directories(context.bindings_dir), output)
    if store is None:
        store = Store(mine.path)
        mine.declare({"format": FORMAT})
    else:
        mine.discard()  # What nobody uses would be carried from build to build.
    if store.discarded is not None:
        output.step(f"Discarding the stage cache: {store.discarded}")
    return store


def _shared(directories: list[CacheDirectory], output: Output) -> Store | None:
    """Open the platform's own store. A cache that can't be had costs time, and no build."""
    if not directories:
        return None
    first, *others = directories
    if others:
        output.warning(f"Of several service bindings of type {bindings.CACHE_TYPE}, {first.binding} is used.")
    problem = first.problem
    if problem is None:
        try:
            store = Store(first.path / _SHARED, StoreLock(first.path / f"{_SHARED}.lock"))
        except OSError as error:
            problem = f"{error.filename or first.path}: {error.strerror}"
        else:
            output.step(f"Stage cache: the directory of the service binding {first.binding}")
            return store
    output.warning(
        f"The stage cache of the service binding {first.binding} can't be used ({problem}).\n"
        "This build uses the layer stage-store instead. docs/cache.md says what such a binding holds."
    )
    return None
