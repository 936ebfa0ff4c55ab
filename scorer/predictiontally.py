"""The predictions of the model, counted as they are answered: none is lost with a worker that is killed."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .bins import scalars
from .manifest import Model
from .tallies import Layout, Tallies

MAX_CLASSES = 1000
OTHER = "other"

# 1 and 3 times each power of ten: one fixed set that tells apart house prices as well as fractions.
DEFAULT_BUCKETS = (
    *(-(10.0**power) for power in range(8, -4, -1)),
    0.0,
    *(factor * 10.0**power for power in range(-3, 9) for factor in (1.0, 3.0)),
)

_MOST_SUMMED = 1e290
"""Greater ones are counted and not summed: what once overflowed stays infinite. 10^18 of these don't."""
_GREATEST = sys.float_info.max
_MANY = 32
"""From so many on, numpy is faster than a loop."""


class PredictionTally:
    """Counts predictions by class or, of a regressor, by bucket, and the time that they took.

    `labels` and `buckets` are what is told apart; one of them is empty, both are for a model that is neither.
    """

    def __init__(self, model: Model, buckets: Sequence[float] | None, layout: Layout) -> None:
        """Take the places of what is counted; nothing is before `tallies` is there."""
        self.labels: list[str] = []
        self.buckets: list[float] = []
        if model.task in ("classifier", "outlier_detector"):
            # A label that the classifier did not announce is counted, but may not make a new series each time.
            self.labels = list(dict.fromkeys([*map(str, model.classes[:MAX_CLASSES]), OTHER]))
        elif model.task == "regressor":
            found = model.reference.buckets if model.reference is not None else ()
            self.buckets = [bound for bound in (buckets or found or DEFAULT_BUCKETS) if bound != float("inf")]
        self.calls = layout.take()
        self.seconds = layout.take()
        self.sum = layout.take()
        self.counts = layout.take(len(self.labels) or len(self.buckets) + 1)
        self.tallies: Tallies | None = None
        self._places = {label: self.counts + i for i, label in enumerate(self.labels)}
        self._bounds = np.array(self.buckets)

    def count(self, seconds: float, predictions: Sequence[Any]) -> None:
        """Count the predictions for one request, as JSON has them, that took `seconds`."""
        assert self.tallies is not None
        cells = self.tallies.cells
        cells[self.calls] += 1
        cells[self.seconds] += seconds
        values: Sequence[Any] = predictions
        if predictions and isinstance(predictions[0], list):
            values = list(scalars(predictions))
        if self.labels:
            self._count_labels(values, cells)
        elif self.buckets:
            self._count_numbers(values, cells)

    def _count_labels(self, values: Sequence[Any], cells: Any) -> None:
        places = self._places
        if len(values) == 1:
            cells[places.get(str(values[0]), places[OTHER])] += 1
            return
        # As text: 1 and true are two labels of two outputs, and equal in Python.
        for label, count in Counter(map(str, values)).items():
            cells[places.get(label, places[OTHER])] += count

    def _count_numbers(self, values: Sequence[Any], cells: Any) -> None:
        # What is no number would be the sum's last value for ever; its answer is null.
        numbers = [value for value in values if isinstance(value, (int, float)) and value - value == 0]
        summed = [number for number in numbers if -_MOST_SUMMED <= number <= _MOST_SUMMED]
        if len(numbers) < _MANY:
            for number in numbers:
                cells[self.counts + bisect_left(self.buckets, number)] += 1
            cells[self.sum] += sum(summed)
            return
        assert self.tallies is not None
        if len(summed) < len(numbers):  # An integer may be too large for a float.
            numbers = [min(max(number, -_GREATEST), _GREATEST) for number in numbers]
        array = np.array(numbers, dtype=np.float64)
        found = np.bincount(np.searchsorted(self._bounds, array), minlength=len(self.buckets) + 1)
        self.tallies.array[self.counts : self.counts + len(found)] += found
        cells[self.sum] += float(np.sum(summed, dtype=np.float64))
