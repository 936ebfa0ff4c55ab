"""From the sums of the tallies to text for Prometheus.

A model of many columns has a thousand series of its own. Their names and labels are the same every time, so that they
are written once, and only the numbers when somebody asks: a worker answers nobody else meanwhile.

Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/, text-based format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from prometheus_client.utils import floatToGoString

from .bins import Bins, psi
from .columntally import MISSING, OUT_OF_RANGE, UNSEEN, ColumnTally, TalliedColumn
from .manifest import Model
from .predictiontally import PredictionTally

LEAST_COUNTED = 100
"""Of fewer rows, an index says more about chance than about drift."""

Kind = Literal["counter", "gauge", "histogram", "summary"]
Labels = Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where some single numbers are in the tallies."""

    extra: int
    waiting: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class _Series:
    """One line: what stands before its number, and which of the numbers it is."""

    start: str
    place: int


@dataclass(frozen=True, slots=True)
class _Drift:
    """A distribution whose distance from its expectation is worth a line of its own."""

    start: str
    bins: Bins
    place: int


class Exposition:
    """Writes what is in the tallies of one model."""

    def __init__(
        self,
        *,
        prefix: str,
        info: Labels,
        model: Model,
        rows: ColumnTally,
        predicted: PredictionTally,
        places: Places,
    ) -> None:
        """Write all but the numbers.

        Args:
            prefix: How all names begin.
            info: What tells this model from others.
            model: Which it is.
            rows: What is counted of rows.
            predicted: What is counted of predictions.
            places: Where other numbers are.
        """
        self._prefix = prefix
        self._parts: list[str | _Series] = []
        self._column_drift: list[_Drift] = []
        self._prediction_drift: list[_Drift] = []
        buckets = len(predicted.buckets) + 1 if predicted.buckets else 0
        self._buckets = slice(predicted.counts, predicted.counts + buckets)
        self._service(info, model, predicted, places)
        self._predictions(predicted)
        self._columns(rows)
        self._drift(rows)

    def text(self, sums: Any) -> str:
        """Return the text for numbers that are summed up over all workers."""
        # A histogram counts what is below each bound.
        numbers = np.array(sums)
        numbers[self._buckets] = np.cumsum(numbers[self._buckets])
        values = numbers.tolist()
        lines = [part if isinstance(part, str) else f"{part.start}{values[part.place]}\n" for part in self._parts]
        lines += self._distances(
            "drift_psi",
            "Population stability index by column, of all rows since the service began against the reference.",
            self._column_drift,
            sums,
        )
        lines += self._distances(
            "prediction_drift_psi",
            "Population stability index of all predictions since the service began against the reference's.",
            self._prediction_drift,
            sums,
        )
        return "".join(lines)

    def _service(self, info: Labels, model: Model, predicted: PredictionTally, places: Places) -> None:
        reference = model.reference
        self._constants("model_info", "The model that is served.", [(info, 1)])
        self._constants(
            "reference_rows",
            "Rows of the notebooks' data that the build has kept sums of, to compare requests with.",
            [({}, 0 if reference is None else reference.rows)],
        )
        self._family("requests_waiting", "gauge", "Requests that wait for the model.", [({}, places.waiting)])
        self._family("requests_in_flight", "gauge", "Requests being answered.", [({}, places.in_flight)])
        self._family(
            "extra_columns_total",
            "counter",
            "Columns of requests that the model does not know.",
            [({}, places.extra)],
        )
        name = "processing_seconds"
        self._head(name, "summary", "Time spent processing predictions.")
        self._parts += [
            _Series(self._start(f"{name}_count", {}), predicted.calls),
            _Series(self._start(f"{name}_sum", {}), predicted.seconds),
        ]

    def _predictions(self, tally: PredictionTally) -> None:
        if tally.labels:
            by_class = [({"value": label}, tally.counts + i) for i, label in enumerate(tally.labels)]
            self._family("predictions_total", "counter", "Predictions by class.", by_class)
        elif tally.buckets:
            name = "predictions"
            self._head(name, "histogram", "Predicted values.")
            bounds = [*map(floatToGoString, tally.buckets), "+Inf"]
            for i, bound in enumerate(bounds):
                self._parts.append(_Series(self._start(f"{name}_bucket", {"le": bound}), tally.counts + i))
            self._parts += [
                _Series(self._start(f"{name}_count", {}), tally.counts + len(tally.buckets)),
                _Series(self._start(f"{name}_sum", {}), tally.sum),
            ]

    def _columns(self, rows: ColumnTally) -> None:
        self._family("rows_total", "counter", "Rows that were predicted.", [({}, rows.rows)])

        def of(columns: Iterable[TalliedColumn], count: int) -> list[tuple[Labels, int]]:
            return [({"column": column.name}, column.counts + count) for column in columns]

        values = [column for column in rows.columns if column.known is not None and not column.is_number]
        numbers = [column for column in rows.columns if column.has_limits]
        self._family("column_missing_total", "counter", "Missing values by column.", of(rows.columns, MISSING))
        self._family(
            "column_unseen_total", "counter", "Values by column that the model has not learned.", of(values, UNSEEN)
        )
        self._family(
            "column_out_of_range_total",
            "counter",
            "Numbers by column beyond those of the reference.",
            of(numbers, OUT_OF_RANGE),
        )

    def _drift(self, rows: ColumnTally) -> None:
        columns = [(column.name, column.bins, column.bins_at) for column in rows.columns if column.bins is not None]
        self._family(
            "column_bin_total",
            "counter",
            "Values by column and bin of the reference.",
            [
                ({"column": name, "bin": label}, place + i)
                for name, bins, place in columns
                for i, label in enumerate(bins.labels)
            ],
        )
        self._constants(
            "column_bin_expected",
            "Share of each bin in the reference, by column.",
            [
                ({"column": name, "bin": label}, share)
                for name, bins, _ in columns
                for label, share in zip(bins.labels, bins.expected, strict=True)
            ],
        )
        for name, bins, place in columns:
            self._column_drift.append(_Drift(self._start("drift_psi", {"column": name}), bins, place))
        if rows.predictions is None:
            return
        bins, place = rows.predictions, rows.prediction_bins
        self._family(
            "prediction_bin_total",
            "counter",
            "Predictions by bin of the reference.",
            [({"bin": label}, place + i) for i, label in enumerate(bins.labels)],
        )
        self._constants(
            "prediction_bin_expected",
            "Share of each bin in the predictions for the reference.",
            [({"bin": label}, share) for label, share in zip(bins.labels, bins.expected, strict=True)],
        )
        self._prediction_drift.append(_Drift(self._start("prediction_drift_psi", {}), bins, place))

    def _distances(self, name: str, text: str, drifts: Iterable[_Drift], sums: Any) -> Iterator[str]:
        head = [_head(f"{self._prefix}_{name}", "gauge", text)]
        for drift in drifts:
            counts = sums[drift.place : drift.place + len(drift.bins.labels)]
            if counts.sum() >= LEAST_COUNTED:
                yield from head
                head = []
                yield f"{drift.start}{psi(drift.bins.expected, counts)}\n"

    def _family(self, name: str, kind: Kind, text: str, series: Iterable[tuple[Labels, int]]) -> None:
        lines = [_Series(self._start(name, labels), place) for labels, place in series]
        if lines:
            self._head(name, kind, text)
            self._parts += lines

    def _constants(self, name: str, text: str, values: Iterable[tuple[Labels, float]]) -> None:
        lines = [f"{self._start(name, labels)}{float(value)}\n" for labels, value in values]
        if lines:
            self._head(name, "gauge", text)
            self._parts.append("".join(lines))

    def _head(self, name: str, kind: Kind, text: str) -> None:
        self._parts.append(_head(f"{self._prefix}_{name}", kind, text))

    def _start(self, name: str, labels: Labels) -> str:
        inner = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(labels.items()))
        return f"{self._prefix}_{name}{{{inner}}} " if inner else f"{self._prefix}_{name} "


def _head(name: str, kind: Kind, text: str) -> str:
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
