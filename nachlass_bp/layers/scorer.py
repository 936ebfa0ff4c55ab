"""The `scorer` layer: the service, its server packages as an overlay, and a cloudpickle for those who have none."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.layers.locked import Locked, lock_key

_PACKAGE = "app/nachlass_scorer"
"""What `scorer` is called in the layer (`scorer/launcher.py` says why): its modules import each other relatively."""
_LAUNCHER = "launcher.py"
_OVERLAY = "overlay"
_CLOUDPICKLE = "extra"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorerLayer:
    """Where the parts of the layer are; `key` identifies its contents."""

    launcher: Path
    overlay_site: Path
    cloudpickle_dir: Path
    overlay_module: Path
    key: str


def scorer(context: BuildContext) -> Locked:
    """Describe the layer. It is cached although it is for launch: the notebooks and the proof use it in the build."""
    package = context.buildpack_dir / "scorer"
    cloudpickle = (context.buildpack_dir / "locks" / "cloudpickle.txt").read_text(encoding="utf-8")
    return Locked(
        layer=Layer(layers_dir=context.layers_dir, name="scorer", launch=True, cache=True),
        key=lock_key(context, "scorer", cloudpickle, _digest(package)),
        what="scoring service",
        installs={"scorer": _OVERLAY, "cloudpickle": _CLOUDPICKLE},
        copies={package: _PACKAGE, package / "launcher.py": _LAUNCHER},
    )


def parts(locked: Locked) -> ScorerLayer:
    """Return where things are in the layer."""
    root = locked.layer.path
    return ScorerLayer(
        launcher=root / _LAUNCHER,
        overlay_site=root / _OVERLAY,
        cloudpickle_dir=root / _CLOUDPICKLE,
        overlay_module=root / _PACKAGE / "overlay.py",
        key=locked.key,
    )


def _digest(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(str(path.relative_to(package)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
