"""The `publish` layer: what turns notebooks into pages. Cached, in no image, made only when asked for."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nachlass_bp import process
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import PublishFailedError
from nachlass_bp.layers import locked
from nachlass_bp.layers.locked import Locked
from nachlass_bp.output import Output

NAME = "publish"
_SITE = "site"
_LIMIT_S = 600.0
"""Markdown that is meant to be slow must not hold up a build for ever; a hundred honest notebooks take a minute."""
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL")


@dataclass(frozen=True, kw_only=True, slots=True)
class Renderer:
    """The program that makes the pages; `key` stands for all of it that decides how they look."""

    context: BuildContext
    site: Path
    key: str

    def render(self, job: dict[str, Any], directory: Path, scratch: Path) -> None:
        """Write the pages of `job` into `directory`.

        It is a process of its own: its packages are not the build's, and what a notebook does to it, it does to it.

        Raises:
            PublishFailedError: It did not get to its end.
        """
        file = scratch / "publish.json"
        file.write_text(json.dumps(job), encoding="utf-8")
        program = self.context.buildpack_dir / "nachlass_bp" / "publishing"
        env = {name: self.context.env[name] for name in _PASSED_ON if name in self.context.env}
        command: list[str | Path] = [sys.executable, "-I", "-B", program, self.site, file, directory]
        try:
            finished = process.run(command, env=env, cwd=scratch, limit_s=_LIMIT_S)
        except process.TimeLimitError as error:
            raise PublishFailedError(output=f"It took longer than {_LIMIT_S:.0f} seconds.") from error
        if not finished.ok:
            raise PublishFailedError(output=finished.output or f"It ended with status {finished.exit_code}.")


def layer(context: BuildContext) -> Layer:
    """Return the layer."""
    return Layer(layers_dir=context.layers_dir, name=NAME, cache=True)


def ensure(context: BuildContext, output: Output) -> Renderer:
    """Restore or fill the layer.

    Raises:
        InstallFailedError, PipMissingError: It can't be filled.
    """
    wanted = Locked(
        layer=layer(context),
        key=locked.lock_key(context, NAME),
        what="page renderer",
        installs={NAME: _SITE},
        copies={},
    )
    locked.ensure([wanted], context, output)
    return Renderer(context=context, site=wanted.targets[NAME], key=f"{wanted.key}-{_digest(context.buildpack_dir)}")


def _digest(buildpack_dir: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted((buildpack_dir / "nachlass_bp" / "publishing").glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
