"""What every step of one build works with, once the layers that it needs are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp.context import BuildContext
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import packages
from nachlass_bp.layers.scorer import ScorerLayer
from nachlass_bp.output import Output


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """The build's surroundings, the user's interpreter, and our own layers."""

    context: BuildContext
    user: Interpreter
    kernel_site: Path
    service: ScorerLayer
    output: Output

    @property
    def fallback_paths(self) -> tuple[str, ...]:
        """Where a cloudpickle comes from when the requirements have none: last on the path, now and at launch."""
        return () if "cloudpickle" in self.user.distributions else (str(self.service.cloudpickle_dir),)

    @property
    def user_environment(self) -> Mapping[str, str]:
        """The environment of the user's interpreter: the build's, our virtual environment first if there is one."""
        return packages.user_environment(self.context.env, self.user)
