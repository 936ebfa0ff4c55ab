"""One call of `predict`: from checked rows to JSON values. The service's predictor and the build's proof share it."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from ..encode import to_json_value
from ..errors import one_line
from ..inputs import Assembler
from ..manifest import Input

# Libraries that call back and forth with scikit-learn: where they raise, the estimator that called them decides.
_HELPERS = {"numpy", "scipy", "pandas", "joblib", "narwhals", "contextlib"}


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

    def answer(self, rows: Sequence[Any]) -> list[Any]:
        """Return one JSON value for each of the rows, which are as `decode.Batch` has them.

        Raises:
            RefusalError: scikit-learn refuses the values.
            ValueError: The pipeline returned something else than one prediction a row.
        """
        try:
            predictions = to_json_value(self._pipeline.predict(self._assembler.assemble(rows)))
        except ValueError as error:
            if not _is_refusal(error):
                raise
            raise RefusalError(_first_sentences(error), is_about_missing="NaN" in str(error)) from error
        if not isinstance(predictions, list) or len(predictions) != len(rows):
            raise ValueError(f"predict returned {_describe(predictions)} for {len(rows)} rows")
        return predictions


def ignore_missing_names() -> None:
    """Silence, for the process, what a stage fitted on a DataFrame says about every array that it is given."""
    warnings.filterwarnings("ignore", message="X does not have valid feature names")


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
