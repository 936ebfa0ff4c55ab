from __future__ import annotations

from typing import Any

from ..life import Life
from ..metrics import CONTENT_TYPE, Metrics
from .respond import send


class Exposition:
    """`/metrics`: Prometheus asks with GET; clients of 2019 POST something to it, which nobody reads."""

    def __init__(self, metrics: Metrics, life: Life) -> None:
        self._metrics = metrics
        self._life = life

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer with the metrics of all workers."""
        self._life.tick()
        send(resp, self._metrics.expose(), content_type=CONTENT_TYPE)

    on_post = on_head = on_get
