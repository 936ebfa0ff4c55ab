"""The `tools` layer: what `nachlass_bp` itself imports. Standard library only until it is there."""

from __future__ import annotations

import sys
from pathlib import Path

from nachlass_bp import pip
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.layers import locked
from nachlass_bp.output import Output


def ensure(context: BuildContext, output: Output) -> None:
    """Restore or fill the layer, and make it importable in this process.

    Raises:
        InstallFailedError, PipMissingError: It can't be filled.
    """
    output.heading("nachlass")
    key = locked.lock_key(context, "tools")
    layer = Layer(layers_dir=context.layers_dir, name="tools", cache=True)

    def make() -> None:
        target = layer.empty() / "site"
        python = Path(sys.executable)
        with pip.find(python, context.env, context.buildpack_dir / "wheels") as installer:
            locked.install(installer, context, "tools", target, "its build tools")
        locked.compile_bytecode(python, target, env=context.env)

    locked.ensure(layer, key, "build tools", make, output)
    sys.path.append(str(layer.path / "site"))
