"""Whether the rows of different requests may share one call of `predict`: only if no row's answer depends on another.

Two things have to be so. Every estimator is one of scikit-learn's that treat rows one by one, by what its code does
(reviewed in scikit-learn 1.9); and calls of many rows, in whatever order, answer as calls of one row do.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .manifest import Input, Merging
from .model import FittedPipeline
from .predictor.answers import Answerer
from .predictor.pace import MOST_ROWS
from .reviewed import REVIEWED
from .same import same

_SIZES = (1, 2, 3, 17, 64, MOST_ROWS)
_MOST_POOL = 64
_POOL_S = 3.0
_UNSEEN = "nachlass: never seen"

_DATA = frozenset({"numpy", "pandas", "scipy"})
_KERNELS = "sklearn.gaussian_process.kernels"


def find_merging(
    pipeline: Any, spec: Input, rows: Sequence[Any], *, methods: Sequence[str], is_repeatable: bool
) -> Merging:
    """Return whether requests may share calls of the pipeline, and why.

    Args:
        pipeline: The composed pipeline.
        spec: Its input.
        rows: Rows that it predicts, as `decode.Batch` has them.
        methods: What else the service may ask of it, beside `predict`.
        is_repeatable: Whether the same rows get the same answer twice.
    """
    unreviewed = next(_unreviewed(pipeline), None)
    problem = (
        _difference(Answerer(pipeline, spec), spec, rows, ("predict", *methods))
        if is_repeatable
        else "it answers differently each time"
    )
    if problem is not None:
        reason = problem
    elif unreviewed is not None:
        reason = f"{unreviewed} is none of the estimators that are known to treat rows one by one"
    else:
        reason = "each step treats rows one by one, and calls of many rows answered as calls of one"
    return Merging(is_reviewed=unreviewed is None, is_proven=problem is None, reason=reason)


def _unreviewed(pipeline: Any) -> Iterator[str]:
    for estimator in _estimators(pipeline, set()):
        kind = type(estimator)
        is_of_sklearn = kind.__module__.split(".")[0] == "sklearn"
        # A tree, a binner, a kernel: parts of an estimator, which was reviewed with them.
        if is_of_sklearn and (kind.__name__.startswith("_") or not hasattr(estimator, "get_params")):
            continue
        if kind.__module__ == _KERNELS or kind is FittedPipeline:
            continue
        if not is_of_sklearn or kind.__name__ not in REVIEWED or _has_functions_of_all_rows(estimator):
            yield kind.__name__


def _estimators(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield whatever transforms or predicts in a pipeline, be it an estimator of scikit-learn's kind or not."""
    if id(value) in seen or isinstance(value, type) or type(value).__module__.split(".")[0] in _DATA:
        return
    seen.add(id(value))
    children: Iterable[Any] = ()
    if isinstance(value, (list, tuple)):
        children = value
    elif isinstance(value, dict):
        children = value.values()
    elif any(hasattr(value, method) for method in ("transform", "predict", "get_params")):
        yield value
        children = vars(value).values() if hasattr(value, "__dict__") else ()
    # A vocabulary has a million entries, and none of them is an estimator; a pair's first may be a name.
    if isinstance(value, tuple) or not isinstance(next(iter(children), None), (str, bytes, int, float)):
        for child in children:
            yield from _estimators(child, seen)


def _has_functions_of_all_rows(estimator: Any) -> bool:
    """Tell whether the author gave a function that gets all rows at once, or it draws numbers for each."""
    functions = (getattr(estimator, name, None) for name in ("func", "inverse_func", "kernel", "strategy"))
    if any(callable(function) and type(function).__module__ != _KERNELS for function in functions):
        return True
    return type(estimator).__name__ == "DummyClassifier" and estimator.strategy in ("stratified", "uniform")


def _difference(answerer: Answerer, spec: Input, rows: Sequence[Any], methods: Sequence[str]) -> str | None:
    """Return how a call of several rows differed from calls of one, None if it never did."""
    pool = _pool(answerer, spec, rows, methods)
    if not pool:
        return "no row could be predicted alone"
    draw = random.Random(0)  # noqa: S311 - no secret: the same rows in each build
    for size in _SIZES:
        chosen = [draw.choice(pool) for _ in range(size)]
        try:
            together = answerer.answer([row for row, _ in chosen], methods)
        except Exception as error:  # noqa: BLE001 - the stages' own code; that it raised is the finding
            return f"a call of {size} rows failed, of which each could be predicted alone ({type(error).__name__})"
        if not same(together, [value for _, value in chosen]):
            return f"a call of {size} rows answered otherwise than calls of one row"
    return None


def _pool(answerer: Answerer, spec: Input, rows: Sequence[Any], methods: Sequence[str]) -> list[tuple[Any, Any]]:
    """Return rows, and rows with something missing or never seen in them, with the answer that each gets alone."""
    pool: list[tuple[Any, Any]] = []
    end = time.monotonic() + _POOL_S
    for row in _variants(spec, rows):
        if pool and (len(pool) >= _MOST_POOL or time.monotonic() > end):
            break
        try:
            pool.append((row, answerer.answer([row], methods)[0]))
        except Exception:  # noqa: BLE001, S112 - the model takes no such row, so no request has one
            continue
    return pool


def _variants(spec: Input, rows: Sequence[Any]) -> Iterator[Any]:
    yield from rows
    if spec.kind == "text":
        yield from ("", _UNSEEN)
        return
    columns = [column for column in spec.columns if not column.optional]
    for number, row in enumerate(rows):
        position = number % len(row)
        kind = columns[position].kind if columns else "number"
        if not columns or columns[position].nullable:
            yield [*row[:position], None, *row[position + 1 :]]
        if kind in {"string", "any"} and not (columns and columns[position].dtype.startswith("category")):
            yield [*row[:position], _UNSEEN, *row[position + 1 :]]
