"""nachlass's own version, from the one place where an installed buildpack has it."""

from __future__ import annotations

from pathlib import Path

import toml


def version(buildpack_dir: Path) -> str:
    """Return `buildpack.version` of buildpack.toml, which a test holds equal to pyproject.toml's."""
    data = toml.loads((buildpack_dir / "buildpack.toml").read_text(encoding="utf-8"))
    return str(data["buildpack"]["version"])
