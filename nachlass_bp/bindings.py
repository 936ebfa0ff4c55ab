"""Service bindings of type `nachlass`: secrets for the notebooks and for nobody else.

Source: Service Binding Specification for Kubernetes, "Workload Projection":
`$SERVICE_BINDING_ROOT/<name>/{type,<key>}`.
"""

from __future__ import annotations

import re
from pathlib import Path

from nachlass_bp.errors import BindingInvalidError

TYPE = "nachlass"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_RESERVED = re.compile(r"(PYTHON|LD_|CNB_|NACHLASS_STAGE_FILE\Z|S2I_PIPELINE_STAGE_SAVE_FILE\Z|PATH\Z|HOME\Z)")
_NOT_KEYS = {"type", "provider"}


def read(bindings_dir: Path) -> dict[str, str]:
    """Return the keys of all bindings of type `nachlass` (compared without case), as environment variables.

    Raises:
        BindingInvalidError: A key is not a variable's name, is reserved, or is not text.
    """
    found: dict[str, str] = {}
    if not bindings_dir.is_dir():
        return found
    for binding in sorted(bindings_dir.iterdir()):
        kind = binding / "type"
        # Secret volumes of Kubernetes hold `..data` links beside the keys.
        if binding.name.startswith(".") or not kind.is_file() or kind.read_text().strip().lower() != TYPE:
            continue
        for key in sorted(binding.iterdir()):
            if key.name.startswith(".") or key.name in _NOT_KEYS or not key.is_file():
                continue
            found[key.name] = _value(binding.name, key)
    return found


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
