from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..body import extract_json, read_body
from ..decode import Batch, Decoder, parse_json
from ..encode import dump
from ..predictor.protocol import Predictor
from .respond import send

_LONG_BYTES = 64 * 1024
"""Longer bodies are decoded beside the event loop: a thread costs the short ones more than it saves."""


class Predict:
    """`POST /predict`: rows in, a bare JSON list of predictions out."""

    def __init__(
        self,
        decoder: Decoder,
        predictor: Predictor,
        *,
        max_body_bytes: int,
        count_extra: Callable[[int], None],
    ) -> None:
        self._decoder = decoder
        self._predictor = predictor
        self._count_extra = count_extra
        self._max_body_bytes = max_body_bytes
        # One thread: more would only take turns, with the memory of all of them.
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="decode")

    async def on_post(self, req: Any, resp: Any) -> None:
        """Answer one request; whatever is wrong with it is raised as a RequestError."""
        body = await read_body(req.stream, declared=req.content_length, limit_bytes=self._max_body_bytes)
        if len(body) > _LONG_BYTES:
            loop = asyncio.get_running_loop()
            batch = await loop.run_in_executor(self._beside, self._decode, body, req.content_type)
        else:
            batch = self._decode(body, req.content_type)
        if batch.extra:
            self._count_extra(batch.extra)
        send(resp, dump(await self._predictor.predict(batch, size_bytes=len(body))))

    def _decode(self, body: bytes, content_type: str | None) -> Batch:
        return self._decoder.decode(parse_json(extract_json(body, content_type)))
