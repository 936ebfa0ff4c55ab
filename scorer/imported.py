"""Which files this process has imported its modules from: what a start of the service would compile anew."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_PROCESSES = ("server", "master", "worker", "service", "ui", "score.main")
"""What the image's processes import of ours, and the proof doesn't."""
_BY_NAME = ("gunicorn.glogging", "uvicorn.lifespan.off", "uvicorn.loops.asyncio")
"""What gunicorn and uvicorn import when they start, because their configuration names it."""
_IN_VAIN = ("uvicorn.supervisors.watchfilesreload",)
"""What is tried and, for want of a package, given up: compiled all the same."""


def import_processes() -> None:
    """Import what `web` and `score` import before they have seen any data."""
    for name in _PROCESSES:
        import_module(f"{__package__}.{name}")
    for name in _BY_NAME:
        import_module(name)


def sources() -> list[str]:
    """Return the source files of all modules that can have bytecode, spelled as the import system found them."""
    specs = [*map(_spec, tuple(sys.modules.values())), *map(find_spec, _IN_VAIN)]
    found = {spec.origin for spec in specs if spec is not None and spec.cached}
    return sorted(origin for origin in found if origin is not None and origin.endswith(".py"))


def _spec(module: object) -> ModuleSpec | None:
    # Anything may be in sys.modules, and asking it for an attribute may run code of its own.
    spec = vars(module).get("__spec__") if isinstance(module, ModuleType) else None
    return spec if isinstance(spec, ModuleSpec) else None
