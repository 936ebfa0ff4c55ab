"""The `tools` and `kernel` layers: what a build itself needs, and no image. Standard library only until they are there.

`tools` is what `nachlass_bp` imports, `kernel` the locked ipykernel that runs beside the user's packages.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import ToolsMissingError
from nachlass_bp.layers.locked import Locked, lock_key

NAME = "tools"
_SITE = "site"


def tools(context: BuildContext) -> Locked:
    """Describe the layer of the build's own imports."""
    return _cached(context, NAME, "build tools")


def kernel(context: BuildContext) -> Locked:
    """Describe the layer of the kernel's overlay."""
    return _cached(context, "kernel", "notebook kernel")


def site(locked: Locked) -> Path:
    """Return the directory of its packages."""
    return locked.layer.path / _SITE


def use(context: BuildContext) -> None:
    """Make the tools that the last build left importable in this process, and change nothing.

    Raises:
        ToolsMissingError: There are none, or they are another Python's.
    """
    mine = tools(context)
    # Another lock's will do to read notebooks; modules that are compiled for another Python won't.
    if mine.key.rpartition("-")[0] != (mine.layer.key or "").rpartition("-")[0]:
        raise ToolsMissingError(layer=str(mine.layer.path), python=sys.executable)
    sys.path.append(str(site(mine)))


def _cached(context: BuildContext, name: str, what: str) -> Locked:
    return Locked(
        layer=Layer(layers_dir=context.layers_dir, name=name, cache=True),
        key=lock_key(context, name),
        what=what,
        installs={name: _SITE},
        copies={},
    )
