"""The `tools` layer: what `nachlass_bp` itself imports. Standard library only until it is there."""

from __future__ import annotations

import sys
from pathlib import Path

from nachlass_bp import pip
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import ToolsMissingError
from nachlass_bp.layers import locked
from nachlass_bp.output import Output


def _layer(context: BuildContext) -> Layer:
    return Layer(layers_dir=context.layers_dir, name="tools", cache=True)


def use(context: BuildContext) -> None:
    """Make the layer that the last build left importable in this process, and change nothing.

    Raises:
        ToolsMissingError: There is none, or it is another Python's.
    """
    layer = _layer(context)
    # Another lock's will do to read notebooks; modules that are compiled for another Python won't.
    mine, theirs = locked.lock_key(context, "tools"), layer.key or ""
    if mine.rpartition("-")[0] != theirs.rpartition("-")[0]:
        raise ToolsMissingError(layer=str(layer.path), python=sys.executable)
    sys.path.append(str(layer.path / "site"))


def ensure(context: BuildContext, output: Output) -> None:
    """Restore or fill the layer, and make it importable in this process.

    Raises:
        InstallFailedError, PipMissingError: It can't be filled.
    """
    output.heading("nachlass")
    key = locked.lock_key(context, "tools")
    layer = _layer(context)

    def make() -> None:
        target = layer.empty() / "site"
        python = Path(sys.executable)
        with pip.find(python, context.env, context.buildpack_dir / "wheels") as installer:
            locked.install(installer, context, "tools", target, "its build tools")
        locked.compile_bytecode(python, target, env=context.env)

    locked.ensure(layer, key, "build tools", make, output)
    sys.path.append(str(layer.path / "site"))
