"""The layers of a build, one file each."""

from __future__ import annotations

from pathlib import Path

from nachlass_bp.cnb.layer import Layer

NAMES = ("tools", "kernel", "packages", "publish", "scorer", "stages", "notebooks", "pycache")


def discard_unfinished(layers_dir: Path) -> None:
    """Remove the layers that a failed build had begun and not sealed."""
    for name in NAMES:
        layer = Layer(layers_dir=layers_dir, name=name)
        if layer.path.exists() and layer.key is None:
            layer.discard()
