"""`build.json`: the facts of the last successful build that serving needs, and the options that led to it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildRecord:
    """Values of --env are not in it: they may be private."""

    schema_version: int = SCHEMA_VERSION
    nachlass_version: str
    finished_at: str
    """ISO 8601, UTC."""
    repository: str
    python: str
    python_version: str
    python_directory: str
    home: str
    notebooks: str | None
    include: list[str]
    env_names: list[str]

    def write(self, path: Path) -> None:
        """Replace the record in one step."""
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")
        new.replace(path)


def read_record(path: Path) -> BuildRecord | None:
    """Return the record, or None when there is none that this version can use."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema_version"] != SCHEMA_VERSION:
            return None
        return BuildRecord(**data)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
