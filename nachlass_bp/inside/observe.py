"""Remember a few rows of what a notebook's estimators are fitted on: the best guess at what the service will be sent.

scikit-learn calls `BaseEstimator._validate_params` at the start of every public `fit` (since 1.2), with the input in
the caller's frame. The method is wrapped when scikit-learn is imported; instances and their pickles never know.
Pipelines of 1.2 don't call it: there, as before 1.2, the notebook's variables have to do.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any

from .rows import ROW_LIMIT, first_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEPT = 6
_first: list[list[Any]] = []
_last: deque[list[Any]] = deque(maxlen=_KEPT)


def observe_fits() -> None:
    """Watch for scikit-learn's import, and for fits from then on."""
    sys.meta_path.insert(0, _SklearnFinder())


def observed_inputs() -> list[Any]:
    """Return heads of the inputs of the first and the last fits, in the order of the fits."""
    return [rows for candidates in (*_first, *_last) for rows in candidates]


class _SklearnFinder:
    """Finds `sklearn.base` where everybody else does, and wraps its `BaseEstimator` after its import."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "sklearn.base":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    self._wrap_after_import(spec.loader)
                return spec
        return None

    def _wrap_after_import(self, loader: Any) -> None:
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # The loader stays on the module: it gets its own method back, and this finder has done its work.
            del loader.exec_module
            sys.meta_path.remove(self)
            execute(module)
            _wrap_validation(module)

        loader.exec_module = exec_module


def _wrap_validation(module: ModuleType) -> None:
    base: Any = getattr(module, "BaseEstimator", None)
    validate: Any = getattr(base, "_validate_params", None)
    if validate is None:
        return  # scikit-learn before 1.2: samples come from the notebook's variables alone.

    @functools.wraps(validate)
    def _validate_params(self: Any, *args: Any, **kwargs: Any) -> Any:
        _observe(self, sys._getframe(1))  # noqa: SLF001 - the documented way to the caller's frame.
        return validate(self, *args, **kwargs)

    base._validate_params = _validate_params  # noqa: SLF001 - see the module's docstring.


def _observe(estimator: Any, caller: FrameType) -> None:
    try:
        # Target encoders are fitted on labels, which the service is never sent.
        if type(estimator).__module__ == "sklearn.preprocessing._label" or _is_nested(caller):
            return
        candidates = first_rows(_input_of(caller), ROW_LIMIT)
    except Exception:  # noqa: BLE001 - an unusual input is no reason to disturb the notebook's fit.
        return
    if candidates:
        (_first if len(_first) < _KEPT else _last).append(candidates)


def _is_nested(caller: FrameType) -> bool:
    """Whether another part of scikit-learn called this fit, in whatever thread: a pipeline, a search, a validation."""
    estimator = _estimator_of(caller)
    frame = caller.f_back
    while frame is not None:
        # The estimator's own fit_transform, and what scikit-learn wraps around it, is the notebook's call.
        if _package_of(frame) == "sklearn" and _estimator_of(frame) is not estimator:
            return True
        frame = frame.f_back
    return False


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _estimator_of(frame: FrameType) -> Any:
    return frame.f_locals.get("estimator", frame.f_locals.get("self"))


def _input_of(caller: FrameType) -> Any:
    """Return what `fit` was called with: from its own frame (1.2), or from the wrapper around it (1.3 and newer)."""
    values = caller.f_locals
    if "X" in values or "raw_documents" in values:
        return values.get("X", values.get("raw_documents"))
    named = values.get("kwargs", {})
    return next(iter(values.get("args", ())), named.get("X", named.get("raw_documents")))
