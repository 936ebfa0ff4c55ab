"""The tree that is made of a fitted pipeline, whatever the author put into it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from scorer import diagram
from scorer.diagram import Node
from scorer.model import LoadedStage, compose
from tests.scorer import models
from tests.scorer.models import FLOWERS, HOUSES

LABELS = ["a", "b", "c", "a"]


def drawn(*stages: Any) -> Node:
    loaded = [LoadedStage(name=f"stage-{i}", estimator=stage, format="pickle") for i, stage in enumerate(stages)]
    tree = diagram.draw(compose(loaded))
    json.dumps(tree)
    return tree


def the_step(*stages: Any) -> Node:
    step: Node = drawn(*stages)["children"][-1]
    return step


def outline(node: Node) -> Any:
    """Return the classes alone: a name, or a name with those below it."""
    children = [outline(child) for child in node.get("children", ())]
    return (node["class"], node["arrangement"], children) if children else node["class"]


def test_stages_are_steps_of_one_pipeline() -> None:
    tree = drawn(*models.flower_stages())
    assert outline(tree) == ("Pipeline", "sequence", ["StandardScaler", "LogisticRegression"])
    last = tree["children"][1]
    assert last == {
        "name": "stage-1",
        "class": "LogisticRegression",
        "module": "sklearn.linear_model._logistic",
        "parameters": {"C": "1000"},
    }


def test_branches_have_their_columns_and_the_rest_is_told() -> None:
    columns = drawn(*models.house_stages())["children"][0]
    assert outline(columns) == (
        "ColumnTransformer",
        "parallel",
        ["SimpleImputer", ("Pipeline", "sequence", ["SimpleImputer", "OneHotEncoder"]), "passthrough", "drop"],
    )
    assert [child["columns"] for child in columns["children"]] == [
        ["rooms", "area"],
        ["town"],
        ["garden"],
        ["owner", "price"],
    ]


@pytest.mark.parametrize(
    ("chosen", "columns"),
    [
        pytest.param([0, 2], ["0", "2"], id="positions"),
        pytest.param(slice(1, 3), ["1:3"], id="slice"),
        pytest.param([False, True, False, True], ["1", "3"], id="mask"),
    ],
)
def test_columns_without_names_are_positions(chosen: Any, columns: list[str]) -> None:
    step = make_pipeline(ColumnTransformer([("some", StandardScaler(), chosen)]), LogisticRegression())
    node = the_step(step.fit(FLOWERS, LABELS))
    assert node["children"][0]["children"][0]["columns"] == columns


META = {
    "search": (
        GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2),
        ("GridSearchCV", "inside", ["LogisticRegression"]),
    ),
    "one-for-each-class": (
        OneVsRestClassifier(LogisticRegression()),
        ("OneVsRestClassifier", "inside", ["LogisticRegression"]),
    ),
    "vote": (
        VotingClassifier([("scaled", make_pipeline(StandardScaler(), LogisticRegression())), ("no", "drop")]),
        ("VotingClassifier", "inside", [("Pipeline", "sequence", ["StandardScaler", "LogisticRegression"])]),
    ),
    "stack": (
        StackingClassifier([("one", LogisticRegression())], LogisticRegression(), cv=2),
        ("StackingClassifier", "inside", ["LogisticRegression", "LogisticRegression"]),
    ),
    "forest": (RandomForestClassifier(3), "RandomForestClassifier"),
    "union": (
        make_pipeline(FeatureUnion([("pca", PCA(2)), ("no", "drop")]), LogisticRegression()),
        (
            "Pipeline",
            "sequence",
            [("FeatureUnion", "parallel", ["PCA", "drop"]), "LogisticRegression"],
        ),
    ),
}


@pytest.mark.filterwarnings("ignore")  # Folds of so few rows.
@pytest.mark.parametrize("name", META)
def test_estimators_inside_of_others_are_drawn(name: str) -> None:
    estimator, expected = META[name]
    assert outline(the_step(estimator.fit(np.repeat(FLOWERS, 4, axis=0), np.repeat(LABELS, 4)))) == expected


def test_what_was_fitted_is_drawn_and_not_what_it_was_made_of() -> None:
    fitted = TransformedTargetRegressor(make_pipeline(StandardScaler(), LinearRegression())).fit(FLOWERS, [1, 2, 3, 4])
    fitted.regressor_.steps[-1] = ("last", LinearRegression(fit_intercept=False))
    assert the_step(fitted)["children"][0]["children"][-1]["parameters"] == {"fit_intercept": "False"}


class Odd(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator of an author's own, with a parameter of whatever kind."""

    def __init__(self, value: Any = None, password: Any = None, token_pattern: Any = None) -> None:
        self.value = value
        self.password = password
        self.token_pattern = token_pattern

    def fit(self, _rows: Any) -> Odd:
        return self

    def transform(self, rows: Any) -> Any:
        return rows

    def predict(self, rows: Any) -> Any:
        return [0] * len(rows)


class Loud:
    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("x" * 10_000, "xxx...xxx", id="long-text"),
        pytest.param(list(range(10_000)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]", id="long-list"),
        pytest.param(np.zeros((1000, 3)), "ndarray of shape (1000, 3)", id="array"),
        pytest.param(np.float64(0.5), "0.5", id="number-of-numpy"),
        pytest.param(float("nan"), "nan", id="nan"),
        pytest.param(pd.DataFrame({"a": [1]}), "DataFrame(…)", id="frame"),
        pytest.param(Loud(), "Loud(…)", id="object-that-raises"),
        pytest.param({"a": [Loud()]}, "{'a': [Loud(…)]}", id="object-inside"),
        pytest.param(str.lower, "str.lower", id="function"),
        pytest.param(Loud, "Loud", id="class"),
        pytest.param("postgresql://me:pass@host/data", "****", id="address-with-password"),
    ],
)
def test_parameter_is_told_in_short(value: Any, text: str) -> None:
    told = the_step(Odd(value))["parameters"]["value"]
    assert len(told) <= diagram.LONGEST
    assert text in told


def test_parameter_that_is_called_a_secret_is_held_back() -> None:
    parameters = the_step(Odd(password="geheim", token_pattern="[a-z]+"))["parameters"]
    assert parameters == {"password": "****", "token_pattern": "'[a-z]+'"}


class Hostile(Odd):
    def get_params(self, **_: bool) -> Any:
        raise SystemExit(3)


class Plain:
    """No estimator of scikit-learn's at all."""

    def predict(self, rows: Any) -> Any:
        return [0] * len(rows)


@pytest.mark.parametrize("stage", [Hostile(), Plain()], ids=["raises", "plain"])
def test_estimator_that_tells_nothing_is_a_box_with_its_class(stage: Any) -> None:
    assert the_step(stage) == {"name": "stage-0", "class": type(stage).__qualname__, "module": type(stage).__module__}


def test_tree_has_an_end() -> None:
    deep: Any = Odd()
    for _ in range(50):
        deep = Pipeline([("inner", deep)])
    text = json.dumps(drawn(deep))
    assert text.count('"class"') == diagram.MOST_DEPTH + 1
    assert '"more_children": 1' in text

    itself = Pipeline([("one", Odd())])
    itself.steps.insert(0, ("again", itself))
    assert json.dumps(drawn(itself)).count('"class"') <= diagram.MOST_NODES + 1

    wide = FeatureUnion([(f"f{i}", FunctionTransformer()) for i in range(1000)]).fit(FLOWERS)
    node = drawn(wide, Odd())["children"][0]
    assert len(node["children"]) + node["more_children"] == 1000
    assert len(node["children"]) < diagram.MOST_NODES


def test_many_columns_are_counted() -> None:
    frame = pd.DataFrame(np.zeros((4, 300)), columns=[f"column {i}" for i in range(300)])
    fitted = ColumnTransformer([("all", OneHotEncoder(), list(frame.columns))]).fit(frame)
    (branch,) = drawn(fitted, Odd())["children"][0]["children"]
    assert len(branch["columns"]) == diagram.MOST_COLUMNS
    assert branch["more_columns"] == 300 - diagram.MOST_COLUMNS
    assert HOUSES.shape[1] < diagram.MOST_COLUMNS
