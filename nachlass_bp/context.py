"""What the lifecycle tells a build: read once from the environment, then passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp.errors import NotALifecycleError

REPOSITORY = "NACHLASS_REPOSITORY"


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildContext:
    """Directories and variables of one build (Buildpack API 0.10, "Build" phase).

    `layers_root` is the parent of `layers_dir`: the other buildpacks' layers lie beside ours. `report_dir` is where a
    platform that wants to show more than the log has things left (docs/architecture.md, "Local platform"). `repository`
    is the directory whose copy `app_dir` is, as the person of a local build may name it, None elsewhere.
    """

    app_dir: Path
    buildpack_dir: Path
    layers_dir: Path
    platform_dir: Path
    target: str
    report_dir: Path | None
    env: Mapping[str, str]
    repository: str | None = None

    @property
    def layers_root(self) -> Path:
        """The directory that holds every buildpack's layers."""
        return self.layers_dir.parent

    @property
    def bindings_dir(self) -> Path:
        """Where service bindings are; the lifecycle drops SERVICE_BINDING_ROOT, hence the fallback."""
        root = self.env.get("SERVICE_BINDING_ROOT")
        return Path(root) if root else self.platform_dir / "bindings"


def from_environ(environ: Mapping[str, str], arguments: Sequence[str], app_dir: Path) -> BuildContext:
    """Return the context of this build.

    Variables win over the positional `<layers> <platform> <plan>`, which Buildpack API 0.8 deprecated.

    Raises:
        NotALifecycleError: A directory is neither in a variable nor among the arguments.
    """
    layers = environ.get("CNB_LAYERS_DIR") or (arguments[0] if arguments else "")
    platform = environ.get("CNB_PLATFORM_DIR") or (arguments[1] if len(arguments) > 1 else "")
    if not layers or not platform:
        raise NotALifecycleError(variable="CNB_LAYERS_DIR" if not layers else "CNB_PLATFORM_DIR")
    report = environ.get("NACHLASS_REPORT_DIR")
    target = [environ.get(f"CNB_TARGET_{name}", "") for name in ("OS", "ARCH", "DISTRO_NAME", "DISTRO_VERSION")]
    return BuildContext(
        app_dir=app_dir,
        buildpack_dir=Path(environ.get("CNB_BUILDPACK_DIR") or Path(__file__).resolve().parent.parent),
        layers_dir=Path(os.path.abspath(layers)),  # noqa: PTH100 - resolve() would follow links that env files must not
        platform_dir=Path(os.path.abspath(platform)),  # noqa: PTH100 - as above
        target="/".join(part or "any" for part in target),
        report_dir=Path(report) if report else None,
        # Where the log goes and for whom must make no difference to a notebook; its kernel sets TERM itself.
        env={name: value for name, value in environ.items() if name not in {"TERM", REPOSITORY}},
        repository=environ.get(REPOSITORY) or None,
    )
