"""The proof: what it finds out about a pipeline, and how it reports what is wrong."""

from __future__ import annotations

import json
import pickle
import random
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from scorer.proof import prove
from tests.scorer import models
from tests.scorer.image import Image


def _proved(image: Image, stages: list[Any], samples: list[Any], **options: Any) -> dict[str, Any]:
    image.write_stages(stages)
    report = image.check(samples, **options)
    assert report["ok"], report
    return report


def _failed(image: Image, stages: list[Any], samples: list[Any]) -> dict[str, Any]:
    image.write_stages(stages)
    report = image.check(samples)
    assert set(report) == {"ok", "kind", "stage", "message", "details", "missing"}
    assert report["ok"] is False
    assert "\n" not in report["message"]
    return report


def test_a_text_classifier_is_described(image: Image) -> None:
    # A notebook's variables hold other things too: its labels' frame, its features after the first stage.
    vectorizer, classifier = models.text_stages()
    features = vectorizer.transform(models.TEXTS)
    report = _proved(
        image, [vectorizer, classifier], [features, pd.DataFrame({"a": [1], "b": [2]}), pd.Series(models.TEXTS)]
    )
    assert report["model"] == {
        "task": "classifier",
        "classes": ["legitimate", "spam"],
        "input": {"kind": "text", "width": 1, "columns": [], "dtype": "list", "is_wide": False},
        "sample_shape": [4],
        "example": "The quick brown fox jumps over the lazy dog.",
        "example_is_real": False,
        "outputs": None,
        "methods": ["predict_proba", "decision_function"],
        "reference": None,
        "merging": {
            "is_reviewed": True,
            "is_proven": True,
            "reason": "each step treats rows one by one, and calls of many rows answered as calls of one",
        },
    }
    assert report["predictions"] == models.TEXT_LABELS
    assert [stage["format"] for stage in report["stages"]] == ["pickle", "pickle"]
    assert report["stages"][1]["estimator"] == "sklearn.linear_model._logistic.LogisticRegression"


def test_a_frame_is_described_by_the_columns_that_the_model_uses(image: Image) -> None:
    report = _proved(image, models.house_stages(), [models.HOUSES])
    columns = {column["name"]: column for column in report["model"]["input"]["columns"]}
    assert report["model"]["task"] == "regressor"
    assert report["model"]["sample_shape"] == [4, 6]
    assert {name for name, column in columns.items() if column["optional"]} == {"owner", "price"}
    assert {name: column["kind"] for name, column in columns.items() if not column["optional"]} == {
        "rooms": "integer",
        "area": "number",
        "town": "string",
        "garden": "boolean",
    }
    assert [columns[name]["nullable"] for name in ("rooms", "area", "town")] == [True, True, True]
    assert columns["town"]["categories"] == ["Jena", "Ulm"]
    assert set(report["model"]["example"]) == {"rooms", "area", "town", "garden"}


def test_a_table_is_no_sample_of_names_for_a_model_that_was_fitted_on_an_array(image: Image) -> None:
    # Another notebook's table has as many columns, in another order: its names would be served for the wrong ones.
    table = pd.DataFrame({"petal": [1.0, 3.0], "sepal": [2.0, 5.0]})
    fitted = LinearRegression().fit(table[["sepal", "petal"]].to_numpy(), [1.0, 2.0])
    report = _proved(image, [fitted], [table])
    assert report["model"]["input"] == {
        "kind": "array",
        "width": 2,
        "columns": [],
        "dtype": "float64",
        "is_wide": False,
    }
    assert report["predictions"] == pytest.approx(list(fitted.predict(table.to_numpy())))


@pytest.mark.parametrize("estimator", [StandardScaler(), make_pipeline(StandardScaler(), LinearRegression())])
def test_a_scaler_in_front_tells_as_well_that_it_was_fitted_on_an_array(image: Image, estimator: Any) -> None:
    table = pd.DataFrame({"a": [1.0, 3.0, 4.0], "b": [2.0, 5.0, 7.0]})
    first = estimator.fit(table.to_numpy(), [1.0, 2.0, 3.0])
    stages = [first] if hasattr(first, "predict") else [first, LinearRegression().fit(table.to_numpy(), [1, 2, 3])]
    assert _proved(image, stages, [table])["model"]["input"]["kind"] == "array"


def _own_difference() -> Any:
    class Own:
        """It is no scikit-learn estimator, and says nothing of what it was fitted on."""

        def predict(self, table: Any) -> Any:
            return (table["a"] - table["b"]).to_numpy()

    return Own()


def _of_named_features() -> Any:
    class Boosted:
        """As LightGBM has it."""

        n_features_in_ = 2
        feature_name_ = ("a", "b_c")

        def predict(self, table: Any) -> Any:
            return table["a"].to_numpy()

    return Boosted()


def _union_of_old() -> Any:
    class OldUnion(FeatureUnion):  # type: ignore[misc]  # scikit-learn has no types
        """As scikit-learn 1.2 has it."""

        @property
        def feature_names_in_(self) -> Any:
            raise AttributeError

    return OldUnion([("columns", ColumnTransformer([("all", "passthrough", ["a", "b"])]))])


NAMED = pd.DataFrame({"a": [1.0, 3.0, 4.0], "b": [2.0, 5.0, 7.0]})


@pytest.mark.parametrize(
    ("estimator", "table"),
    [
        (LinearRegression().fit(NAMED, [1.0, 2.0, 3.0]), NAMED),
        (make_pipeline(_union_of_old(), LinearRegression()).fit(NAMED, [1.0, 2.0, 3.0]), NAMED),
        (_own_difference(), NAMED),
        (_of_named_features(), NAMED.rename(columns={"b": "b c"})),
    ],
    ids=["knows names", "union", "tells neither", "has another word for it"],
)
def test_a_table_stays_a_table_where_its_names_may_count(image: Image, estimator: Any, table: Any) -> None:
    report = _proved(image, [estimator], [table])
    assert report["model"]["input"]["kind"] == "frame"
    assert [column["name"] for column in report["model"]["input"]["columns"]] == list(table.columns)


def test_whole_numbers_in_an_array_sample_do_not_make_an_integer_model(image: Image) -> None:
    model = LinearRegression().fit(np.array([[1, 2], [3, 5]]), [1.0, 2.0])
    report = _proved(image, [model], [[[1, 2], [3, 5]]])
    assert report["model"]["input"] == {
        "kind": "array",
        "width": 2,
        "columns": [],
        "dtype": "float64",
        "is_wide": False,
    }


def test_an_integer_column_that_takes_no_missing_value_is_not_nullable(image: Image) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3], "unused": ["a", "b", "c"]})
    stages = [FunctionTransformer(lambda df: df[["n"]]), LinearRegression().fit(frame[["n"]], [1.0, 2.0, 3.0])]
    columns = _proved(image, stages, [frame])["model"]["input"]["columns"]
    assert [(c["name"], c["kind"], c["nullable"], c["optional"]) for c in columns] == [
        ("n", "integer", False, False),
        ("unused", "string", True, True),
    ] or columns[1]["optional"]


def test_columns_of_every_dtype_come_back_from_json_as_the_model_was_fitted(image: Image) -> None:
    frame = pd.DataFrame(
        {
            "ordered": pd.Categorical(["lo", "hi"], categories=["lo", "hi"], ordered=True),
            "codes": pd.Categorical([1, None], categories=[1, 2]),
            "day": pd.to_datetime(["2020-01-01", None]),
            "instant": pd.to_datetime(["2020-01-01T00:00:00Z", "2021-02-03T04:05:06Z"]),
            "count": pd.array([1, None], dtype="Int64"),
            "weight": np.array([1.5, 2.5], dtype="float32"),
            "flag": pd.array([True, None], dtype="boolean"),
            "mixed": pd.Series(["a", 3], dtype=object),
            "none": pd.Series(["a", None], dtype=object),
            "nan": pd.Series(["a", np.nan], dtype=object),
            "text": ["a", None],
        }
    )
    # Predicts a text of all that it is given, so that the proof compares every value, type and dtype.
    (image.app / "echo.py").write_text(
        "class Echo:\n"
        "    def fit(self, X, y=None):\n        return self\n"
        "    def predict(self, X):\n"
        "        rows = zip(*(X[name] for name in X.columns))\n"
        "        return [repr([(type(v).__name__, str(v)) for v in row] + list(map(str, X.dtypes))) for row in rows]\n"
    )
    report = _proved(image, [b"cecho\nEcho\n)\x81."], [frame])
    kinds = {column["name"]: column["kind"] for column in report["model"]["input"]["columns"]}
    assert kinds == {
        "ordered": "string",
        "codes": "any",
        "day": "datetime",
        "instant": "datetime",
        "count": "integer",
        "weight": "number",
        "flag": "boolean",
        "mixed": "any",
        "none": "string",
        "nan": "string",
        "text": "string",
    }


def test_answers_of_several_outputs_are_rows(image: Image) -> None:
    model = MultiOutputRegressor(LinearRegression()).fit([[1.0], [2.0]], [[1.0, 2.0], [2.0, 4.0]])
    assert np.allclose(_proved(image, [model], [[[1.0], [2.0]]])["predictions"], [[1, 2], [2, 4]])


def test_without_a_sample_the_proof_makes_one_and_says_so(image: Image) -> None:
    for stages, kind in (
        (models.text_stages(), "text"),
        (models.flower_stages(), "array"),
        (models.house_stages(), "frame"),
    ):
        report = _proved(image, stages, [])
        assert report["model"]["input"]["kind"] == kind
        assert any("made from the fitted stages" in warning for warning in report["warnings"])


def test_the_sample_is_written_for_its_owner_alone_and_the_example_only_when_asked_for(image: Image) -> None:
    out = image.stages.parent / "sample.json"
    report = _proved(image, models.house_stages(), [models.HOUSES], sample_out=str(out), ship_sample=True)
    assert out.stat().st_mode & 0o777 == 0o600
    rows = json.loads(out.read_text())
    assert rows[0] == {"rooms": 3, "area": 70.5, "town": "Ulm", "garden": True, "owner": "A", "price": 100.0}
    assert rows[2]["area"] is None
    assert (report["model"]["example"], report["model"]["example_is_real"]) == (rows[0], True)


def test_files_that_the_model_reads_are_reported(image: Image) -> None:
    (image.app / "data").mkdir()
    (image.app / "data/factor.txt").write_text("3")
    (image.app / "reader.py").write_text(_READER)
    report = _proved(image, [b"creader\nReader\n)\x81."], [[[1.0]]], watch=str(image.app))
    assert report["predictions"] == [3.0]
    assert report["opened"] == ["data/factor.txt", "reader.py"]


def test_sources_of_the_services_modules_are_listed_only_when_asked_for(image: Image) -> None:
    stages, samples = [LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])], [[[1.0]]]
    assert _proved(image, stages, samples)["imported"] == []

    listed = _proved(image, stages, samples, lists_imports=True)["imported"]

    assert all(Path(source).is_file() for source in listed)
    for module in ("sklearn/linear_model/_base.py", "nachlass_scorer/worker.py", "gunicorn/arbiter.py"):
        assert [source for source in listed if source.endswith(f"/{module}")], module


def test_a_file_that_is_missing_is_named(image: Image) -> None:
    (image.app / "reader.py").write_text(_READER)
    report = _failed(image, [b"creader\nReader\n)\x81."], [["a"], [[1.0]]])
    assert (report["kind"], report["missing"]) == ("predict-failed", "data/factor.txt")


_READER = """
from pathlib import Path
class Reader:
    def fit(self, X, y=None):
        return self
    def predict(self, X):
        return [float(Path("data/factor.txt").read_text()) for _ in X]
"""


def test_a_stage_in_the_middle_without_transform_is_named(image: Image) -> None:
    scaler, classifier = models.flower_stages()
    report = _failed(image, [classifier, scaler, classifier], [models.FLOWERS])
    assert (report["kind"], report["stage"]) == ("stage-not-a-transformer", 0)


def test_a_last_stage_without_predict_is_named(image: Image) -> None:
    report = _failed(image, models.flower_stages()[:1], [models.FLOWERS])
    assert (report["kind"], report["stage"]) == ("stage-cannot-predict", 0)
    assert "StandardScaler) has no predict" in report["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty or ends too early"),
        (pickle.dumps([1] * 100)[:20], "truncated"),
        (b"this is no pickle", "UnpicklingError"),
        (b"cno_such_module\nThing\n.", "module 'no_such_module'"),
        (b"c__main__\nThing\n.", "'Thing', which only the notebook defines"),
    ],
)
def test_a_stage_that_does_not_load_is_named_with_the_reason(image: Image, body: bytes, words: str) -> None:
    report = _failed(image, [models.flower_stages()[0], body], [models.FLOWERS])
    assert (report["kind"], report["stage"]) == ("stage-unreadable", 1)
    assert words in report["message"]


def test_a_stage_of_another_scikit_learn_is_refused(image: Image) -> None:
    body = pickle.dumps(StandardScaler().fit(models.FLOWERS))
    version = __import__("sklearn").__version__
    other = body.replace(version.encode(), b"0" * len(version))
    report = _failed(image, [other, models.flower_stages()[1]], [models.FLOWERS])
    assert (report["kind"], report["stage"]) == ("version-mismatch", 0)


def test_no_sample_and_a_pipeline_that_tells_nothing_is_said_plainly(image: Image) -> None:
    stages = [FunctionTransformer(lambda rows: [[row["a"]] for row in rows]), models.line_stages()[0]]
    assert _failed(image, stages, [])["kind"] in ("no-sample", "predict-failed")


def test_an_error_of_the_model_is_reported_with_its_traceback(image: Image) -> None:
    def fail(_: Any) -> Any:
        raise RuntimeError("the lookup table is empty")

    report = _failed(image, [FunctionTransformer(fail), models.line_stages()[0]], [[[1.0]]])
    assert report["kind"] == "predict-failed"
    assert report["message"] == "RuntimeError: the lookup table is empty"
    assert "Traceback" in report["details"]


def test_joblib_files_are_read_plain_and_compressed(image: Image, tmp_path: Path) -> None:
    scaler, classifier = models.flower_stages()
    joblib.dump(scaler, tmp_path / "plain")
    joblib.dump(classifier, tmp_path / "compressed", compress=3)
    bodies = [(tmp_path / name).read_bytes() for name in ("plain", "compressed")]
    report = _proved(image, bodies, [models.FLOWERS])
    assert [stage["format"] for stage in report["stages"]] == ["joblib", "joblib"]


def test_a_module_beside_the_notebook_comes_before_one_of_the_same_name(image: Image, tmp_path: Path) -> None:
    (image.app / "helpers.py").write_text("raise AssertionError('the wrong one')\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks/helpers.py").write_text(
        "class Ones:\n"
        "    def fit(self, X):\n        return self\n"
        "    def predict(self, X):\n        return [1] * len(X)\n"
    )
    image.write_stages([b"chelpers\nOnes\n)\x81."], notebook_paths=[str(tmp_path / "notebooks")])
    assert image.check([[[1.0]]])["predictions"] == [1]


def test_estimators_run_in_one_job(image: Image) -> None:
    forest = RandomForestClassifier(n_estimators=2, n_jobs=-1, random_state=0)
    (image.app / "spy.py").write_text(
        "from sklearn.base import BaseEstimator\n"
        "class Spy(BaseEstimator):\n"
        "    def __init__(self, inner=None):\n        self.inner = inner\n"
        "    def fit(self, X, y=None):\n        return self\n"
        "    def predict(self, X):\n        return [self.inner.n_jobs] * len(X)\n"
    )
    import sys  # noqa: PLC0415

    sys.path.insert(0, str(image.app))
    try:
        from spy import Spy  # type: ignore[import-not-found]  # noqa: PLC0415

        report = _proved(image, [pickle.dumps(Spy(forest))], [[[1.0]]])
    finally:
        sys.path.remove(str(image.app))
    assert report["predictions"] == [1]


def test_text_columns_named_by_a_column_transformer_are_a_frame(image: Image) -> None:
    frame = pd.DataFrame({"color": ["red", "blue", "red"], "size": [1.0, 2.0, 3.0]})
    columns = ColumnTransformer([("c", OneHotEncoder(handle_unknown="ignore"), ["color"])], remainder="passthrough")
    stages = [columns.fit(frame), LinearRegression().fit(columns.transform(frame), [1.0, 2.0, 3.0])]
    spec = _proved(image, stages, [frame])["model"]["input"]
    assert [column["optional"] for column in spec["columns"]] == [False, False]


class Lots(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Draws lots when it predicts."""

    def fit(self, X: Any, y: Any = None) -> Lots:  # noqa: N803 - as scikit-learn calls it
        del X, y
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803 - as scikit-learn calls it
        return np.array([random.choice("ab") for _ in range(len(X))])


def test_model_that_draws_lots_is_found_out_however_few_rows_there_are() -> None:
    for _ in range(30):  # Two draws of two labels are the same every fourth time.
        assert not prove(Lots(), [np.array([[1.0], [2.0]])], ship_sample=False).repeatable
