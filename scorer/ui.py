"""The page for people: its files, read once, and what a browser may do with them.

Nothing in them is of a model: the page asks the service for that, as any client would.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .publication import Document, document

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
"""The last of it: no text of a user's can become markup, not even by a mistake in our scripts."""

_DIRECTORY = Path(__file__).parent / "page"
_INDEX = "index.html"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """One file of the page, whole."""

    document: Document
    content_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What is answered at `/`, and by name what it loads."""

    index: Asset
    assets: Mapping[str, Asset]


def load() -> Page:
    """Read the page from beside this module.

    Raises:
        OSError: A file can't be read.
    """
    found = {
        file.name: Asset(document=document(file.read_bytes()), content_type=_TYPES[file.suffix])
        for file in sorted(_DIRECTORY.iterdir())
        if file.suffix in _TYPES
    }
    return Page(index=found.pop(_INDEX), assets=found)
