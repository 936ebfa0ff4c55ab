"""The executed notebook of a run that is reused, with what is no code as its author has it now."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import nbformat

from nachlass_bp.runner.tags import is_left_out

_v4: Any = nbformat.v4  # Half typed.


def renewed(executed: Path, present: Any) -> str:
    """Return the present notebook with the outputs of the run.

    Texts, titles and tags are no part of a notebook's key: the run is as good as before, but what the author has taken
    out of the notebook since must not go on being shown.

    Args:
        executed: What the run left, of nbformat 4.
        present: The notebook as it would run now, of nbformat 4, with the same code cells.

    Raises:
        OSError: What the run left can't be read.
        ValueError: It is no such notebook.
    """
    # By its own format, and not by nbformat.reads: this is done in each build, and that would check it again.
    try:
        ran = json.loads(executed.read_text(encoding="utf-8"))
        return _with_outputs(copy.deepcopy(present), nbformat.from_dict(ran))  # type: ignore[no-untyped-call]
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is no notebook: {error}") from error


def _with_outputs(content: Any, ran: Any) -> str:
    cells = [cell for cell in content.cells if cell.cell_type == "code"]
    old_cells = [cell for cell in ran.cells if cell.cell_type == "code"]
    for cell, old in zip(cells, old_cells, strict=True):
        if not is_left_out(cell):
            cell.outputs, cell.execution_count = old.outputs, old.execution_count
            if "execution" in old.metadata:
                cell.metadata["execution"] = old.metadata["execution"]
    content.metadata = nbformat.from_dict({**ran.metadata, **content.metadata})  # type: ignore[no-untyped-call]
    return str(_v4.writes(content))
