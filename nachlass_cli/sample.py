"""Rows to ask the service about."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from nachlass_cli.workspace import Workspace

_LONGEST_EXAMPLE = 2000
"""In characters; a longer line is no pleasure to paste."""


def read_sample_rows(workspace: Workspace) -> list[Any]:
    """Return the rows that the build's proof scored; none when the build kept no sample."""
    return _read_json_list(_sample_file(workspace))


def example_command(workspace: Workspace, url: str, option: str = "") -> str | None:
    """Return a command line that asks the service for one prediction, or None when no example row is known.

    `option` is what else curl is told, with a space behind it.
    """
    rows = read_sample_rows(workspace)[:1] or _manifest_example(workspace)
    if not rows:
        return None
    argument = f"json_args={json.dumps(rows, ensure_ascii=False)}"
    if len(argument) > _LONGEST_EXAMPLE:
        argument = f"json_args@{_sample_file(workspace)}"
    return f"curl {option}--data-urlencode {shlex.quote(argument)} {url}/predict"


def _sample_file(workspace: Workspace) -> Path:
    return workspace.report / "sample.json"


def _read_json_list(path: Path) -> list[Any]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return rows if isinstance(rows, list) else []


def _manifest_example(workspace: Workspace) -> list[Any]:
    # Read as plain JSON: this room knows the layers only from outside.
    path = workspace.layers / "stages/manifest.json"
    if not path.is_file():
        return []
    model = json.loads(path.read_text(encoding="utf-8")).get("model") or {}
    return [model["example"]] if "example" in model else []
