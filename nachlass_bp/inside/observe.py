"""Remember a few rows of what a notebook's estimators are fitted on: the best guess at what the service will be sent.

scikit-learn calls `BaseEstimator._validate_params` at the start of every public `fit` (since 1.2), with the input in
the caller's frame. The method is wrapped when scikit-learn is imported; instances and their pickles never know.
Pipelines of 1.2 don't call it: there, as before 1.2, the notebook's variables have to do.
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from types import FrameType, ModuleType
from typing import Any

from .after_import import after_import
from .rows import ROW_LIMIT, first_rows, spread_rows

_KEPT = 6
_first: list[list[tuple[Any, Any]]] = []
_last: deque[list[tuple[Any, Any]]] = deque(maxlen=_KEPT)


def observe_fits() -> None:
    """Watch for scikit-learn's import, and for fits from then on."""
    after_import("sklearn.base", _wrap_validation)


def observed_inputs() -> list[tuple[Any, Any]]:
    """Return heads of the inputs of the first and the last fits, in the order of the fits.

    Those of the first have more rows of the input with them: only the first stage's input is what a request has.
    """
    return [rows for candidates in (*_first, *_last) for rows in candidates]


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
        given = _input_of(caller)
        candidates = first_rows(given, ROW_LIMIT)
        if candidates and len(_first) < _KEPT:
            more = spread_rows(given)
            _first.append([(candidate, more) for candidate in candidates])
        elif candidates:
            _last.append([(candidate, None) for candidate in candidates])
    except Exception:  # noqa: BLE001, S110 - an unusual input is no reason to disturb the notebook's fit.
        pass


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
