from __future__ import annotations

from typing import Any

import falcon

from ..publication import Published
from .respond import send, send_document


class Notebooks:
    """`GET /notebooks/` and the pages that it lists: read when the service started, found by name in a table."""

    def __init__(self, published: Published) -> None:
        self._documents = published.documents
        self._policy = published.policy

    async def on_get(self, req: Any, resp: Any, file: str = "") -> None:
        """Answer with a page, 304 when the client has it already, 404 when there is none of that name."""
        document = self._documents.get(file)
        if document is None:
            raise falcon.HTTPNotFound
        send_document(req, resp, document, content_type="text/html; charset=utf-8", policy=self._policy)

    on_head = on_get


class NotebooksWithoutSlash:
    """`GET /notebooks`: the links of the list are relative to the address with a slash."""

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer with the way there, which a proxy in front may have given another beginning."""
        send(resp, b"", status=308)
        resp.set_header("Location", "notebooks/")

    on_head = on_get
