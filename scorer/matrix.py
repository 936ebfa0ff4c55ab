"""Rows of numbers in one piece: what many rows of an array are, from the decoder to the model and to what is counted.

As lists they would be taken apart and put together again by the wire, by the model's side and by the tally, each of
which takes longer than many a model does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_BYTES = 8


@dataclass(frozen=True, slots=True)
class Matrix:
    """n rows of `width` numbers each; `data` has them as 64-bit floats of this machine, row by row."""

    data: bytes
    width: int

    def __len__(self) -> int:
        return len(self.data) // (_BYTES * self.width)

    def __getitem__(self, rows: slice) -> Matrix:
        start, stop, _ = rows.indices(len(self))
        row_bytes = _BYTES * self.width
        return Matrix(self.data[start * row_bytes : stop * row_bytes], self.width)

    def to_array(self) -> Any:
        """Return an array of shape (n, width) that nobody can write to."""
        return np.frombuffer(self.data).reshape(-1, self.width)

    def to_rows(self) -> list[list[float]]:
        """Return the rows as lists."""
        rows: list[list[float]] = self.to_array().tolist()
        return rows

    @staticmethod
    def joined(parts: Iterable[Matrix]) -> Matrix:
        """Return the rows of several, of one width, one behind the other."""
        first, *others = parts
        return Matrix(b"".join([first.data, *(other.data for other in others)]), first.width) if others else first


Rows = Sequence[Any] | Matrix
"""Checked rows of a model's input: n texts, n lists of cells, or a matrix."""
