"""One call of `predict`: from checked rows to JSON values. The service's predictor and the build's proof share it."""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

import sklearn

from ..encode import to_json_value
from ..errors import one_line
from ..inputs import Assembler
from ..manifest import Input
from ..matrix import Rows

# Libraries that call back and forth with scikit-learn: where they raise, the estimator that called them decides.
_HELPERS = {"numpy", "scipy", "pandas", "joblib", "narwhals", "contextlib"}


METHODS = ("predict", "predict_proba", "decision_function", "transform")
"""What may be asked of a pipeline for each row."""


class RefusalError(ValueError):
    """scikit-learn refuses the values of a call; `is_about_missing` when a missing value is what it can't take."""

    def __init__(self, message: str, *, is_about_missing: bool) -> None:
        super().__init__(message)
        self.message = message
        self.is_about_missing = is_about_missing


class Answerer:
    """Calls one pipeline with the rows of its input."""

    def __init__(self, pipeline: Any, spec: Input) -> None:
        self._pipeline = pipeline
        self._assembler = Assembler(spec)

    def answer(self, rows: Rows, methods: Sequence[str] = ("predict",)) -> list[Any]:
        """Return one JSON value for each of the rows: what the method returned, or a list with a value of each method.

        Args:
            rows: As `decode.Batch` has them.
            methods: Of `METHODS`, those that the pipeline has.

        Raises:
            RefusalError: scikit-learn refuses the values.
            ValueError: The pipeline returned something else than one value a row.
        """
        try:
            data = self._assembler.assemble(rows)
            results = [to_json_value(_by_row(getattr(self._pipeline, method)(data))) for method in methods]
        except ValueError as error:
            if not _is_refusal(error):
                raise
            raise RefusalError(_first_sentences(error), is_about_missing="NaN" in str(error)) from error
        for method, values in zip(methods, results, strict=True):
            if not isinstance(values, list) or len(values) != len(rows):
                raise ValueError(f"{method} returned {_describe(values)} for {len(rows)} rows")
        return results[0] if len(results) == 1 else list(map(list, zip(*results, strict=True)))


def _by_row(result: Any) -> Any:
    """Return a classifier's probabilities by row: for several outputs scikit-learn has an array for each of them."""
    if isinstance(result, list) and result and all(getattr(part, "ndim", 0) == 2 for part in result):
        return [list(row) for row in zip(*(part.tolist() for part in result), strict=True)]
    return result


def prepare_sklearn() -> None:
    """Spare the process what scikit-learn does at each call for authors alone.

    What a stage fitted on a DataFrame says about every array that it is given is silenced; and parameters of functions
    inside the estimators, which nobody can change any more, aren't checked again: a fifth of a short call's time.
    """
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    with contextlib.suppress(TypeError):  # scikit-learn has it since 1.3.
        sklearn.set_config(skip_parameter_validation=True)


def _is_refusal(error: ValueError) -> bool:
    """Tell scikit-learn's complaint about values from an error inside the user's own code."""
    if type(error).__name__ == "NotFittedError":
        return False
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        package = str(frame.f_globals.get("__name__", "")).split(".")[0]
        if package not in _HELPERS:
            return package == "sklearn"
    return False


def _first_sentences(error: ValueError) -> str:
    # scikit-learn follows some messages with a paragraph of advice for the author of the model.
    text = str(error).strip()
    return one_line(ValueError(text.split("\n")[0] if "NaN" in text else text))[:500]


def _describe(predictions: Any) -> str:
    return f"{len(predictions)} values" if isinstance(predictions, list) else type(predictions).__name__
