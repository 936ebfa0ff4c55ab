"""The wheels that a buildpackage may bring along, so that a build asks no index for what is ours.

`make buildpack WHEELS=1` packs them in.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

from nachlass_bp.errors import PackedWheelsError


def pip_options(wheels_dir: Path) -> tuple[str | Path, ...]:
    """Return what makes pip install from `wheels_dir` alone; nothing, when this buildpack brings no wheels.

    Raises:
        PackedWheelsError: They are another machine's, another C library's or another Python's.
    """
    try:
        fit = json.loads((wheels_dir / "packed.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    libc = platform.libc_ver()[0] or "another C library"
    if (platform.machine(), libc) != (fit["machine"], fit["libc"]) or python not in fit["pythons"]:
        raise PackedWheelsError(
            packed=f"{fit['machine']} with {fit['libc']}, Python {', '.join(fit['pythons'])}",
            here=f"{platform.machine()} with {libc}, Python {python}",
        )
    return ("--no-index", "--find-links", wheels_dir)
