"""The environment that a lifecycle composes for buildpacks and for launched processes.

Source: buildpacks/lifecycle v0.21.17, env/env.go, env/build.go, env/launch.go; the buildpack specification,
"Environment Variable Modification Rules".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

IMAGE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of build and run images."""

BUILD_DIRECTORIES: Mapping[str, tuple[str, ...]] = {
    "bin": ("PATH",),
    "lib": ("LD_LIBRARY_PATH", "LIBRARY_PATH"),
    "include": ("CPATH",),
    "pkgconfig": ("PKG_CONFIG_PATH",),
}
LAUNCH_DIRECTORIES: Mapping[str, tuple[str, ...]] = {"bin": ("PATH",), "lib": ("LD_LIBRARY_PATH",)}


def add_layer_directories(env: dict[str, str], layer: Path, directories: Mapping[str, tuple[str, ...]]) -> None:
    """Put a layer's `bin`, `lib` … in front of the variables that stand for them."""
    for name, variables in directories.items():
        if (layer / name).exists():
            for variable in variables:
                env[variable] = _join(str(layer / name), os.pathsep, env.get(variable, ""))


def add_env_files(env: dict[str, str], directory: Path) -> None:
    """Apply one of a layer's `env` directories: NAME[.override|.append|.prepend|.default], NAME.delim."""
    for file, value in _env_files(directory):
        name, _, action = file.partition(".")
        delimiter_file = directory / f"{name}.delim"
        delimiter = delimiter_file.read_text() if delimiter_file.exists() else ""
        match action:
            case "" | "override":
                env[name] = value
            case "prepend":
                env[name] = _join(value, delimiter, env.get(name, ""))
            case "append":
                env[name] = value if not env.get(name) else env[name] + delimiter + value
            case "default":
                env[name] = env.get(name) or value
            case _:  # `delim`, and suffixes that the lifecycle ignores as well.
                pass


def add_platform_env(env: dict[str, str], platform: Path) -> None:
    """Apply what the platform's user set: in front of the path-like variables, in place of all others."""
    path_like = {variable for variables in BUILD_DIRECTORIES.values() for variable in variables}
    for name, value in _env_files(platform / "env"):
        env[name] = _join(value, os.pathsep, env.get(name, "")) if name in path_like else value


def _join(first: str, delimiter: str, rest: str) -> str:
    return first + delimiter + rest if rest else first


def _env_files(directory: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(directory.glob("*")):
        if path.is_file():
            yield path.name, path.read_text()
