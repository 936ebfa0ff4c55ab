"""From the fitted stages and one sample to the input that the service asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .columns import MOST_EXACT, NONE_SUFFIX, Codec, to_series
from .encode import to_json_value
from .manifest import Column, ColumnKind, Input, InputKind, Label
from .model import first_estimator
from .sample import column_cells, is_series

Predict = Callable[[Any], Any]

MAX_PROBED_COLUMNS = 200
MAX_CATEGORIES = 1000


def derive_input(kind: InputKind, sample: Any, pipeline: Any) -> Input:
    """Return what `predict` takes, as far as the fitted stages and the sample tell.

    Args:
        kind: As `sample.normalise` found it.
        sample: n texts, an (n, width) array or a DataFrame.
        pipeline: The fitted pipeline; it is called on changed copies of the sample.
    """
    match kind:
        case "text":
            return Input(kind="text", width=1, dtype=_text_container(sample, pipeline.predict))
        case "array":
            dtype = _array_dtype(sample, pipeline.predict)
            return Input(kind="array", width=sample.shape[1], dtype=dtype, is_wide=_is_wide(sample))
        case "frame":
            columns = tuple(_columns(sample, pipeline))
            return Input(kind="frame", width=len(columns), columns=columns)


def require_all(spec: Input) -> Input:
    """Return the input with no column optional: for a first stage that looks at more columns than it names."""
    columns = tuple(dataclasses.replace(column, optional=False) for column in spec.columns)
    return dataclasses.replace(spec, columns=columns)


def used_names(estimator: Any) -> set[str] | None:
    """Return the columns that the first step really uses, None when it doesn't tell."""
    first = first_estimator(estimator)
    transformers = getattr(first, "transformers_", None)
    names = getattr(first, "feature_names_in_", None)
    if transformers is None or names is None:
        return None
    used: set[str] = set()
    for _, transformer, columns in transformers:
        if not (isinstance(transformer, str) and transformer == "drop"):
            used.update(resolve(columns, [str(name) for name in names]))
    return used or None


def learned_categories(pipeline: Any) -> dict[str, tuple[Label, ...]]:
    """Return the categories that the first step's encoders learned, by column."""
    return dict(_encoder_categories(pipeline))


def resolve(columns: Any, names: Sequence[str]) -> list[str]:
    """Return the names that a ColumnTransformer's column specification stands for, after its fit."""
    if isinstance(columns, str):
        return [columns]
    if isinstance(columns, slice):
        if isinstance(columns.start, str) or isinstance(columns.stop, str):
            start = names.index(columns.start) if isinstance(columns.start, str) else 0
            stop = names.index(columns.stop) + 1 if isinstance(columns.stop, str) else len(names)
            return list(names[start:stop])
        return list(names[columns])
    if isinstance(columns, (int, np.integer)):
        return [names[int(columns)]]
    items = list(columns)
    if items and all(isinstance(item, (bool, np.bool_)) for item in items):
        return [name for name, chosen in zip(names, items, strict=True) if chosen]
    return [item if isinstance(item, str) else names[int(item)] for item in items]


def _text_container(sample: Any, predict: Predict) -> str:
    if _same(predict(sample), _attempt(predict, list(sample))):
        return "list"  # Vectorizers take any sequence, and a list needs no pandas.
    return "series" if is_series(sample) else "ndarray" if isinstance(sample, np.ndarray) else "list"


def _array_dtype(sample: Any, predict: Predict) -> str:
    if sample.dtype.kind in "iu" and _same(predict(sample), _attempt(predict, sample.astype(np.float64))):
        # Whole numbers by the chance of a small sample: a model that takes them as floats takes 5.1 too.
        return "float64"
    if sample.dtype.kind == "U":
        return "str_"
    if sample.dtype.kind == "O":
        return "object" + (NONE_SUFFIX if any(cell is None for cell in sample.flat) else "")
    return str(sample.dtype)


def _columns(sample: Any, pipeline: Any) -> Iterator[Column]:
    used = used_names(pipeline)
    known = getattr(first_estimator(pipeline), "feature_names_in_", None)
    names = [str(name) for name in sample.columns] if known is None else [str(name) for name in known]
    categories = learned_categories(pipeline)
    probe = sample.shape[1] <= MAX_PROBED_COLUMNS
    for name in names:
        if name not in sample.columns:
            # A column that the stage was fitted with and that this sample, which predicts, does without.
            yield Column(name=name, kind="any", optional=True, nullable=True, dtype="object")
            continue
        column = _column(sample[name], name, categories.get(name, ()))
        optional = probe and _is_dispensable(name, sample, pipeline.predict) if used is None else name not in used
        if not column.nullable and probe and not optional:
            column = _probe_null(column, sample, pipeline.predict)
        yield dataclasses.replace(column, optional=optional)


def _column(series: Any, name: str, categories: tuple[Label, ...]) -> Column:
    dtype = str(series.dtype)
    has_null = bool(series.isna().any())
    kind, dtype = _kind_and_dtype(series, dtype)
    if dtype.startswith("category"):
        categories = tuple(to_json_value(series.cat.categories))
    is_wide = kind == "integer" and _is_wide(series.dropna().to_numpy())
    return Column(name=name, kind=kind, dtype=dtype, nullable=has_null, categories=categories, is_wide=is_wide)


def _is_wide(values: Any) -> bool:
    """Tell whether there are integers among the values that floats can't all hold."""
    if values.dtype.kind not in "iu" or not values.size:
        return False
    return max(abs(int(values.min())), abs(int(values.max()))) > MOST_EXACT


def _kind_and_dtype(series: Any, dtype: str) -> tuple[ColumnKind, str]:  # noqa: PLR0911 - one return per family of dtypes
    lower = dtype.lower()
    if dtype == "category":
        values = list(series.cat.categories)
        kind: ColumnKind = "string" if all(isinstance(value, str) for value in values) else "any"
        return kind, "category[ordered]" if series.cat.ordered else "category"
    if lower.startswith(("int", "uint")):
        return "integer", dtype
    if lower.startswith("float"):
        return "number", dtype
    if lower in ("bool", "boolean"):
        return "boolean", dtype
    if lower.startswith("datetime"):
        return "datetime", dtype
    if lower.startswith("str"):
        return "string", dtype
    present = series.dropna()
    suffix = NONE_SUFFIX if any(cell is None for cell in series) else ""
    for objects, python in (("string", str), ("boolean", (bool, np.bool_))):
        if len(present) and all(isinstance(cell, python) for cell in present):
            return objects, "object" + suffix  # type: ignore[return-value]  # the two strings of ColumnKind
    return "any", "object" + suffix


def _probe_null(column: Column, sample: Any, predict: Predict) -> Column:
    """Return the column as nullable if the pipeline predicts with a missing value in it.

    A sample of a few rows may have none by chance; a stage that fills missing values in was made for them.
    """
    dtype = column.dtype
    if column.kind == "integer" and dtype.startswith(("int", "uint")):
        dtype = "float64"  # numpy's integers know no missing value.
    elif dtype == "bool":
        dtype = "object"
    nullable = dataclasses.replace(column, nullable=True, dtype=dtype)
    cells = column_cells(sample[column.name])
    whole = _replaced(sample, nullable, cells)
    if not _same(_attempt(predict, sample), _attempt(predict, whole)):
        return column
    with_null = _replaced(sample, nullable, [None, *cells[1:]])
    return column if _attempt(predict, with_null) is None else nullable


def _replaced(sample: Any, column: Column, cells: list[Any]) -> Any:
    """Return the sample with one column as the service makes it from JSON cells."""
    array = Codec(column).to_array(cells)
    return sample.assign(**{column.name: to_series(array).set_axis(sample.index)})


def _is_dispensable(name: str, sample: Any, predict: Predict) -> bool:
    """Tell whether the pipeline predicts the same without the column: the label, say, that the notebook left in."""
    if sample.shape[1] == 1:
        return False
    return _same(_attempt(predict, sample), _attempt(predict, sample.drop(columns=[name])))


def _encoder_categories(pipeline: Any) -> Iterator[tuple[str, tuple[Label, ...]]]:
    first = first_estimator(pipeline)
    transformers = getattr(first, "transformers_", None)
    names = [str(name) for name in getattr(first, "feature_names_in_", ())]
    steps = [(None, first, names)] if transformers is None else transformers
    for _, transformer, columns in steps:
        encoder = next((part for part in _chain(transformer) if hasattr(part, "categories_")), None)
        resolved = resolve(columns, names)
        if encoder is None or len(encoder.categories_) != len(resolved):
            continue
        for name, learned in zip(resolved, encoder.categories_, strict=True):
            labels = [label for label in to_json_value(learned) if _is_label(label)]
            if len(labels) <= MAX_CATEGORIES:
                yield name, tuple(labels)


def _chain(transformer: Any) -> list[Any]:
    return [step for _, step in transformer.steps] if hasattr(transformer, "named_steps") else [transformer]


def _is_label(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and value == value  # noqa: PLR0124 - NaN is a missing value, no label.


def _attempt(predict: Predict, data: Any) -> Any:
    """Return the prediction, None if the pipeline refuses the data in whatever way."""
    try:
        return predict(data)
    except Exception:  # noqa: BLE001 - user code may raise anything; that it raised is the finding.
        return None


def _same(left: Any, right: Any) -> bool:
    return left is not None and right is not None and to_json_value(left) == to_json_value(right)
