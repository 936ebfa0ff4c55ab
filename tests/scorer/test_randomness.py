"""The proof names estimators that nobody can train again in the same way, and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import (
    BaggingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from scorer.randomness import unseeded_warnings
from tests.scorer.image import Image

NUMBERS = np.random.default_rng(0).random((60, 5))


class Own:
    """An estimator that nobody derived from scikit-learn's."""

    def predict(self, _rows: Any) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (RandomForestClassifier(), ["RandomForestClassifier"]),
        (RandomForestClassifier(random_state=0), []),
        (RandomForestClassifier(random_state=np.random.RandomState(1)), []),
        (MLPClassifier(), ["MLPClassifier"]),
        (LogisticRegression(), []),
        (LogisticRegression(solver="saga"), ["LogisticRegression"]),
        (LogisticRegression(solver="liblinear"), []),
        (LogisticRegression(solver="liblinear", dual=True), ["LogisticRegression"]),
        (Ridge(), []),
        (Ridge(solver="sag"), ["Ridge"]),
        (Lasso(), []),
        (LinearSVC(), []),
        (SVC(), []),
        (SGDClassifier(shuffle=False), []),
        (SGDClassifier(), ["SGDClassifier"]),
        (KMeans(2), ["KMeans"]),
        (KMeans(2, init=NUMBERS[:2]), []),
        (PCA(2).fit(NUMBERS), []),
        (PCA(2, svd_solver="randomized").fit(NUMBERS), ["PCA"]),
        (TruncatedSVD(2), ["TruncatedSVD"]),
        (QuantileTransformer(), []),
        (HistGradientBoostingClassifier(max_iter=2).fit(NUMBERS, NUMBERS[:, 0] > 0.5), []),
        (
            HistGradientBoostingClassifier(max_iter=2, early_stopping=True).fit(NUMBERS, NUMBERS[:, 0] > 0.5),
            ["HistGradientBoostingClassifier"],
        ),
        (
            make_pipeline(StandardScaler(), make_pipeline(DecisionTreeClassifier())),
            ["DecisionTreeClassifier (pipeline__decisiontreeclassifier)"],
        ),
        (GridSearchCV(MLPClassifier(), {"alpha": [1]}), ["MLPClassifier (estimator)"]),
        (
            VotingClassifier([("a", RandomForestClassifier(random_state=0)), ("b", MLPClassifier())]),
            ["MLPClassifier (b)"],
        ),
        (BaggingClassifier(DecisionTreeClassifier(), random_state=0), []),
        (BaggingClassifier(DecisionTreeClassifier()), ["BaggingClassifier"]),
        (Own(), []),
    ],
    ids=lambda value: "" if isinstance(value, list) else type(value).__name__,  # An address differs each time.
)
def test_only_estimators_that_drew_numbers_are_named(estimator: Any, named: list[str]) -> None:
    warnings = unseeded_warnings([estimator], ["04-model.ipynb"])
    assert [warning.partition(" has random_state=None: ")[0] for warning in warnings] == [
        f"04-model.ipynb: {name}" for name in named
    ]


def test_proof_warns_unless_the_build_was_seeded(image: Image) -> None:
    image.write_stages([StandardScaler().fit(NUMBERS), RandomForestClassifier(3).fit(NUMBERS, NUMBERS[:, 0] > 0.5)])
    (warning,) = image.check([NUMBERS[:3]])["warnings"]
    assert "RandomForestClassifier has random_state=None" in warning
    assert image.check([NUMBERS[:3]], is_seeded=True)["warnings"] == []
