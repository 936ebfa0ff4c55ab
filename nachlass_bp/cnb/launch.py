"""`launch.toml` and a layer's environment files (buildpack specification, API 0.10)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toml


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A process type of the image; `command` cannot be overridden by the person who starts it, `args` can."""

    type: str
    command: Sequence[str]
    args: Sequence[str] = ()
    default: bool = False
    working_dir: str | None = None


def write(layers_dir: Path, processes: Sequence[Process], labels: Mapping[str, str]) -> None:
    """Write `launch.toml`: the lifecycle forgets processes and labels between builds, so they are written each time."""
    data: dict[str, Any] = {
        "processes": [_process(process) for process in processes],
        "labels": [{"key": key, "value": value} for key, value in labels.items()],
    }
    (layers_dir / "launch.toml").write_text(toml.dumps(data, _Encoder()), encoding="utf-8")


class _Encoder(toml.TomlEncoder):  # type: ignore[type-arg]  # the library's types want a parameter that it hasn't
    """Writes strings as TOML 1.0 has them: toml 0.10.2 leaves some backslashes alone, and fails at NUL."""

    def __init__(self) -> None:
        super().__init__()
        self.dump_funcs[str] = _string


def _string(value: str) -> str:
    # A JSON string is a basic string of TOML but for DEL; what isn't UTF-8 in a file's name can't be in the file.
    text = value.encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _process(process: Process) -> dict[str, Any]:
    data: dict[str, Any] = {
        "type": process.type,
        "command": list(process.command),
        "args": list(process.args),
        "default": process.default,
    }
    if process.working_dir is not None:
        data["working-dir"] = process.working_dir
    return data


def write_env(layer: Path, variables: Mapping[str, str], suffix: str = "override") -> None:
    """Write `env.launch/<name>.<suffix>` files; without a newline, which would become part of the value."""
    directory = layer / "env.launch"
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    for name, value in variables.items():
        file = directory / f"{name}.{suffix}"
        file.write_text(value, encoding="utf-8")
        file.chmod(0o644)
