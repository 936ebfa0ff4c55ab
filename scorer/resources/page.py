from __future__ import annotations

from typing import Any

import falcon

from ..ui import POLICY, Asset, Page
from .respond import send, send_document


class Index:
    """`GET /`: the page for browsers, the list of routes for everybody else."""

    def __init__(self, listed: bytes, page: Page) -> None:
        self._listed = listed
        self._page = page.index

    async def on_get(self, req: Any, resp: Any) -> None:
        """Answer with what `Accept` asks for; `*/*`, as most programs send it, doesn't ask for a page."""
        if "text/html" in req.accept:
            _send_asset(req, resp, self._page)
        else:
            send(resp, self._listed)
        resp.set_header("Vary", "Accept")

    on_head = on_get


class Assets:
    """`GET /ui/…`: what the page loads."""

    def __init__(self, page: Page) -> None:
        self._assets = page.assets

    async def on_get(self, req: Any, resp: Any, file: str) -> None:
        """Answer with a file, 304 when the client has it already, 404 when there is none of that name."""
        asset = self._assets.get(file)
        if asset is None:
            raise falcon.HTTPNotFound
        _send_asset(req, resp, asset)

    on_head = on_get


def _send_asset(req: Any, resp: Any, asset: Asset) -> None:
    send_document(req, resp, asset.document, content_type=asset.content_type, policy=POLICY)
