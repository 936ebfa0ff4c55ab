"""Counting values by bin, in the same way for a build's reference and for what a service is asked, and comparing both.

The population stability index and its usual thresholds (0.1: some change, 0.25: much) are those of N. Siddiqi, Credit
Risk Scorecards, 2006. An empty bin counts as 1 in 10,000, since the logarithm has no value there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .inputs import array_column
from .manifest import Column, Distribution, Input, Label

LEAST_PROPORTION = 1e-4
MOST_COLUMNS = 200
"""How many columns are looked at: each is some series of its own."""
MISSING = "(missing)"
OTHER = "(other)"
_LONGEST_LABEL = 64


class Bins:
    """Counts cells, or predictions, by the bins of one distribution."""

    def __init__(self, distribution: Distribution) -> None:
        self._measure = distribution.measure
        self._edges = np.array(distribution.edges, dtype=np.float64)
        # Values that a label can't tell apart are one bin.
        labels = [label_of(value) for value in distribution.values]
        self.labels = _labels_of_edges(distribution.edges) if self._measure != "value" else list(dict.fromkeys(labels))
        self._index = {
            value: self.labels.index(label) for value, label in zip(distribution.values, labels, strict=True)
        }
        if self._measure == "value":
            self.labels.append(OTHER)
        self.labels.append(MISSING)
        self.expected = self._merged(distribution, labels)

    @property
    def counts_numbers(self) -> bool:
        """Whether `count` asks for numbers."""
        return self._measure == "number"

    def count(self, cells: Sequence[Any], numbers: Any) -> Any:
        """Return how many cells are in each bin, as an array.

        Args:
            cells: n JSON values.
            numbers: The same as an array of floats, with NaN for what is missing; None where they are no numbers.
        """
        if self._measure == "value":
            return self._count_values(Counter(cells))
        if self._measure == "length":
            numbers = lengths(cells)
        # NaN is sorted behind everything, so that it falls into the last bin of the numbers.
        found = np.bincount(np.searchsorted(self._edges, numbers), minlength=len(self.labels))
        missing = int(np.count_nonzero(np.isnan(numbers)))
        found[-2] -= missing
        found[-1] = missing
        return found

    def _count_values(self, counted: Counter[Any]) -> Any:
        found = np.zeros(len(self.labels))
        missing = counted.pop(None, 0)
        other = len(self.labels) - 2
        for value, count in counted.items():
            found[self._index.get(value, other)] += count
        found[-1] = missing
        return found

    def _merged(self, distribution: Distribution, labels: Sequence[str]) -> Any:
        if self._measure != "value":
            return np.array(distribution.proportions)
        expected = np.zeros(len(self.labels))
        for label, proportion in zip(labels, distribution.proportions, strict=False):
            expected[self.labels.index(label)] += proportion
        expected[-2:] += distribution.proportions[-2:]
        return expected


def psi(expected: Any, counts: Any) -> float:
    """Return the population stability index of counts by bin against the proportions that were expected."""
    p = np.maximum(expected, LEAST_PROPORTION)
    q = np.maximum(counts / counts.sum(), LEAST_PROPORTION)
    return float(((q - p) * np.log(q / p)).sum())


def label_of(value: Label) -> str:
    """Return a value as a label, cut to a length that a label may have."""
    return str(value)[:_LONGEST_LABEL]


def lengths(texts: Sequence[Any]) -> Any:
    """Return how many characters each text has, NaN where there is none."""
    return np.array([np.nan if text is None else len(text) for text in texts], dtype=np.float64)


def used_columns(spec: Input) -> list[Column]:
    """Return the first columns of a row of a request; those of an array, and a text, are named by their index."""
    match spec.kind:
        case "frame":
            return [column for column in spec.columns if not column.optional][:MOST_COLUMNS]
        case "array":
            cell = array_column(spec)
            width = min(spec.width, MOST_COLUMNS)
            return [Column(name=str(i), kind=cell.kind, nullable=cell.nullable) for i in range(width)]
        case "text":
            return [Column(name="0", kind="string")]


def scalars(predictions: Sequence[Any]) -> Iterator[Any]:
    """Yield every predicted value; a model with several outputs predicts a list for each row."""
    for prediction in predictions:
        if isinstance(prediction, list):
            yield from scalars(prediction)
        else:
            yield prediction


def _labels_of_edges(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["any"]
    return [*(f"<= {edge:.12g}" for edge in edges), f"> {edges[-1]:.12g}"]
