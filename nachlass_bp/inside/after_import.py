"""Do something while or after a module of the user's is imported, and nothing if it never is."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager


def after_import(name: str, act: Callable[[ModuleType], None]) -> None:
    """Call `act(module)` once the module `name` has been imported; now, if it has been already."""

    @contextmanager
    def then_act(module: ModuleType) -> Iterator[None]:
        yield
        act(module)

    if name in sys.modules:
        act(sys.modules[name])
    else:
        around_import(name, then_act)


def around_import(name: str, around: Callable[[ModuleType], AbstractContextManager[None]]) -> None:
    """Let the module `name`, which nobody has imported yet, be imported within `around(module)`."""
    sys.meta_path.insert(0, _Finder(name, around))


class _Finder:
    """Finds one module where everybody else does, and has its import surrounded."""

    def __init__(self, name: str, around: Callable[[ModuleType], AbstractContextManager[None]]) -> None:
        self._name = name
        self._around = around

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    self._surround(spec.loader)
                return spec
        return None

    def _surround(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # The loader stays on the module: it gets its own method back, and this finder has done its work.
            del loader.exec_module
            sys.meta_path.remove(self)
            with self._around(module):
                execute(module)

        loader.exec_module = exec_module
