"""Two things in turn, A B A B … A: what counts is the ratio of each B to the A's beside it.

A machine that becomes slower changes all three, and their ratio little. Where the two A's differ too much, something
else happened meanwhile, and the pair is measured again.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
MOST_DIFFERENCE = 0.15


@dataclass(frozen=True, kw_only=True)
class Pair(Generic[T]):
    """A measurement of B between two of A."""

    before: T
    middle: T
    after: T

    def ratio(self, value: Callable[[T], float]) -> float:
        """Return B's value over the mean of A's."""
        return value(self.middle) / statistics.mean((value(self.before), value(self.after)))

    def difference(self, value: Callable[[T], float]) -> float:
        """Return how far the values of the two A's are apart, as a part of their mean."""
        before, after = value(self.before), value(self.after)
        return abs(before - after) / statistics.mean((before, after))


@dataclass(frozen=True, kw_only=True)
class Alternation(Generic[T]):
    """The pairs that count, how many were measured again, and how many count although their A's differ too much."""

    pairs: Sequence[Pair[T]]
    repeated: int
    unsettled: int

    def ratios(self, value: Callable[[T], float]) -> list[float]:
        return [pair.ratio(value) for pair in self.pairs]

    @property
    def firsts(self) -> list[T]:
        """Return the measurements of A, each once for each pair."""
        return [pair.before for pair in self.pairs]

    @property
    def seconds(self) -> list[T]:
        """Return the measurements of B."""
        return [pair.middle for pair in self.pairs]

    @property
    def remark(self) -> str:
        """Say what was not as it should be."""
        repeated = f"  repeated: {self.repeated}" if self.repeated else ""
        return repeated + (f"  UNSETTLED: {self.unsettled}" if self.unsettled else "")


def alternate(
    first: Callable[[], T], second: Callable[[], T], value: Callable[[T], float], pairs: int
) -> Alternation[T]:
    """Measure `pairs` pairs of A, `first`, and B, `second`; repeat as many of them at most."""
    found: list[Pair[T]] = []
    repeated = unsettled = 0
    before = first()
    while len(found) < pairs:
        pair = Pair(before=before, middle=second(), after=first())
        before = pair.after
        if pair.difference(value) > MOST_DIFFERENCE:
            if repeated < pairs:
                repeated += 1
                continue
            unsettled += 1
        found.append(pair)
    return Alternation(pairs=found, repeated=repeated, unsettled=unsettled)
