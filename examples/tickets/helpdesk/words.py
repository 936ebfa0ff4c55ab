"""Features from a list of words that people can read and edit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer


class KnownWords(TransformerMixin, BaseEstimator):
    """Counts in each text the words of a vocabulary.

    Args:
        path: A JSON file, an object from each word to the number of its column. It is read when texts are transformed
            for the first time in a process, and stays a file of its own: an edited vocabulary needs no new fit as long
            as the columns stay the same.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def fit(self, texts: Iterable[str], teams: Any = None) -> KnownWords:  # noqa: ARG002 - scikit-learn passes both
        """Check that the vocabulary can be read; there is nothing to learn."""
        self.n_words_ = len(read_vocabulary(self.path))
        return self

    def transform(self, texts: Iterable[str]) -> Any:
        """Return a sparse matrix with one row a text and one column a word."""
        return CountVectorizer(vocabulary=read_vocabulary(self.path)).transform(texts)


@cache
def read_vocabulary(path: str) -> dict[str, int]:
    """Return the column of each word."""
    vocabulary: dict[str, int] = json.loads(Path(path).read_text(encoding="utf-8"))
    return vocabulary
