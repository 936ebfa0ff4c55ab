"""The prediction metrics, under the names that they have had since 2019, right across workers and their restarts."""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

from .manifest import Model

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
MAX_CLASSES = 1000
OTHER = "other"

_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """What one worker counts, kept in the files of its slot.

    Every child that will ever be counted is made at the start: so each class starts at 0, and `rate()` sees its first
    increment.
    """

    def __init__(self, model: Model, *, directory: Path, slot: int, prefix: str, buckets: Sequence[float]) -> None:
        self._directory = directory
        self._by_label: dict[str, Counter] = {}
        self._histogram: Histogram | None = None
        registry = CollectorRegistry()
        with _values_in(directory, slot):
            self._seconds = Summary(
                f"{prefix}_processing_seconds", "Time spent processing predictions", registry=registry
            )
            self._extra = Counter(
                f"{prefix}_extra_columns", "Columns of requests that the model does not know", registry=registry
            )
            if model.task in ("classifier", "outlier_detector"):
                counter = Counter(f"{prefix}_predictions", "Predictions by class", ["value"], registry=registry)
                labels = [str(label) for label in model.classes[:MAX_CLASSES]]
                # A label that the classifier did not announce is counted, but may not make a new series each time.
                self._by_label = {label: counter.labels(label) for label in (*labels, OTHER)}
            elif model.task == "regressor":
                self._histogram = Histogram(
                    f"{prefix}_predictions", "Predicted values", buckets=buckets, registry=registry
                )

    def observe(self, seconds: float, predictions: Sequence[Any]) -> None:
        """Count one batch of predictions, as JSON has them, that took `seconds`."""
        self._seconds.observe(seconds)
        if self._by_label:
            for label, count in collections.Counter(map(str, _scalars(predictions))).items():
                self._by_label.get(label, self._by_label[OTHER]).inc(count)
        elif self._histogram is not None:
            for value in _scalars(predictions):
                if isinstance(value, (int, float)):
                    self._histogram.observe(value)

    def count_extra(self, columns: int) -> None:
        """Count columns of a request that the model doesn't know."""
        self._extra.inc(columns)

    def expose(self) -> bytes:
        """Return the metrics of all workers together, in Prometheus' text format."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._directory))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _scalars(predictions: Sequence[Any]) -> Iterator[Any]:
    """Yield every predicted value; a model with several outputs predicts a list for each row."""
    for prediction in predictions:
        if isinstance(prediction, list):
            yield from _scalars(prediction)
        else:
            yield prediction


@contextlib.contextmanager
def _values_in(directory: Path, slot: int) -> Iterator[None]:
    """Let metrics that are made in this block keep their values in the slot's files.

    prometheus_client takes both from globals; they are set back, so that metrics of the user's code stay as they are.
    """
    value_class, environment = values.ValueClass, os.environ.get(_DIRECTORY)
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: slot)  # type: ignore[no-untyped-call]
    os.environ[_DIRECTORY] = str(directory)
    try:
        yield
    finally:
        values.ValueClass = value_class
        if environment is None:
            del os.environ[_DIRECTORY]
        else:
            os.environ[_DIRECTORY] = environment
