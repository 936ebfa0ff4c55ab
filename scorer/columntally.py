"""What of the rows that were predicted is worth counting by column: missing, unseen, out of range, and by bin.

Looking at each cell when its request is answered would take longer than all else that a worker does for it. So rows are
put aside, which costs nothing, and counted some hundreds at a time, by column.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from .bins import Bins, scalars, used_columns
from .manifest import Column, ColumnReference, Model
from .matrix import Matrix, Rows
from .tallies import Layout, Tallies

ENOUGH_ROWS = 1024
"""What is counted in one go, while requests wait: a millisecond or two."""

MISSING, UNSEEN, OUT_OF_RANGE = range(3)
_COUNTS = 3


class ColumnTally:
    """Counts the rows of one worker."""

    def __init__(self, model: Model, layout: Layout) -> None:
        """Take the places of what is counted; nothing is before `tallies` is there."""
        reference = model.reference
        described = {} if reference is None else {column.name: column for column in reference.columns}
        self.rows = layout.take()
        self.columns = [
            TalliedColumn(column, described.get(column.name), position, layout)
            for position, column in enumerate(used_columns(model.input))
        ]
        self.predictions = None if reference is None or reference.predictions is None else Bins(reference.predictions)
        self.prediction_bins = layout.take(0 if self.predictions is None else len(self.predictions.labels))
        self.tallies: Tallies | None = None
        self._is_text = model.input.kind == "text"
        self._numbers = [column for column in self.columns if column.is_number]
        self._others = [column for column in self.columns if not column.is_number]
        self._positions = [column.position for column in self._numbers]
        self._are_all_numbers = len(self._numbers) == len(self.columns)
        self._is_wide = not self._is_text and model.input.width > len(self.columns)
        self._low = np.array([[column.low] for column in self._numbers])
        self._high = np.array([[column.high] for column in self._numbers])
        self._pending: deque[tuple[Rows, Sequence[Any]]] = deque()
        self._pending_rows = 0
        self._is_scheduled = False

    def add(self, rows: Rows, predictions: Sequence[Any]) -> None:
        """Put the rows of one request aside, as `decode.Batch` has them, with their predictions."""
        self._pending.append((rows, predictions))
        self._pending_rows += len(rows)
        if self._pending_rows >= ENOUGH_ROWS and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._count_some)

    def count(self) -> None:
        """Count all that was put aside."""
        while self._pending:
            self._count(*self._take())

    def _count_some(self) -> None:
        self._is_scheduled = False
        if self._pending:
            self._count(*self._take())
        if self._pending_rows >= ENOUGH_ROWS:
            # Another turn of the loop lies between them: a request of very many rows holds nobody up.
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._count_some)

    def _take(self) -> tuple[list[Any], list[Matrix], list[Any]]:
        """Take rows, those that are in matrices, and the predictions for all of them, in whatever order."""
        rows: list[Any] = []
        matrices: list[Matrix] = []
        predictions: list[Any] = []
        while self._pending and (room := ENOUGH_ROWS - len(predictions)) > 0:
            first, predicted = self._pending.popleft()
            if len(first) > room:
                self._pending.appendleft((first[room:], predicted[room:]))
                first, predicted = first[:room], predicted[:room]
            if isinstance(first, Matrix):
                matrices.append(first)
            else:
                rows += first
            predictions += predicted
        self._pending_rows -= len(predictions)
        return rows, matrices, predictions

    def _count(self, rows: list[Any], matrices: Sequence[Matrix], predictions: Sequence[Any]) -> None:
        assert self.tallies is not None
        array = self.tallies.array
        array[self.rows] += len(predictions)
        if not self._are_all_numbers:
            rows += [row for matrix in matrices for row in matrix.to_rows()]
        if self._is_wide:
            rows = [row[: len(self.columns)] for row in rows]
        if self._are_all_numbers:
            parts = [matrix.to_array()[:, : len(self.columns)] for matrix in matrices]
            if rows:
                parts.append(np.array(rows, dtype=np.float64))
            self._count_numbers(np.concatenate(parts).T, array)
        else:
            columns = [rows] if self._is_text else list(zip(*rows, strict=True))
            if self._numbers:
                self._count_numbers(np.array([columns[i] for i in self._positions], dtype=np.float64), array)
            for column in self._others:
                column.count(columns[column.position], array)
        if self.predictions is not None:
            values = list(scalars(predictions))
            numbers = _numbers_among(values) if self.predictions.counts_numbers else None
            _add(array, self.prediction_bins, self.predictions.count(values, numbers))

    def _count_numbers(self, cells: Any, array: Any) -> None:
        """Count columns of numbers: `cells` has a row for each of these, with NaN for what is missing."""
        missing = np.count_nonzero(np.isnan(cells), axis=1)
        outside = np.count_nonzero((cells < self._low) | (cells > self._high), axis=1)
        for i, column in enumerate(self._numbers):
            if missing[i]:
                array[column.counts + MISSING] += missing[i]
            if outside[i]:
                array[column.counts + OUT_OF_RANGE] += outside[i]
            if column.bins is not None:
                _add(array, column.bins_at, column.bins.count((), cells[i]))


class TalliedColumn:
    """One column, and where its counts are: `counts` + MISSING, UNSEEN or OUT_OF_RANGE, and `bins_at` the bins'."""

    def __init__(self, column: Column, reference: ColumnReference | None, position: int, layout: Layout) -> None:
        self.name = column.name
        self.position = position
        self.counts = layout.take(_COUNTS)
        distribution = None if reference is None else reference.distribution
        self.bins = None if distribution is None else Bins(distribution)
        self.bins_at = layout.take(0 if self.bins is None else len(self.bins.labels))
        self.known = _known(column, reference)
        self.is_number = column.kind in ("number", "integer") and not column.categories
        has_limits = self.is_number and reference is not None and reference.low is not None
        self.has_limits = has_limits
        self.low = reference.low if reference is not None and reference.low is not None else -np.inf
        self.high = reference.high if reference is not None and reference.high is not None else np.inf

    def count(self, cells: Sequence[Any], array: Any) -> None:
        """Count cells that aren't numbers."""
        if self.bins is not None:
            _add(array, self.bins_at, self.bins.count(cells, None))
        if self.known is None:
            missing = sum(cell is None for cell in cells)
        else:
            counted = Counter(cells)
            missing = counted[None]
            array[self.counts + UNSEEN] += sum(n for cell, n in counted.items() if cell not in self.known) - missing
        if missing:
            array[self.counts + MISSING] += missing


def _known(column: Column, reference: ColumnReference | None) -> frozenset[Any] | None:
    """Return all values that the column had, None where that can't be told."""
    if column.categories:
        return frozenset(column.categories)
    distribution = None if reference is None else reference.distribution
    if distribution is None or reference is None or not reference.is_complete or distribution.measure != "value":
        return None
    return frozenset(distribution.values)


def _numbers_among(values: Sequence[Any]) -> Any:
    try:
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.array([value if isinstance(value, (int, float)) else np.nan for value in values], dtype=np.float64)


def _add(array: Any, start: int, counts: Any) -> None:
    array[start : start + len(counts)] += counts
