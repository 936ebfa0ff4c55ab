"""project.toml, the CNB project descriptor: which files are built, and with which variables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pathspec

from nachlass_cli.errors import ProjectFileError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """`patterns` are in .gitignore's syntax; they name what comes in if `keeps` is set, else what stays out."""

    env: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()
    keeps: bool = False

    def exclusion(self, relative: str) -> str | None:
        """Return the rule that keeps the path out of the build, or None."""
        if not self.patterns:
            return None
        matched = pathspec.GitIgnoreSpec.from_lines(self.patterns).check_file(relative)
        if self.keeps:
            return None if matched.include else "no pattern of 'include' in project.toml names it"
        if not matched.include or matched.index is None:
            return None
        return f"'{self.patterns[matched.index]}' of 'exclude' in project.toml names it"

    def select(self, files: Sequence[str]) -> list[str]:
        """Return the files that come into the build."""
        if not self.patterns:
            return list(files)
        spec = pathspec.GitIgnoreSpec.from_lines(self.patterns)
        return list(spec.match_files(files, negate=not self.keeps))


def read_project(repository: Path) -> Project:
    """Read project.toml of the repository, schema 0.2 or 0.1; without one, everything is allowed.

    Raises:
        ProjectFileError: It is not TOML, or a key that matters here has a wrong value.
    Source: https://github.com/buildpacks/spec/blob/main/extensions/project-descriptor.md
    """
    path = repository / "project.toml"
    if not path.is_file():
        return Project()
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # Not TOML, or not UTF-8.
        raise ProjectFileError(f"It can't be read as TOML: {error}.") from error
    # Schema 0.1 had the table at the top.
    new, old = _table(data, "io", "buildpacks"), _table(data, "build")
    table, name = (new, "io.buildpacks") if new or not old else (old, "build")
    include, exclude = _strings(table, "include", name), _strings(table, "exclude", name)
    if include and exclude:
        raise ProjectFileError(f"[{name}] has both 'include' and 'exclude', which contradict each other; keep one.")
    if name == "build":
        variables = table.get("env", [])
    else:
        # `env.build` is what schema 0.2 called it at first.
        variables = _table(table, "build").get("env", _table(table, "env").get("build", []))
    return Project(env=_variables(variables), patterns=include or exclude, keeps=bool(include))


def _table(data: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    value: Any = data
    for key in keys:
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, dict) else {}


def _strings(table: Mapping[str, Any], key: str, name: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ProjectFileError(f"'{key}' in [{name}] isn't a list of strings.")
    return tuple(value)


def _variables(value: object) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for item in value if isinstance(value, list) else [value]:
        name = item.get("name") if isinstance(item, dict) else None
        text = item.get("value") if isinstance(item, dict) else None
        if not isinstance(name, str) or not isinstance(text, str) or not name or "/" in name or "=" in name:
            raise ProjectFileError("Each [[io.buildpacks.build.env]] needs a 'name' and a 'value', both strings.")
        found.append((name, text))
    return tuple(found)
