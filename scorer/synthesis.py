"""Inputs made from the fitted stages alone, for a notebook that left no sample behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .model import final_estimator, first_estimator
from .sample import takes_texts
from .schema import learned_categories


def synthetic_candidates(pipeline: Any) -> Iterator[Any]:
    """Yield inputs that the pipeline may take, likeliest first."""
    if takes_texts(pipeline):
        yield ["The quick brown fox jumps over the lazy dog."]
        return
    first = first_estimator(pipeline)
    names = getattr(first, "feature_names_in_", None)
    if names is not None:
        yield _frame([str(name) for name in names], learned_categories(pipeline))
    width = getattr(first, "n_features_in_", None)
    if isinstance(width, int):
        yield np.zeros((1, width))
    elif first is final_estimator(pipeline) or width is None:
        yield ["The quick brown fox jumps over the lazy dog."]


def _frame(names: list[str], categories: dict[str, tuple[Any, ...]]) -> Any:
    import pandas as pd  # noqa: PLC0415 - the stage was fitted on a DataFrame.

    return pd.DataFrame({name: [categories[name][0]] if categories.get(name) else [0.0] for name in names})
