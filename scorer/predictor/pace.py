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
_MERGED = 2
_KNOWN_CALLS = 64
_RARE_WEIGHT = 0.5


class Pace:
    """Moving averages of how long a call of one row takes, and how much longer each further row makes it."""

    def __init__(self) -> None:
        self._one_s: float | None = None
        self._row_s = _LEAST_EXTRA_S / _FIRST_ROWS
        self._others = 0
        """Calls since the last one of one row."""

    def observe(self, rows: int, seconds: float) -> None:
        """Learn from a call."""
        if rows == 1:
            if self.wants_one:
                # It may be the one that had to wait for the machine, and the next that tells is far away.
                most_s = seconds if self._one_s is None else self._one_s * _MOST_GROWTH
                self._one_s = _moved(self._one_s, min(seconds, most_s), _RARE_WEIGHT)
            else:
                self._one_s = _moved(self._one_s, seconds, _WEIGHT)
            self._others = 0
            if self.rows == 1:
                # Calls of one row say nothing of further ones: sooner or later two have to be tried again.
                self._row_s *= _HOPE
        else:
            self._others += 1
            # A call may by chance be shorter than those of one row, or be the one that had to wait for the machine.
            extra_s = max(seconds - (self._one_s or 0.0), seconds / 50)
            row_s = min(extra_s / rows, self._row_s * _MOST_GROWTH)
            self._row_s = _moved(self._row_s, row_s, _WEIGHT * min(rows / _WHOLE_WEIGHT_ROWS, 1.0))

    @property
    def wants_one(self) -> bool:
        """Whether it is unknown by now what a call of one row takes: where none comes by itself, one has to be made."""
        return self._one_s is None or self._others >= _KNOWN_CALLS

    @property
    def rows(self) -> int:
        """How many rows of one request a call may have: it may take about twice as long as one of one row."""
        return self._within(1)

    @property
    def merged_rows(self) -> int:
        """How many rows of several requests: more, for all of these would wait for calls of their own."""
        return self._within(_MERGED)

    def _within(self, calls: int) -> int:
        """Return how many rows take so many calls of one row longer than one row does."""
        extra_s = min(calls * max(self._one_s or 0.0, _LEAST_EXTRA_S), _MOST_EXTRA_S)
        return min(max(int(extra_s / self._row_s), 1), MOST_ROWS)


def _moved(average: float | None, value: float, weight: float) -> float:
    return value if average is None else average + weight * (value - average)
