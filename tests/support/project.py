"""What pyproject.toml says of the project: the one place from which everything else has it."""

from __future__ import annotations

import sys

from tests.support.pythons import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VERSION = str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
