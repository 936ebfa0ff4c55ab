from __future__ import annotations

from typing import Any

import pytest

from tests.scorer.conftest import NewImage, built
from tests.scorer.image import Image


@pytest.fixture(scope="session")
def odd_image(new_image: NewImage) -> Image:
    return built(new_image(), odd_stages(), [[1.0], [3.0]])


def odd_stages() -> list[Any]:
    """Doubles a value; prints, reads, and has odd numbers that it doesn't like."""
    from sklearn.base import BaseEstimator, RegressorMixin  # noqa: PLC0415 - as the class, by value

    class Odd(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
        """Pickled by value, since no module has it."""

        def fit(self, _rows: Any, _values: Any = None) -> Any:
            self.n_features_in_ = 1
            return self

        def predict(self, rows: Any) -> Any:
            import sys  # noqa: PLC0415 - where it is unpickled
            import time  # noqa: PLC0415 - as above

            print(f"predicting {len(rows)} rows, and stdin has {sys.stdin.read()!r}")  # noqa: T201 - as models do
            if 13 in rows:
                raise KeyError("no thirteens")
            if 17 in rows:
                sys.exit(3)
            if 99 in rows:
                time.sleep(60)
            return rows[:, 0] * 2

    return [Odd().fit([[1.0]])]
