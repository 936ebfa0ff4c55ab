"""What a service counts, under the names that its metrics have had since 2019, right across workers and their restarts.

What is counted for each prediction is in `tallies`, what is counted for each request in prometheus_client's files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, Summary, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from .columntally import ColumnTally
from .exposition import Exposition, Places
from .manifest import Model
from .matrix import Rows
from .predictiontally import PredictionTally
from .slots import held
from .tallies import Layout, Tallies

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """What one worker counts, kept in the files of its slot.

    Each class of a prediction starts at 0, so that `rate()` sees its first one. `in_flight` is how many requests for
    predictions are being answered.
    """

    def __init__(
        self,
        model: Model,
        *,
        directory: Path,
        slot: int,
        prefix: str,
        buckets: Sequence[float] | None,
        info: Mapping[str, str],
    ) -> None:
        """Keep the values of one worker.

        Args:
            model: Whose predictions are counted.
            directory: Of the files of all workers.
            slot: Which of them are this worker's.
            prefix: How the names of all metrics begin.
            buckets: Upper bounds of a regressor's predictions; None for those that the build found.
            info: What tells this model from others, as labels.
        """
        self._directory = directory
        self.in_flight = 0
        layout = Layout()
        self._rows = ColumnTally(model, layout)
        self._predicted = PredictionTally(model, buckets, layout)
        self._places = Places(extra=layout.take(), waiting=layout.take(), in_flight=layout.take())
        self._tallies = self._rows.tallies = self._predicted.tallies = Tallies(directory, slot, layout.size)
        # Of a slot that another worker had: what it had to do is gone with it.
        self.set_waiting(0)
        # One for all: each opens files of its own, and there may be no descriptors left when a status is first seen.
        self._values = values.MultiProcessValue(process_identifier=lambda: slot)  # type: ignore[no-untyped-call]
        with self._in_files():
            self._service = _ServiceMetrics(prefix, CollectorRegistry())
        self._exposition = Exposition(
            prefix=prefix,
            info=info,
            model=model,
            rows=self._rows,
            predicted=self._predicted,
            places=self._places,
        )

    def observe(self, seconds: float, rows: Rows, predictions: Sequence[Any]) -> None:
        """Count the predictions for the rows of one request, both as JSON has them, that took `seconds`."""
        self._predicted.count(seconds, predictions)
        self._rows.add(rows, predictions)

    def observe_call(self, rows: int) -> None:
        """Count one call of `predict`, of so many rows of however many requests."""
        self._service.batch_rows.observe(rows)

    def count_restart(self) -> None:
        """Count a predictor that had to be replaced."""
        self._service.restarts.inc()

    def count_end_of_merging(self) -> None:
        """Count that merging was found to change answers."""
        self._service.merging_ended.inc()

    def observe_request(self, route: str, status: int, seconds: float, predict_s: float) -> None:
        """Count one answer to a request for predictions.

        Args:
            route: The path, with the names of its parameters for their values.
            status: Of HTTP.
            seconds: From its headers to its answer.
            predict_s: How much of them it waited for the model, and for others that did.
        """
        counted = self._service.requests.get((route, status))
        if counted is None:
            with self._in_files():
                counted = self._service.request(route, status)
        counter, duration = counted
        counter.inc()
        duration.observe(seconds)
        self._service.overhead.observe(seconds - predict_s)

    def set_waiting(self, requests: int) -> None:
        """Note how much there is to do at the moment: for so many requests the model's process has no time yet."""
        cells = self._tallies.cells
        cells[self._places.waiting] = requests
        cells[self._places.in_flight] = self.in_flight

    def count_extra(self, columns: int) -> None:
        """Count columns of a request that the model doesn't know."""
        self._tallies.cells[self._places.extra] += columns

    def count_rows(self) -> None:
        """Count what was put aside of rows: about once a second, and before others are told."""
        self._rows.count()

    def expose(self) -> bytes:
        """Return the metrics of all workers together, in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(_Files(self._directory))
        sums = self._tallies.total()
        living = self._tallies.total(held(self._directory))
        for gauge in (self._places.waiting, self._places.in_flight):
            sums[gauge] = living[gauge]
        return generate_latest(registry) + self._exposition.text(sums).encode()

    @contextlib.contextmanager
    def _in_files(self) -> Iterator[None]:
        """Let metrics that are made in this block keep their values in the slot's files.

        prometheus_client takes both from globals; they are set back, so that metrics of the user's code stay as they
        are.
        """
        value_class, environment = values.ValueClass, os.environ.get(_DIRECTORY)
        values.ValueClass = self._values
        os.environ[_DIRECTORY] = str(self._directory)
        try:
            yield
        finally:
            values.ValueClass = value_class
            if environment is None:
                del os.environ[_DIRECTORY]
            else:
                os.environ[_DIRECTORY] = environment


class _Files(Collector):
    """What prometheus_client's files of all workers have together."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def collect(self) -> Iterable[Metric]:
        """Return the sums.

        A file that is empty is left out: a worker that begins has just made it, or was killed after that.
        prometheus_client's own collector fails then.
        """
        files = [str(file) for file in self._directory.glob("*.db") if file.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class _ServiceMetrics:
    """How the service does, whatever its model is."""

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._total = Counter(
            f"{prefix}_requests", "Answers to requests for predictions", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            f"{prefix}_request_seconds",
            "Time from a request's headers to its answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.requests: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.overhead = Summary(
            f"{prefix}_overhead_seconds", "Time of requests beside that of the model", registry=registry
        )
        self.batch_rows = Histogram(
            f"{prefix}_batch_rows", "Rows of a call of predict", buckets=_ROWS, registry=registry
        )
        self.restarts = Counter(f"{prefix}_predictor_restarts", "Predictor processes replaced", registry=registry)
        self.merging_ended = Counter(
            f"{prefix}_merging_ended", "Workers that merge no more, since it changed answers", registry=registry
        )

    def request(self, route: str, status: int) -> tuple[Counter, Histogram]:
        """Return what counts answers with a status of a route; there are as many as the service has of both."""
        found = self.requests[route, status] = (self._total.labels(route, str(status)), self._seconds.labels(route))
        return found
