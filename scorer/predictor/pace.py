"""How many rows may go into one call, so that nobody waits long for the calls of others."""

from __future__ import annotations

MOST_ROWS = 1024
"""The proof tries merged calls up to this size."""

_FIRST_ROWS = 64
_LEAST_EXTRA_S, _MOST_EXTRA_S = 0.002, 0.020
_WEIGHT = 0.2
_WHOLE_WEIGHT_ROWS = 16
_MOST_GROWTH = 2.0
_HOPE = 0.98


class Pace:
    """Moving averages of how long a call of one row takes, and how much longer each further row makes it."""

    def __init__(self) -> None:
        self._one_s: float | None = None
        self._row_s = _LEAST_EXTRA_S / _FIRST_ROWS

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a call."""
        if rows == 1:
            self._one_s = _moved(self._one_s, seconds, _WEIGHT)
            if self.rows == 1:
                # Calls of one row say nothing of further ones: sooner or later two have to be tried again.
                self._row_s *= _HOPE
        else:
            # A call may by chance be shorter than those of one row, or be the one that had to wait for the machine.
            extra_s = max(seconds - (self._one_s or 0.0), seconds / 50)
            row_s = min(extra_s / rows, self._row_s * _MOST_GROWTH)
            self._row_s = _moved(self._row_s, row_s, _WEIGHT * min(rows / _WHOLE_WEIGHT_ROWS, 1.0))

    @property
    def rows(self) -> int:
        """How many rows a call may have: it may take about twice as long as one of one row."""
        extra_s = min(max(self._one_s or 0.0, _LEAST_EXTRA_S), _MOST_EXTRA_S)
        return min(max(int(extra_s / self._row_s), 1), MOST_ROWS)


def _moved(average: float | None, value: float, weight: float) -> float:
    return value if average is None else average + weight * (value - average)
