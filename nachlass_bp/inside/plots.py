"""Plots appear in the notebook itself; programs and workers that a cell starts draw into files, as without Jupyter.

matplotlib takes its backend from MPLBACKEND, which children inherit; but the backend that shows plots in a notebook
comes with the kernel and isn't installed for them. So the variable names it only while this process imports matplotlib.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .after_import import around_import

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_INLINE = "module://matplotlib_inline.backend_inline"
_ELSEWHERE = "agg"


def draw_inline_here_alone() -> None:
    """Keep the inline backend to this process; a backend that somebody chose is left alone."""
    if os.environ.get("MPLBACKEND") == _INLINE:
        os.environ["MPLBACKEND"] = _ELSEWHERE
        around_import("matplotlib", _naming_the_inline_backend)


@contextmanager
def _naming_the_inline_backend(_matplotlib: ModuleType) -> Iterator[None]:
    chosen = os.environ.get("MPLBACKEND")
    if chosen == _ELSEWHERE:
        os.environ["MPLBACKEND"] = _INLINE
    try:
        yield
    finally:
        if chosen == _ELSEWHERE:
            os.environ["MPLBACKEND"] = chosen
