"""Which commit the application directory is of, as far as anybody tells. Without git: build images need not have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import toml

from nachlass_bp.commit import ID, Commit
from nachlass_bp.context import BuildContext

_PROJECT_METADATA = "project-metadata.toml"
"""Beside the buildpacks' layers: where pack and kpack write what they know of the source (platform specification)."""


def find(told: Commit | None, context: BuildContext) -> Commit | None:
    """Return the commit: what the setting says, else what the platform says, else what `.git` says, else None."""
    if told is not None:
        return told
    for candidate in _candidates(context):
        if ID.match(candidate):
            return Commit(id=candidate, dirty=None)
    return None


def _candidates(context: BuildContext) -> Iterator[str]:
    yield _of_platform(context.layers_root / _PROJECT_METADATA)
    yield context.env.get("SOURCE_VERSION", "")  # Heroku's builds.
    yield _of_git(context.app_dir / ".git")


def _of_platform(file: Path) -> str:
    try:
        source = _table(toml.loads(file.read_text(encoding="utf-8")), "source")
    except (OSError, ValueError, IndexError):  # toml 0.10.2 raises the last one for some damages
        return ""
    return str(_table(source, "version").get("commit", "")) if source.get("type") == "git" else ""


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _of_git(git: Path) -> str:
    """Return what HEAD is; source: gitrepository-layout(5)."""
    if git.is_file():  # A submodule or a further work tree: its repository is elsewhere.
        git = git.parent / _read(git).removeprefix("gitdir:").strip()
    head = _read(git / "HEAD")
    if not head.startswith("ref:"):
        return head
    name = head.removeprefix("ref:").strip()
    shared = git / (_read(git / "commondir") or ".")
    for directory in (git, shared):
        if commit_id := _read(directory / name):
            return commit_id
    packed = (line.split() for line in _read(shared / "packed-refs").splitlines())
    return next((words[0] for words in packed if words[1:] == [name]), "")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
