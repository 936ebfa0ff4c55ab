"""Service bindings of type `nachlass`, secrets for the notebooks and for nobody else, and of type `nachlass-cache`.

Source: Service Binding Specification for Kubernetes, "Workload Projection":
`$SERVICE_BINDING_ROOT/<name>/{type,<key>}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp.errors import BindingInvalidError

TYPE = "nachlass"
CACHE_TYPE = "nachlass-cache"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = re.compile(r"(PYTHON|LD_|CNB_|NACHLASS_STAGE_FILE\Z|S2I_PIPELINE_STAGE_SAVE_FILE\Z|PATH\Z|HOME\Z)")
_NOT_KEYS = {"type", "provider"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheDirectory:
    """A directory in which the platform lets builds keep what they have made; `problem` says why it can't be one."""

    binding: str
    path: Path
    problem: str | None


def read(bindings_dir: Path) -> dict[str, str]:
    """Return the keys of all bindings of type `nachlass` (compared without case), as environment variables.

    Raises:
        BindingInvalidError: A key is not a variable's name, is reserved, or is not text.
    """
    found: dict[str, str] = {}
    for binding in _of_type(bindings_dir, TYPE):
        for key in sorted(binding.iterdir()):
            if key.name.startswith(".") or key.name in _NOT_KEYS or not key.is_file():
                continue
            found[key.name] = _value(binding.name, key)
    return found


def cache_directories(bindings_dir: Path) -> list[CacheDirectory]:
    """Return the directories of all bindings of type `nachlass-cache`: what `path` names, else the binding itself."""
    return [_cache_directory(binding) for binding in _of_type(bindings_dir, CACHE_TYPE)]


def _cache_directory(binding: Path) -> CacheDirectory:
    path, problem = binding, None
    if (binding / "path").is_file():
        path = Path((binding / "path").read_text(encoding="utf-8", errors="replace").strip())
        problem = None if path.is_absolute() else f"its key 'path' has to be an absolute path and is '{path}'"
    if problem is None and not path.is_dir():
        problem = f"{path} isn't a directory"
    return CacheDirectory(binding=binding.name, path=path, problem=problem)


def _of_type(bindings_dir: Path, kind: str) -> Iterator[Path]:
    if not bindings_dir.is_dir():
        return
    for binding in sorted(bindings_dir.iterdir()):
        file = binding / "type"
        # Secret volumes of Kubernetes hold `..data` links beside the keys.
        if not binding.name.startswith(".") and file.is_file() and file.read_text().strip().lower() == kind:
            yield binding


def _value(binding: str, key: Path) -> str:
    if not _NAME.match(key.name):
        raise BindingInvalidError(binding=binding, problem=f"Its key '{key.name}' can't be the name of a variable.")
    if _RESERVED.match(key.name):
        raise BindingInvalidError(
            binding=binding, problem=f"Its key '{key.name}' would change how the notebooks are run."
        )
    try:
        value = key.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BindingInvalidError(binding=binding, problem=f"Its key '{key.name}' can't be read as text.") from error
    if "\0" in value:
        raise BindingInvalidError(binding=binding, problem=f"Its key '{key.name}' holds a NUL character.")
    return value.removesuffix("\n")
