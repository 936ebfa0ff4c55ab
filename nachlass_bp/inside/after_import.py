"""Do something to a module of the user's as soon as it has been imported, and nothing if it never is."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def after_import(name: str, act: Callable[[ModuleType], None]) -> None:
    """Call `act(module)` once the module `name` has been imported; now, if it has been already."""
    if name in sys.modules:
        act(sys.modules[name])
    else:
        sys.meta_path.insert(0, _Finder(name, act))


class _Finder:
    """Finds one module where everybody else does, and acts after its import."""

    def __init__(self, name: str, act: Callable[[ModuleType], None]) -> None:
        self._name = name
        self._act = act

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    self._act_after_import(spec.loader)
                return spec
        return None

    def _act_after_import(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # The loader stays on the module: it gets its own method back, and this finder has done its work.
            del loader.exec_module
            sys.meta_path.remove(self)
            execute(module)
            self._act(module)

        loader.exec_module = exec_module
