"""The `kernel` layer: the locked ipykernel that runs beside the user's packages, in the build only."""

from __future__ import annotations

import sys
from pathlib import Path

from nachlass_bp import pip
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.layers import locked
from nachlass_bp.output import Output


def ensure(context: BuildContext, output: Output) -> Path:
    """Restore or fill the layer; return the overlay's directory.

    Raises:
        InstallFailedError, PipMissingError: It can't be filled.
    """
    key = locked.lock_key(context, "kernel")
    layer = Layer(layers_dir=context.layers_dir, name="kernel", cache=True)

    def make() -> None:
        target = layer.empty() / "site"
        python = Path(sys.executable)
        with pip.find(python, context.env, context.buildpack_dir / "wheels") as installer:
            locked.install(installer, context, "kernel", target, "the kernel that runs your notebooks")
        locked.compile_bytecode(python, target, env=context.env)

    locked.ensure(layer, key, "notebook kernel", make, output)
    return layer.path / "site"
