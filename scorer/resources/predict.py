from __future__ import annotations

import time
from typing import Any

from ..body import extract_json, read_body
from ..decode import decode, parse_json
from ..encode import dump
from ..manifest import Input
from ..metrics import Metrics
from ..predictor import Predictor
from .respond import send


class Predict:
    """`POST /predict`: rows in, a bare JSON list of predictions out."""

    def __init__(self, spec: Input, predictor: Predictor, metrics: Metrics, *, max_body_bytes: int) -> None:
        self._spec = spec
        self._predictor = predictor
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def on_post(self, req: Any, resp: Any) -> None:
        """Answer one request; whatever is wrong with it is raised as a RequestError."""
        body = await read_body(req.stream, declared=req.content_length, limit_bytes=self._max_body_bytes)
        batch = decode(parse_json(extract_json(body, req.content_type)), self._spec)
        started = time.perf_counter()
        predictions = await self._predictor.predict(batch)
        self._metrics.observe(time.perf_counter() - started, predictions)
        send(resp, dump(predictions))
