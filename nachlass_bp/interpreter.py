"""The user's Python: which one it is, and what is installed for it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nachlass_bp import process
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import PythonFailedError, PythonOutsideLayersError

_PROBE = Path(__file__).parent / "inside" / "probe.py"
NOT_REQUIREMENTS = frozenset({"pip", "setuptools", "wheel"})
"""Distributions that a provider installs for itself; their presence says nothing about requirements."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """An installed distribution: its version and the directory on the path that holds it.

    `origin` is empty for one from an index, else a digest of what was installed: its version may say nothing then.
    """

    version: str
    directory: Path
    origin: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """One Python and its environment, as it describes itself; `path` is where it imports from."""

    executable: Path
    version: str
    implementation: str
    abi: str
    machine: str
    prefix: Path
    base_prefix: Path
    has_venv: bool
    path: tuple[Path, ...]
    distributions: Mapping[str, Distribution]

    @property
    def minor(self) -> str:
        """`3.11` of `3.11.7`."""
        return ".".join(self.version.split(".")[:2])

    @property
    def platform_key(self) -> str:
        """What binary packages depend on: two interpreters with the same key can share them."""
        return f"{self.implementation}-{self.version}-{self.abi}-{self.machine}"

    def versions(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return the installed versions of those `names` that are installed."""
        return {name: self.distributions[name].version for name in names if name in self.distributions}


def normalise(name: str) -> str:
    """Return the normalised form of a distribution's name (packaging specifications, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def probe(executable: Path, env: Mapping[str, str]) -> Interpreter:
    """Ask the interpreter about itself and its environment.

    Raises:
        PythonFailedError: It doesn't run.
    """
    finished = process.run([executable, "-B", _PROBE], env=env, cwd=Path("/"))
    facts = _last_json_line(finished.output) if finished.ok else None
    if facts is None:
        settings = {name: env[name] for name in ("PYTHONHOME", "PYTHONPATH") if env.get(name)}
        raise PythonFailedError(executable=str(executable), output=finished.output, settings=settings)
    return Interpreter(
        executable=executable,
        version=facts["version"],
        implementation=facts["implementation"],
        abi=facts["abi"] or "",
        machine=facts["machine"],
        prefix=Path(facts["prefix"]),
        base_prefix=Path(facts["base_prefix"]),
        has_venv=facts["has_venv"],
        path=tuple(Path(entry) for entry in facts["path"] if entry),
        distributions={
            normalise(name): Distribution(
                version=found["version"], directory=Path(found["directory"]), origin=found["origin"]
            )
            for name, found in facts["distributions"].items()
        },
    )


def _last_json_line(output: str) -> dict[str, Any] | None:
    for line in reversed(output.splitlines()):  # A .pth file of the environment may print before us.
        try:
            facts = json.loads(line)
        except ValueError:
            continue
        if isinstance(facts, dict):
            return facts
    return None


def provided(context: BuildContext) -> Interpreter:
    """Return the interpreter that runs this build, which is the one that earlier buildpacks put on PATH.

    Raises:
        PythonOutsideLayersError: It belongs to the build image, and nobody said that the run image has the same.
    """
    interpreter = probe(Path(sys.executable), context.env)
    is_ours_to_ship = interpreter.base_prefix.is_relative_to(context.layers_root)
    if not is_ours_to_ship and context.env.get("NACHLASS_SYSTEM_PYTHON", "").lower() not in {"true", "1", "yes", "on"}:
        raise PythonOutsideLayersError(executable=str(interpreter.executable), version=interpreter.version)
    return interpreter


def requirements_directory(interpreter: Interpreter, context: BuildContext) -> Path | None:
    """Return the directory in another buildpack's layer that holds the requirements, None when nobody provides them."""
    for name, found in interpreter.distributions.items():
        directory = found.directory
        is_foreign_layer = directory.is_relative_to(context.layers_root) and not directory.is_relative_to(
            context.layers_dir
        )
        if name not in NOT_REQUIREMENTS and is_foreign_layer:
            return directory
    return None
