"""Sample inputs that a notebook left behind: which of them the pipeline takes, and how JSON writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .encode import to_json_value
from .manifest import Column, Input, InputKind
from .model import first_estimator

MAX_ROWS = 100


class UnusableSampleError(ValueError):
    """A candidate that no request could carry."""


def normalise(candidate: Any, pipeline: Any, *, most_rows: int = MAX_ROWS) -> tuple[InputKind, Any]:
    """Return what kind of input a candidate is, and the candidate in the form that is tried.

    Args:
        candidate: A DataFrame, Series, array, sparse matrix or list, as the notebook held it.
        pipeline: The composed pipeline, whose first step tells texts from tables.
        most_rows: How many rows to take of it at most.

    Raises:
        UnusableSampleError: It is none of these.
    """
    if hasattr(candidate, "toarray"):
        candidate = candidate.toarray()
    if is_frame(candidate):
        return _normalise_frame(candidate.iloc[:most_rows], pipeline)
    values = candidate.iloc[:most_rows] if is_series(candidate) else candidate
    if is_series(values) or isinstance(values, (np.ndarray, list, tuple)):
        return _normalise_values(values[:most_rows], pipeline)
    raise UnusableSampleError(f"A {type(candidate).__name__} is not a table, an array or a list of texts.")


def is_frame(value: Any) -> bool:
    """Tell whether the value is a pandas DataFrame, without importing pandas."""
    return _pandas_kind(value) == "DataFrame"


def is_series(value: Any) -> bool:
    """Tell whether the value is a pandas Series, without importing pandas."""
    return _pandas_kind(value) == "Series"


def takes_texts(pipeline: Any) -> bool:
    """Tell whether the pipeline's first step is a vectorizer of texts."""
    first = first_estimator(pipeline)
    return hasattr(first, "analyzer") and hasattr(first, "build_analyzer")


def to_rows(kind: InputKind, sample: Any) -> list[Any]:
    """Return the sample as the JSON rows that a client would send."""
    match kind:
        case "text":
            return [str(text) for text in sample]
        case "array":
            return [[nan_to_none(cell) for cell in row] for row in to_json_value(sample)]
        case "frame":
            names = [str(name) for name in sample.columns]
            columns = [[nan_to_none(cell) for cell in column_cells(sample.iloc[:, i])] for i in range(len(names))]
            return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def column_cells(column: Any) -> list[Any]:
    """Return a Series as JSON cells, with None for what is missing."""
    missing = column.isna().to_list()
    if column.dtype.kind == "M":
        return [None if gone else cell.isoformat() for cell, gone in zip(column, missing, strict=True)]
    return [None if gone else cell for cell, gone in zip(to_json_value(column), missing, strict=True)]


def synthetic_row(spec: Input) -> Any:
    """Return one JSON row made from the schema alone, with nothing of anyone's data in it."""
    match spec.kind:
        case "text":
            return "The quick brown fox jumps over the lazy dog."
        case "array":
            kind = np.dtype(spec.dtype.removesuffix("[none]") or "float64").kind
            return [{"b": False, "U": "text", "O": "text"}.get(kind, 0)] * spec.width
        case "frame":
            return {column.name: _synthetic_cell(column) for column in spec.columns if not column.optional}


def _synthetic_cell(column: Column) -> Any:
    if column.categories:
        return column.categories[0]
    match column.kind:
        case "number":
            return 0.0
        case "integer":
            return 0
        case "boolean":
            return False
        case "datetime":
            return "2000-01-01T00:00:00" + ("+00:00" if "," in column.dtype else "")
        case "string" | "any":
            return "text"


def _normalise_frame(frame: Any, pipeline: Any) -> tuple[InputKind, Any]:
    if not all(isinstance(name, str) for name in frame.columns):
        return _normalise_values(frame.to_numpy(), pipeline)
    if takes_texts(pipeline):
        if frame.shape[1] != 1:
            raise UnusableSampleError("The first stage takes texts, and this table has more than one column.")
        return _normalise_values(frame.iloc[:, 0], pipeline)
    if not _knows_names(first_estimator(pipeline), frame):
        return _normalise_values(frame.to_numpy(), pipeline)
    return "frame", frame


def _knows_names(first: Any, frame: Any) -> bool:
    """Tell whether a table's column names mean anything to the first estimator.

    One that was fitted on an array takes its columns in their order, whatever they are called: served by the names of
    a table that merely lay about, it would predict from the wrong columns. One that tells nothing may use names.
    """
    while hasattr(first, "transformer_list"):  # A union before scikit-learn 1.3 tells how many columns, and no names.
        first = first_estimator(first.transformer_list[0][1])
    if not hasattr(first, "n_features_in_") or hasattr(first, "feature_names_in_"):
        return True
    # What LightGBM and CatBoost call it; they have made-up names when they were fitted on an array.
    told = getattr(first, "feature_name_", None) or getattr(first, "feature_names_", None) or ()
    return _in_one_spelling(told) == _in_one_spelling(frame.columns)


def _in_one_spelling(names: Any) -> list[str]:
    return [str(name).replace(" ", "_") for name in names]  # As LightGBM keeps them.


def _normalise_values(values: Any, pipeline: Any) -> tuple[InputKind, Any]:
    if len(values) and all(isinstance(value, str) for value in values):
        return "text", values
    if takes_texts(pipeline):
        raise UnusableSampleError("The first stage takes texts, and this sample holds something else.")
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise UnusableSampleError("The rows are not of one length.") from error
    array = array.reshape(-1, 1) if array.ndim == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "fiubUO" or array.shape[0] == 0 or array.shape[1] == 0:
        raise UnusableSampleError(f"An array of shape {array.shape} and dtype {array.dtype} is not a table of values.")
    if array.dtype.kind == "O" and not all(isinstance(cell, (str, int, float, type(None))) for cell in array.flat):
        raise UnusableSampleError("The array holds objects that JSON has no word for.")
    return "array", array


def _pandas_kind(value: Any) -> str:
    kinds = {kind.__name__ for kind in type(value).__mro__ if kind.__module__.split(".")[0] == "pandas"}
    return "DataFrame" if "DataFrame" in kinds else "Series" if "Series" in kinds else ""


def nan_to_none(cell: Any) -> Any:
    """Return a cell as JSON has it: NaN is a missing value."""
    return None if isinstance(cell, float) and cell != cell else cell  # noqa: PLR0124 - true for NaN alone.
