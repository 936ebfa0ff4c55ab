"""The `scorer` layer: the service, its server packages as an overlay, and a cloudpickle for those who have none."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import pip
from nachlass_bp.cnb.layer import Layer, make_world_readable
from nachlass_bp.context import BuildContext
from nachlass_bp.layers import locked
from nachlass_bp.output import Output

PACKAGE = "nachlass_scorer"
"""What `scorer` is called in the layer (`scorer/launcher.py` says why): its modules import each other relatively."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerLayer:
    """Where the parts of the layer are; `key` identifies its contents."""

    launcher: Path
    overlay_site: Path
    cloudpickle_dir: Path
    overlay_module: Path
    key: str


def ensure(context: BuildContext, output: Output) -> ScorerLayer:
    """Restore or make the layer.

    It is cached although it is a launch layer: the notebooks and the proof use it during the build.

    Raises:
        InstallFailedError, PipMissingError: It can't be made.
    """
    package = context.buildpack_dir / "scorer"
    key = locked.lock_key(
        context, "scorer", (context.buildpack_dir / "locks" / "cloudpickle.txt").read_text(), _digest(package)
    )
    layer = Layer(layers_dir=context.layers_dir, name="scorer", launch=True, cache=True)
    locked.ensure(layer, key, "scoring service", lambda: _make(context, layer, package), output)
    return ScorerLayer(
        launcher=layer.path / "launcher.py",
        overlay_site=layer.path / "overlay",
        cloudpickle_dir=layer.path / "extra",
        overlay_module=layer.path / "app" / PACKAGE / "overlay.py",
        key=key,
    )


def _make(context: BuildContext, layer: Layer, package: Path) -> None:
    root = layer.empty()
    python = Path(sys.executable)
    with pip.find(python, context.env, context.buildpack_dir / "wheels") as installer:
        locked.install(installer, context, "scorer", root / "overlay", "the scoring service")
        locked.install(installer, context, "cloudpickle", root / "extra", "cloudpickle")
    shutil.copytree(package, root / "app" / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(package / "launcher.py", root / "launcher.py")
    locked.compile_bytecode(python, root, env=context.env)
    make_world_readable(root)


def _digest(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
