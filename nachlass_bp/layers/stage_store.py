"""The `stage-store` layer: what earlier runs of notebooks left. Cached, and in no image."""

from __future__ import annotations

from nachlass_bp.cache.store import FORMAT, Store
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.output import Output

NAME = "stage-store"


def layer(context: BuildContext) -> Layer:
    """Return the layer."""
    return Layer(layers_dir=context.layers_dir, name=NAME, cache=True)


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
    store = Store(mine.path)
    mine.declare({"format": FORMAT})
    if store.discarded is not None:
        output.step(f"Discarding the stage cache: {store.discarded}")
    return store
