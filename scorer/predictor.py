"""The seam between the event loop and the model."""

from __future__ import annotations

import asyncio
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from .decode import Batch
from .encode import to_json_value
from .errors import RequestError, one_line

# Libraries that call back and forth with scikit-learn: where they raise, the estimator that called them decides.
_HELPERS = {"numpy", "scipy", "pandas", "joblib", "narwhals", "contextlib"}


class Predictor(Protocol):
    """Answers one batch at a time, off the event loop."""

    async def predict(self, batch: Batch) -> list[Any]:
        """Return one JSON value per row of the batch.

        Raises:
            RequestError: The model refuses the values of the batch.
        """

    def close(self) -> None:
        """Let go of what the predictor holds."""


class ThreadPredictor:
    """Runs the pipeline in one thread of the worker, one batch at a time."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="predict")

    async def predict(self, batch: Batch) -> list[Any]:
        """Return one JSON value per row of the batch."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, predict_batch, self._pipeline, batch)

    def close(self) -> None:
        """Stop the thread after the batch that it is at."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def ignore_missing_names() -> None:
    """Silence, for the process, what a stage fitted on a DataFrame says about every array that it is given."""
    warnings.filterwarnings("ignore", message="X does not have valid feature names")


def predict_batch(pipeline: Any, batch: Batch) -> list[Any]:
    """Predict one batch, for the service and for the proof.

    Raises:
        RequestError: scikit-learn refuses the values.
        ValueError: The pipeline returned something else than one prediction a row.
    """
    try:
        predictions = to_json_value(pipeline.predict(batch.data))
    except ValueError as error:
        if not _is_refusal(error):
            raise
        pointer = batch.null_pointer if "NaN" in str(error) else None
        raise RequestError(_first_sentences(error), code="refused-by-model", pointer=pointer) from error
    if not isinstance(predictions, list) or len(predictions) != batch.size:
        raise ValueError(f"predict returned {_describe(predictions)} for {batch.size} rows")
    return predictions


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
