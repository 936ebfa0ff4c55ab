"""The seam between the HTTP application and the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..caller import Caller
from ..decode import Batch
from ..matrix import Rows
from ..packed import Packed, Unpacked


class Predictor(Protocol):
    """Answers one batch, off the event loop."""

    async def predict(
        self, batch: Batch, *, size_bytes: int, methods: tuple[str, ...] = ("predict",), caller: Caller | None = None
    ) -> list[Any]:
        """Return one JSON value per row of the batch, which was `size_bytes` long in its request.

        With several `methods`, of which the first is `predict`, it is a list with a value of each. Once the `caller`
        has gone, nothing is predicted any more.

        Raises:
            RequestError: The model refuses the values of the batch.
            UnansweredError: There is no answer, for no fault of the request's.
        """

    async def unpack(self, packed: Packed, *, caller: Caller | None = None) -> Unpacked:
        """Return a table's columns.

        Raises:
            RequestError: It is damaged, or too much.
            UnansweredError: There is no answer.
        """


class Observer(Protocol):
    """Who counts what a predictor does."""

    def observe(self, seconds: float, rows: Rows, predictions: Sequence[Any]) -> None:
        """Take note of the predictions for the rows of one request, and of its share of the model's time."""

    def observe_call(self, rows: int) -> None:
        """Take note of one call, of so many rows."""

    def count_restart(self) -> None:
        """Take note that the process had to be replaced."""

    def count_end_of_merging(self) -> None:
        """Take note that merging was found to change answers."""
