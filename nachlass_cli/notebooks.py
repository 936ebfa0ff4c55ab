"""Which notebooks a copy of the repository has, and a slip that they may have in common; they are not parsed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_ALIKE = re.compile(r"\b(?:NACHLASS|S2I)_?\w*STAGE\w*", re.IGNORECASE)
_MEANT = frozenset({"NACHLASS_STAGE_FILE", "S2I_PIPELINE_STAGE_SAVE_FILE", "NACHLASS_STAGES"})


def find_notebooks(app: Path) -> list[str]:
    """Return the paths of all notebooks, relative to the copy; hidden directories have copies of an editor's own."""
    found: list[str] = []
    for root, directories, files in os.walk(app):
        directories[:] = [name for name in directories if not name.startswith(".")]
        found += [os.path.relpath(Path(root, name), app) for name in files if name.endswith(".ipynb")]
    return sorted(found)


def misspelt_stage_variable(app: Path, notebooks: Sequence[str]) -> tuple[str, str] | None:
    """Return a notebook, and what it names in place of the variable with the path for the stage; None if none does."""
    for name in notebooks:
        text = (app / name).read_text(encoding="utf-8", errors="replace")
        for word in _ALIKE.findall(text):
            if word not in _MEANT:
                return name, word
    return None
