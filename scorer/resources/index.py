from __future__ import annotations

from typing import Any

from ..encode import dump
from ..manifest import Manifest
from .respond import send


class Index:
    """`GET /`: what there is."""

    def __init__(self, manifest: Manifest, routes: list[str]) -> None:
        self._body = dump({"name": manifest.name, "nachlass": manifest.nachlass_version, "routes": routes})

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer with the model's name and the routes."""
        send(resp, self._body)
