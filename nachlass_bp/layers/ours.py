"""What a build needs of ours before it can do anything: installed together, because together it takes half as long."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp.context import BuildContext
from nachlass_bp.layers import locked, scorer, tools
from nachlass_bp.layers.scorer import ScorerLayer
from nachlass_bp.output import Output


@dataclass(frozen=True, kw_only=True, slots=True)
class Ours:
    """Where the kernel's packages are, and the parts of the service."""

    kernel_site: Path
    service: ScorerLayer


def ensure(context: BuildContext, output: Output) -> Ours:
    """Restore or fill our layers, and make the build tools importable in this process.

    Raises:
        InstallFailedError, PipMissingError: They can't be filled.
    """
    output.heading("nachlass")
    build_tools, kernel, service = tools.tools(context), tools.kernel(context), scorer.scorer(context)
    locked.ensure([build_tools, kernel, service], context, output)
    sys.path.append(str(tools.site(build_tools)))
    return Ours(kernel_site=tools.site(kernel), service=scorer.parts(service))
