"""Which variables count when a notebook looks at all of them, or hands them to a program."""

from __future__ import annotations

from collections.abc import Iterable

_CHANGING = frozenset({"HOSTNAME", "PWD", "OLDPWD", "SHLVL", "_", "TERM", "COLUMNS", "LINES"})
"""Different in two builds for no reason of anybody's. Who reads one of them by name depends on it all the same."""
_SETTINGS = ("NACHLASS_", "PIP_")
"""How the build works, and no notebook's business unless it asks."""


def ambient(names: Iterable[str]) -> list[str]:
    """Return the names that count, sorted."""
    return sorted(name for name in names if name not in _CHANGING and not name.startswith(_SETTINGS))
