"""Whether two answers of a model are the same, as far as the order of floating-point sums may differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

_ULPS = 4
_RELATIVE = 1e-12


def same(left: Any, right: Any) -> bool:
    """Compare JSON values of the same rows: labels have to be equal, floats nearly so.

    Nearly is within 4 units in the last place, or 1e-12 of the greatest number of the answer: where large terms cancel
    out, the little that is left has their error.
    """
    scale = max((abs(value) for value in _floats(left) if math.isfinite(value)), default=0.0)
    return _same(left, right, scale)


def _same(left: Any, right: Any, scale: float) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            _same(each, other, scale) for each, other in zip(left, right, strict=True)
        )
    if type(left) is float and type(right) is float:
        return left == right or _close(left, right, scale)
    return type(left) is type(right) and bool(left == right)


def _close(left: float, right: float, scale: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    greater = max(abs(left), abs(right))
    return greater < math.inf and abs(left - right) <= max(_ULPS * math.ulp(greater), _RELATIVE * max(greater, scale))


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for each in value:
            yield from _floats(each)
    elif type(value) is float:
        yield value
