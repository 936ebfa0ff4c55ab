"""Plots appear in the notebook itself; programs and workers that a cell starts draw into files, as without Jupyter.

matplotlib takes its backend from MPLBACKEND, which children inherit; but the backend that shows plots in a notebook
comes with the kernel and isn't installed for them. So the variable names it only while this process imports matplotlib.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_INLINE = "module://matplotlib_inline.backend_inline"
_ELSEWHERE = "agg"


def draw_inline_here_alone() -> None:
    """Keep the inline backend to this process; a backend that somebody chose is left alone."""
    if os.environ.get("MPLBACKEND") == _INLINE:
        os.environ["MPLBACKEND"] = _ELSEWHERE
        sys.meta_path.insert(0, _MatplotlibFinder())


class _MatplotlibFinder:
    """Finds `matplotlib` where everybody else does, and lets it read the inline backend's name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "matplotlib":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    self._name_backend_during_import(spec.loader)
                return spec
        return None

    def _name_backend_during_import(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # The loader stays on the module: it gets its own method back, and this finder has done its work.
            del loader.exec_module
            sys.meta_path.remove(self)
            chosen = os.environ.get("MPLBACKEND")
            if chosen == _ELSEWHERE:
                os.environ["MPLBACKEND"] = _INLINE
            try:
                execute(module)
            finally:
                if chosen == _ELSEWHERE:
                    os.environ["MPLBACKEND"] = chosen

        loader.exec_module = exec_module
