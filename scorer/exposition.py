"""From the sums of the tallies to metrics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from .bins import Bins, psi
from .columntally import MISSING, OUT_OF_RANGE, UNSEEN, ColumnTally
from .manifest import Model
from .predictiontally import PredictionTally

LEAST_COUNTED = 100
"""Of fewer rows, an index says more about chance than about drift."""

Families = Iterator[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """Where some single numbers are in the tallies."""

    extra: int
    waiting: int
    in_flight: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Tallied(Collector):
    """What prometheus_client asks for metrics. `sums` are over all workers.

    `prefix` is how all names begin; `info` tells this model from others.
    """

    prefix: str
    info: Mapping[str, str]
    model: Model
    rows: ColumnTally
    predicted: PredictionTally
    places: Places
    sums: Any

    def collect(self) -> Families:
        """Yield all families."""
        yield from self._service()
        yield from self._predictions()
        yield from self._columns()
        yield from self._drift()

    def _service(self) -> Families:
        name, sums, places = self.prefix, self.sums, self.places
        info = GaugeMetricFamily(f"{name}_model_info", "The model that is served.", labels=list(self.info))
        info.add_metric(list(self.info.values()), 1)
        yield info
        yield GaugeMetricFamily(
            f"{name}_requests_waiting", "Requests that wait for the model.", value=sums[places.waiting]
        )
        yield GaugeMetricFamily(f"{name}_requests_in_flight", "Requests being answered.", value=sums[places.in_flight])
        yield CounterMetricFamily(
            f"{name}_extra_columns", "Columns of requests that the model does not know.", value=sums[places.extra]
        )
        yield SummaryMetricFamily(
            f"{name}_processing_seconds",
            "Time spent processing predictions.",
            count_value=int(sums[self.predicted.calls]),
            sum_value=sums[self.predicted.seconds],
        )

    def _predictions(self) -> Families:
        tally, name = self.predicted, f"{self.prefix}_predictions"
        if tally.labels:
            by_class = CounterMetricFamily(name, "Predictions by class.", labels=["value"])
            for i, label in enumerate(tally.labels):
                by_class.add_metric([label], self.sums[tally.counts + i])
            yield by_class
        elif tally.buckets:
            counts = list(itertools.accumulate(self.sums[tally.counts : tally.counts + len(tally.buckets) + 1]))
            histogram = Metric(name, "Predicted values.", "histogram")
            for bound, count in zip([*map(floatToGoString, tally.buckets), "+Inf"], counts, strict=True):
                histogram.add_sample(f"{name}_bucket", {"le": bound}, count)
            # HistogramMetricFamily would leave these away where a bucket is negative.
            histogram.add_sample(f"{name}_count", {}, counts[-1])
            histogram.add_sample(f"{name}_sum", {}, self.sums[tally.sum])
            yield histogram

    def _columns(self) -> Families:
        tally, name = self.rows, f"{self.prefix}_column"
        reference = self.model.reference
        yield CounterMetricFamily(f"{self.prefix}_rows", "Rows that were predicted.", value=self.sums[tally.rows])
        yield GaugeMetricFamily(
            f"{self.prefix}_reference_rows",
            "Rows of the notebooks' data that the build has kept sums of, to compare requests with.",
            value=0 if reference is None else reference.rows,
        )
        missing = CounterMetricFamily(f"{name}_missing", "Missing values by column.", labels=["column"])
        unseen = CounterMetricFamily(
            f"{name}_unseen", "Values by column that the model has not learned.", labels=["column"]
        )
        outside = CounterMetricFamily(
            f"{name}_out_of_range", "Numbers by column beyond those of the reference.", labels=["column"]
        )
        for column in tally.columns:
            missing.add_metric([column.name], self.sums[column.counts + MISSING])
            if column.known is not None and not column.is_number:
                unseen.add_metric([column.name], self.sums[column.counts + UNSEEN])
            if column.has_limits:
                outside.add_metric([column.name], self.sums[column.counts + OUT_OF_RANGE])
        yield from (family for family in (missing, unseen, outside) if family.samples)

    def _drift(self) -> Families:
        name = f"{self.prefix}_column_bin"
        counted = CounterMetricFamily(name, "Values by column and bin of the reference.", labels=["column", "bin"])
        expected = GaugeMetricFamily(
            f"{name}_expected", "Share of each bin in the reference, by column.", labels=["column", "bin"]
        )
        drift = GaugeMetricFamily(
            f"{self.prefix}_drift_psi",
            "Population stability index by column, of all rows since the service began against the reference.",
            labels=["column"],
        )
        for column in self.rows.columns:
            if column.bins is not None:
                self._compare([column.name], column.bins, column.bins_at, counted, expected, drift)
        yield from (family for family in (counted, expected, drift) if family.samples)
        if self.rows.predictions is not None:
            name = f"{self.prefix}_prediction_bin"
            counted = CounterMetricFamily(name, "Predictions by bin of the reference.", labels=["bin"])
            expected = GaugeMetricFamily(
                f"{name}_expected", "Share of each bin in the predictions for the reference.", labels=["bin"]
            )
            drift = GaugeMetricFamily(
                f"{self.prefix}_prediction_drift_psi",
                "Population stability index of all predictions since the service began against the reference's.",
                labels=[],
            )
            self._compare([], self.rows.predictions, self.rows.prediction_bins, counted, expected, drift)
            yield from (family for family in (counted, expected, drift) if family.samples)

    def _compare(self, labels: list[str], bins: Bins, start: int, counted: Any, expected: Any, drift: Any) -> None:
        counts = self.sums[start : start + len(bins.labels)]
        for label, count, share in zip(bins.labels, counts, bins.expected, strict=True):
            counted.add_metric([*labels, label], count)
            expected.add_metric([*labels, label], share)
        if counts.sum() >= LEAST_COUNTED:
            drift.add_metric(labels, psi(bins.expected, counts))
