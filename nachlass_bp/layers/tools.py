"""The `tools` and `kernel` layers: what a build itself needs, and no image. Standard library only until they are there.

`tools` is what `nachlass_bp` imports, `kernel` the locked ipykernel that runs beside the user's packages.
"""

from __future__ import annotations

from pathlib import Path

from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.layers.locked import Locked, lock_key

_SITE = "site"


def tools(context: BuildContext) -> Locked:
    """Describe the layer of the build's own imports."""
    return _cached(context, "tools", "build tools")


def kernel(context: BuildContext) -> Locked:
    """Describe the layer of the kernel's overlay."""
    return _cached(context, "kernel", "notebook kernel")


def site(locked: Locked) -> Path:
    """Return the directory of its packages."""
    return locked.layer.path / _SITE


def _cached(context: BuildContext, name: str, what: str) -> Locked:
    return Locked(
        layer=Layer(layers_dir=context.layers_dir, name=name, cache=True),
        key=lock_key(context, name),
        what=what,
        installs={name: _SITE},
        copies={},
    )
