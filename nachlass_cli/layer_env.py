"""Environment files of layers, applied as the lifecycle's launcher does.

Source: https://github.com/buildpacks/spec/blob/main/buildpack.md ("Environment Variable Modification Rules").
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_ROOTS = {"bin": "PATH", "lib": "LD_LIBRARY_PATH"}


def launch_environment(base: Mapping[str, str], layers: Iterable[Path], process_type: str) -> dict[str, str]:
    """Return `base` with what the launch layers, given in the order of their names, add to it."""
    env = dict(base)
    directories = list(layers)
    for layer in directories:
        for name, variable in _ROOTS.items():
            if (layer / name).is_dir():
                env[variable] = os.pathsep.join(part for part in (str(layer / name), env.get(variable, "")) if part)
    for layer in directories:
        for relative in ("env", "env.launch", f"env.launch/{process_type}"):
            _apply_directory(env, layer / relative)
    return env


def _apply_directory(env: dict[str, str], directory: Path) -> None:
    if not directory.is_dir():
        return
    for file in sorted(directory.iterdir()):
        if file.is_file():
            _apply_file(env, file)


def _apply_file(env: dict[str, str], file: Path) -> None:
    name, _, action = file.name.partition(".")
    value = file.read_text(encoding="utf-8", errors="surrogateescape")
    before = env.get(name, "")
    match action:
        case "" | "override":
            env[name] = value
        case "default":
            env[name] = before or value
        case "prepend":
            env[name] = value + _delimiter(file, name) + before if before else value
        case "append":
            env[name] = before + _delimiter(file, name) + value if before else value
        case _:
            pass  # `.delim` belongs to its neighbour; the specification has others ignored.


def _delimiter(file: Path, name: str) -> str:
    path = file.with_name(f"{name}.delim")
    return path.read_text(encoding="utf-8") if path.is_file() else ""
