"""The one encoder: from what `predict` returned to JSON."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson


def to_json_value(predictions: Any) -> Any:
    """Return predictions (array, Series, sparse matrix, list) as plain lists of str, int, float, bool and None."""
    if hasattr(predictions, "toarray"):  # A sparse matrix, from a multilabel classifier.
        predictions = predictions.toarray()
    elif hasattr(predictions, "to_numpy"):
        predictions = predictions.to_numpy()
    if hasattr(predictions, "tolist"):
        return _plain(predictions.tolist()) if predictions.dtype.kind in "OSMmV" else predictions.tolist()
    return _plain(predictions)


def dump(value: Any) -> bytes:
    """Return JSON of plain values; NaN and the infinities become null."""
    try:
        return orjson.dumps(value)
    except TypeError:  # An integer beyond 64 bits, which JSON can carry and orjson can't.
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if hasattr(value, "tolist"):  # numpy's scalars and arrays.
        return _plain(value.tolist())
    return str(value)
