"""Whether two answers of a model are the same, as far as the order of floating-point sums may differ."""

from __future__ import annotations

import math
from typing import Any

_ULPS = 4
_RELATIVE = 1e-12


def same(left: Any, right: Any) -> bool:
    """Compare JSON values: labels have to be equal, floats within 4 units in the last place or 1e-12 of the greater."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if type(left) is float and type(right) is float:
        return left == right or _close(left, right)
    return type(left) is type(right) and bool(left == right)


def _close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    greater = max(abs(left), abs(right))
    return greater < math.inf and abs(left - right) <= max(_ULPS * math.ulp(greater), _RELATIVE * greater)
