"""The rules by which `make bench-serve` counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bench.serving.alternation import alternate
from bench.serving.load import percentile


def in_turn(values: Sequence[float]) -> Callable[[], float]:
    left = list(values)
    return lambda: left.pop(0)


def itself(value: float) -> float:
    return value


def test_each_b_counts_over_the_mean_of_the_as_beside_it() -> None:
    found = alternate(in_turn([100, 110, 100]), in_turn([210, 315]), itself, 2)
    assert found.ratios(itself) == [2.0, 3.0]
    assert (found.firsts, found.seconds, found.remark) == ([100, 110], [210, 315], "")


def test_pair_whose_as_differ_is_measured_again() -> None:
    found = alternate(in_turn([100, 200, 200]), in_turn([999, 400]), itself, 1)
    assert found.ratios(itself) == [2.0]
    assert found.remark == "  repeated: 1"


def test_pair_that_never_settles_counts_and_is_marked() -> None:
    found = alternate(in_turn([100, 200, 100]), in_turn([999, 300]), itself, 1)
    assert found.ratios(itself) == [2.0]
    assert found.remark == "  repeated: 1  UNSETTLED: 1"


@pytest.mark.parametrize(("percent", "value"), [(50, 5.0), (99, 10.0), (99.9, 10.0), (1, 1.0)])
def test_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 11)], percent) == value
