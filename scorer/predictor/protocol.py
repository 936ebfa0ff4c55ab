"""The seam between the HTTP application and the model."""

from __future__ import annotations

from typing import Any, Protocol

from ..decode import Batch


class Predictor(Protocol):
    """Answers one batch, off the event loop."""

    async def predict(self, batch: Batch, *, size_bytes: int, methods: tuple[str, ...] = ("predict",)) -> list[Any]:
        """Return one JSON value per row of the batch, which was `size_bytes` long in its request.

        With several `methods`, of which the first is `predict`, it is a list with a value of each.

        Raises:
            RequestError: The model refuses the values of the batch.
            UnansweredError: There is no answer, for no fault of the request's.
        """
