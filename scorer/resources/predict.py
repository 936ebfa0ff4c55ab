from __future__ import annotations

from typing import Any

from ..body import extract_json, read_body
from ..decode import Decoder, parse_json
from ..encode import dump
from ..manifest import Input
from ..predictor.protocol import Predictor
from .respond import send


class Predict:
    """`POST /predict`: rows in, a bare JSON list of predictions out."""

    def __init__(self, spec: Input, predictor: Predictor, *, max_body_bytes: int) -> None:
        self._decoder = Decoder(spec)
        self._predictor = predictor
        self._max_body_bytes = max_body_bytes

    async def on_post(self, req: Any, resp: Any) -> None:
        """Answer one request; whatever is wrong with it is raised as a RequestError."""
        body = await read_body(req.stream, declared=req.content_length, limit_bytes=self._max_body_bytes)
        batch = self._decoder.decode(parse_json(extract_json(body, req.content_type)))
        send(resp, dump(await self._predictor.predict(batch, size_bytes=len(body))))
