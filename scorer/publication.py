"""The contract about published notebooks: `index.json` and the pages beside it, in a layer of their own.

The build writes it, the service reads it. Standard library only, like the manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .manifest import ManifestError, read_object

SCHEMA_VERSION = 1
CONTRACT = "index.json"
INDEX = "index.html"

# Names without a way out of the directory, and a digest without a way out of a header.
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,200}\.html")
_DIGEST = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """The page of one notebook: `file` is beside the contract, `name` the notebook's path in the repository."""

    file: str
    name: str
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """The pages in the order in which the notebooks ran; `index.html`, which lists them, is there too.

    `style_sha256` is the digest, in base64, of the one style sheet that each page holds.
    """

    schema_version: int
    style_sha256: str
    pages: tuple[Page, ...]

    def write(self, directory: Path) -> None:
        """Write `index.json`."""
        text = json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"
        (directory / CONTRACT).write_text(text, encoding="utf-8")


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """One file to answer with, whole; `etag` identifies its bytes."""

    body: bytes
    etag: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """What there is to answer: documents by name, "" for the list, and the policy that goes with each."""

    documents: Mapping[str, Document]
    policy: str


def load(directory: Path) -> Published:
    """Read `index.json` and every page that it names, and nothing else.

    Raises:
        ManifestError: The contract is not of this schema version, or not what it says.
        OSError: A file can't be read.
    """
    publication = read(directory)
    files = {"": INDEX, **{page.file: page.file for page in publication.pages}}
    return Published(
        documents={name: document((directory / file).read_bytes()) for name, file in files.items()},
        policy="; ".join(
            [
                "default-src 'none'",
                "img-src data:",
                f"style-src 'sha256-{publication.style_sha256}'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        ),
    )


def read(directory: Path) -> Publication:
    """Read and check `index.json`; see `load` for what is raised."""
    try:
        data = json.loads((directory / CONTRACT).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ManifestError("", f"{CONTRACT} is not JSON: {error}") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise ManifestError(
            "/schema_version", f"this nachlass reads schema {SCHEMA_VERSION}, {CONTRACT} has {version!r}: build again"
        )
    publication = read_object(Publication, data)
    if not _DIGEST.fullmatch(publication.style_sha256):
        raise ManifestError("/style_sha256", f"not a digest: {publication.style_sha256!r}")
    for number, page in enumerate(publication.pages):
        if not _FILE.fullmatch(page.file):
            raise ManifestError(f"/pages/{number}/file", f"not the name of a page: {page.file!r}")
    return publication


def document(body: bytes) -> Document:
    """Return a document of these bytes."""
    return Document(body=body, etag=hashlib.sha256(body).hexdigest()[:32])
