"""Small copies of the head of whatever a model may be fed: frames, texts, arrays.

pandas and numpy are the user's, looked up among the imported modules and never imported: an object of theirs cannot
exist otherwise.
"""

from __future__ import annotations

import sys
from typing import Any

ROW_LIMIT = 5
_LOOKED_AT = 1000
"""How many rows are searched for missing values."""
_MISSING_LIMIT = 20
"""At most so many rows show columns that can be missing."""
_SPREAD_ROWS = 10_000
_SPREAD_CELLS = 500_000


def first_rows(value: Any, limit: int) -> list[Any]:
    """Return candidate inputs made of the first rows of `value`, best first; none if it is no input for a model.

    Where values are missing within the first 1000 rows, the first candidate has rows that show it, one for each column
    that can be missing, and the second has not: not every model accepts them.
    """
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    kind = type(value)  # Not isinstance: that asks __class__, which runs the code of proxies.
    if pandas is not None and issubclass(kind, pandas.DataFrame):
        return _frame_rows(value, limit)
    if pandas is not None and issubclass(kind, pandas.Series):
        return _series_rows(value, limit)
    if numpy is not None and issubclass(kind, numpy.ndarray):
        return _array_rows(value, limit)
    if kind in (list, tuple):
        return _list_rows(value, limit)
    return []


def spread_rows(value: Any) -> Any:
    """Return up to 10,000 rows of `value`, evenly spread over it; None if these are no more than a candidate has.

    They are what the proof compares later requests with: the distribution of each column, and that of the predictions.
    """
    pandas, numpy = sys.modules.get("pandas"), sys.modules.get("numpy")
    kind = type(value)
    if pandas is not None and issubclass(kind, (pandas.DataFrame, pandas.Series)):
        rows = value.iloc[_spread(len(value), _width_of(value))].copy()
        rows.attrs = {}
    elif numpy is not None and issubclass(kind, numpy.ndarray) and value.ndim in (1, 2):
        rows = value[_spread(len(value), _width_of(value))]
    elif kind in (list, tuple):
        rows = [value[i] for i in _spread(len(value), 1)]
    else:
        return None
    return rows if len(rows) > ROW_LIMIT else None


def _width_of(value: Any) -> int:
    return int(value.shape[1]) if value.ndim == 2 else 1


def _spread(length: int, width: int) -> list[int]:
    most = min(_SPREAD_ROWS, _SPREAD_CELLS // max(width, 1))
    return list(range(length)) if length <= most else [i * length // most for i in range(most)]


def _frame_rows(frame: Any, limit: int) -> list[Any]:
    if not len(frame) or not len(frame.columns):
        return []
    plain = frame.iloc[:limit].copy()
    plain.attrs = {}  # The author's notes on the data set, of any size.
    missing = frame.iloc[:_LOOKED_AT].isna().to_numpy()
    extra = _rows_that_show(missing, limit)
    if not extra:
        return [plain]
    telling = frame.iloc[[*range(len(plain)), *extra]].copy()
    telling.attrs = {}
    return [telling, plain]


def _series_rows(series: Any, limit: int) -> list[Any]:
    head = series.iloc[:limit].copy()
    values = head.tolist()
    if not values or not all(type(text) is str for text in values):
        return []
    head.attrs = {}
    # The service gets a JSON list: the model should be asked with one first.
    return [values, head]


def _array_rows(array: Any, limit: int) -> list[Any]:
    if array.ndim == 1 and array.dtype.kind in "OU":
        return _list_rows(array[:limit].tolist(), limit)
    if array.ndim != 2 or not array.shape[0] or not array.shape[1] or array.dtype.kind not in "biufOU":
        return []
    plain = array[:limit].copy()
    looked_at = array[:_LOOKED_AT]
    extra = _rows_that_show(looked_at != looked_at, limit) if array.dtype.kind == "f" else []  # noqa: PLR0124 - NaN
    return [array[[*range(len(plain)), *extra]], plain] if extra else [plain]


def _list_rows(values: list[Any] | tuple[Any, ...], limit: int) -> list[Any]:
    head = list(values[:limit])
    if not head:
        return []
    if all(type(text) is str for text in head):
        return [head]
    scalars = (str, int, float, bool)
    is_table = all(type(row) in (list, tuple) and len(row) == len(head[0]) > 0 for row in head)
    if is_table and all(type(cell) in scalars for row in head for cell in row):
        return [[list(row) for row in head]]
    return []


def _rows_that_show(missing: Any, limit: int) -> list[int]:
    """Return the first row, beyond the first `limit`, for each column that is missing somewhere but not in these."""
    shown = missing[:limit].any(axis=0)
    wanted = missing.any(axis=0) & ~shown
    rows = sorted({int(missing[:, column].argmax()) for column in wanted.nonzero()[0]})
    return rows[:_MISSING_LIMIT]
