"""What the notebooks' data were like, in sums: which values each column had, and what the pipeline predicts for them.

A service compares its requests with it (`columntally`). It goes into the image, so that it has no row of the data:
proportions by bin, least and greatest numbers, and values that the fitted encoders have learned anyway or that repeat.
"""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .bins import MISSING, OTHER, Bins, label_of, lengths, scalars, used_columns
from .encode import to_json_value
from .manifest import Column, ColumnReference, Distribution, Input, Label, Model, Reference
from .sample import column_cells, nan_to_none, normalise

MOST_ROWS = 10_000
LEAST_ROWS = 50
"""Of fewer, shares by bin say more about chance than about the data."""
MOST_DISTRIBUTIONS = 50
_MOST_VALUES = 20
_REPEATS = 5
"""How often a value that no encoder has learned must be there: a name or a number of one person is not."""
_MOST_SECONDS = 5.0
_DECILES = tuple(i / 10 for i in range(1, 10))
_BUCKETS = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_DIGITS = 6


def find_reference(pipeline: Any, model: Model, candidates: Iterable[Any], *, is_repeatable: bool) -> Reference | None:
    """Return the reference of the first candidate that has the model's columns and enough rows, None without one."""
    for candidate in candidates:
        try:
            kind, data = normalise(candidate, pipeline, most_rows=MOST_ROWS)
            cells = _cells_of(data, model.input) if kind == model.input.kind else None
        # Objects of the notebook's; one that can't be read is no reference.
        except Exception:  # noqa: BLE001, S112
            continue
        if cells is not None and cells and len(cells[0]) >= LEAST_ROWS:
            described = [
                _column(column, own, keeps_bins=i < MOST_DISTRIBUTIONS)
                for i, (column, own) in enumerate(zip(used_columns(model.input), cells, strict=True))
            ]
            found = Reference(rows=len(cells[0]), columns=tuple(described))
            return _with_predictions(found, pipeline, model, data) if is_repeatable else found
    return None


def _cells_of(data: Any, spec: Input) -> list[list[Any]] | None:
    """Return the cells of each used column, None where the data are of another width."""
    match spec.kind:
        case "text":
            return [[str(text) for text in data]]
        case "array":
            if data.shape[1] != spec.width:
                return None
            indices = range(len(used_columns(spec)))
            return [[nan_to_none(cell) for cell in to_json_value(data[:, i])] for i in indices]
        case "frame":
            names = [column.name for column in used_columns(spec)]
            return [[nan_to_none(cell) for cell in column_cells(data[name])] for name in names]


def _column(column: Column, cells: Sequence[Any], *, keeps_bins: bool) -> ColumnReference:
    if column.kind == "datetime":
        return ColumnReference(name=column.name)
    if column.kind in ("number", "integer") and not column.categories:
        numbers = np.array(cells, dtype=np.float64)
        known = np.sort(numbers[np.isfinite(numbers)])
        limits = (float(known[0]), float(known[-1])) if known.size else (None, None)
        found = _numbers("number", known, numbers, cells) if keeps_bins else None
        return ColumnReference(name=column.name, low=limits[0], high=limits[1], distribution=found)
    counted = Counter(cell for cell in cells if cell is not None)
    allowed = set(column.categories)
    values = [
        value
        for value, count in sorted(counted.items(), key=lambda item: (-item[1], str(item[0])))
        if (value in allowed or count >= _REPEATS or isinstance(value, bool))
        and label_of(value) not in (OTHER, MISSING)
    ][:_MOST_VALUES]
    covered = sum(counted[value] for value in values)
    if 2 * covered < sum(counted.values()) and column.kind == "string" and not column.categories:
        sizes = lengths(cells)
        found = _numbers("length", np.sort(sizes[np.isfinite(sizes)]), sizes, cells)
    else:
        found = _values(tuple(values), cells)
    return ColumnReference(
        name=column.name,
        is_complete=len(values) == len(counted) > 0,
        distribution=found if keeps_bins else None,
    )


def _numbers(measure: Any, known: Any, numbers: Any, cells: Sequence[Any]) -> Distribution:
    edges = _rounded([_quantile(known, q) for q in _DECILES]) if known.size else ()
    return _filled(Distribution(measure=measure, edges=edges, proportions=(0.0,) * (len(edges) + 2)), cells, numbers)


def _values(values: tuple[Label, ...], cells: Sequence[Any]) -> Distribution:
    empty = Distribution(measure="value", values=values, proportions=(0.0,) * (len(values) + 2))
    bins = Bins(empty)
    if len(bins.labels) != len(empty.proportions):  # Labels that were cut are alike: one of each is enough.
        first = {label_of(value): value for value in reversed(values)}
        return _values(tuple(value for value in values if first[label_of(value)] == value), cells)
    return _filled(empty, cells, None)


def _filled(empty: Distribution, cells: Sequence[Any], numbers: Any) -> Distribution:
    counts = Bins(empty).count(cells, numbers)
    return replace(empty, proportions=tuple(round(float(count) / len(cells), _DIGITS) for count in counts))


def _with_predictions(reference: Reference, pipeline: Any, model: Model, data: Any) -> Reference:
    if model.task == "other":
        return reference
    try:
        rows, predictions = _predict(pipeline, data)
    # The stages' own code, with rows that it may refuse: those of the proof were chosen, these are not.
    except Exception:  # noqa: BLE001
        return reference
    values = list(scalars(predictions))
    if model.task != "regressor":
        counted = Counter(values)
        classes = sorted(model.classes, key=lambda label: -counted[label])[:_MOST_VALUES]
        kept = tuple(label for label in model.classes if label in classes and label_of(label) not in (OTHER, MISSING))
        return replace(reference, prediction_rows=rows, predictions=_values(kept, values))
    numbers = np.array([value if isinstance(value, (int, float)) else np.nan for value in values], dtype=np.float64)
    known = np.sort(numbers[np.isfinite(numbers)])
    if not known.size:
        return reference
    return replace(
        reference,
        prediction_rows=rows,
        predictions=_numbers("number", known, numbers, values),
        buckets=_buckets(known),
    )


def _predict(pipeline: Any, data: Any) -> tuple[int, list[Any]]:
    """Predict all rows; of a model that would take too long for them, 1,000 or 100.

    Steps so far apart, because the same build has to make the same image on a machine that is a little slower.
    """
    predictions: list[Any] = []
    for most in (100, 1_000, MOST_ROWS):
        started = time.perf_counter()
        part = _spread(data, most)
        predictions = to_json_value(pipeline.predict(part))
        if len(predictions) == len(data) or 10 * (time.perf_counter() - started) > _MOST_SECONDS:
            break
    return len(predictions), predictions


def _spread(data: Any, most: int) -> Any:
    if len(data) <= most:
        return data
    chosen = [i * len(data) // most for i in range(most)]
    if hasattr(data, "iloc"):
        return data.iloc[chosen]
    return [data[i] for i in chosen] if isinstance(data, (list, tuple)) else data[chosen]


def _buckets(known: Any) -> tuple[float, ...]:
    """Return bounds for a histogram: quantiles, and one beyond the range on each side."""
    low, high = float(known[0]), float(known[-1])
    beyond = (high - low) or abs(high) or 1.0
    return _rounded([low - beyond, *(_quantile(known, q) for q in _BUCKETS), high + beyond])


def _quantile(known: Any, q: float) -> float:
    """Return the value that occurs, not one between two: 0 and 1 have no half."""
    return float(known[max(math.ceil(q * known.size), 1) - 1])


def _rounded(bounds: Iterable[float]) -> tuple[float, ...]:
    """Return ascending bounds, each rounded as far as its neighbours leave it apart: as people write them."""
    distinct = sorted(set(bounds))
    gaps = [high - low for low, high in itertools.pairwise(distinct)]
    rounded = []
    for i, bound in enumerate(distinct):
        gap = min(gaps[max(i - 1, 0) : i + 1], default=0.0)
        digits = 1 - math.floor(math.log10(gap)) if gap > 0 else None
        rounded.append(bound if digits is None else round(bound, digits))
    return tuple(sorted({float(f"{bound:.12g}") for bound in rounded}))
