"""What is shown of a notebook: its cells without secrets, reduced to what a page needs. Plain data for the renderer.

The renderer's work is a function of this: equal data is an equal page.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nachlass_bp.notebooks import Notebook

Redact = Callable[[str], str]

_TEXTS = ("text/html", "text/markdown", "text/latex", "text/plain", "image/svg+xml")
_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_PICTURE_SUFFIXES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
_LONGEST_TEXT = 100_000
"""Characters of one output: more is nobody's to read, and every worker of the service holds the pages in memory."""
_LARGEST_PICTURE_BYTES = 5_000_000
_TITLE = re.compile(r"^#{1,2}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_PICTURE_LINKS = re.compile(
    r"""!\[[^\]]*\]\(\s*(?:<([^>\n]+)>|([^)\s]+))"""  # ![text](address)
    r"""|<img\b[^>]*?\bsrc\s*=\s*(?:"([^"]+)"|'([^']+)'|([^\s"'>]+))"""
    r"""|^[ ]{0,3}\[[^\]]+\]:\s*<?([^\s>]+)""",  # [label]: address
    re.IGNORECASE | re.MULTILINE,
)
# Jupyter Book's words for what a reader should not see.
_NO_CELL, _NO_SOURCE, _NO_OUTPUT = "remove-cell", "remove-input", "remove-output"


def page_of(
    number: int, notebook: Notebook, content: Mapping[str, Any], app_dir: Path, redact: Redact, *, outputs: bool
) -> dict[str, Any]:
    """Return what the page of a notebook is made of.

    Args:
        number: Its place in the list, from 1.
        notebook: Which one it is.
        content: nbformat 4; the executed notebook if there are to be `outputs`.
        app_dir: Where pictures that its Markdown names are.
        redact: Takes secrets out of a text.
        outputs: Whether what the cells printed and displayed is shown.
    """
    pictures = _Pictures(app_dir, app_dir / os.path.dirname(notebook.name))  # noqa: PTH120 - "" for the root
    cells = [
        shown
        for cell in content["cells"]
        if _NO_CELL not in _tags(cell) and (shown := _cell(cell, pictures, redact, outputs=outputs))
    ]
    name = redact(notebook.name)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", redact(notebook.stem)).strip("-")[:80]
    return {
        "file": f"{number:02d}-{slug or 'notebook'}.html",
        "name": name,
        "title": _title(cells) or name,
        "cells": cells,
    }


def _title(cells: Sequence[Mapping[str, Any]]) -> str:
    for cell in cells:
        if cell["kind"] == "markdown" and (match := _TITLE.search(cell["text"])):
            return re.sub(r"[*_`]|<[^>]*>", "", match[1]).strip()[:200]
    return ""


def _tags(cell: Mapping[str, Any]) -> list[str]:
    tags = cell.get("metadata", {}).get("tags", [])
    return [str(tag).replace("_", "-") for tag in tags] if isinstance(tags, list) else []


def _cell(cell: Mapping[str, Any], pictures: _Pictures, redact: Redact, *, outputs: bool) -> dict[str, Any] | None:
    text, tags = redact(_joined(cell.get("source", ""))), _tags(cell)
    if cell["cell_type"] == "code":
        shown = [_output(each, redact) for each in cell.get("outputs", []) if outputs and _NO_OUTPUT not in tags]
        source = "" if _NO_SOURCE in tags else text
        if not source.strip() and not shown:
            return None
        return {
            "kind": "code",
            "text": source,
            "count": cell.get("execution_count") if outputs else None,
            "outputs": shown,
        }
    if not text.strip():
        return None
    if cell["cell_type"] == "markdown":
        attached = dict(_attached(cell.get("attachments", {})))
        return {"kind": "markdown", "text": text, "images": {**dict(pictures.named_in(text)), **attached}}
    return {"kind": "raw", "text": text}


def _output(output: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    kind = output["output_type"]
    if kind == "stream":
        is_error = output.get("name") == "stderr"
        return {"kind": "stderr" if is_error else "stdout", "text": _cut(redact(_joined(output.get("text", ""))))}
    if kind == "error":
        return {"kind": "error", "text": _cut(redact("\n".join(map(str, output.get("traceback", [])))))}
    data, metadata = output.get("data", {}), output.get("metadata", {})
    return {"kind": "data", "data": dict(_data(data, redact)), "size": dict(_size(metadata))}


def _data(data: Mapping[str, Any], redact: Redact) -> Iterator[tuple[str, str]]:
    """Yield what a page can show. Of the others (widgets, specifications of charts) many hold the data itself."""
    for mime in _TEXTS:
        if mime in data:
            text = redact(_joined(data[mime]))
            if mime == "text/plain":
                yield mime, _cut(text)
            elif len(text) <= _LONGEST_TEXT * 10:  # Half of a table or a drawing is nothing.
                yield mime, text
    for mime in _PICTURES:
        if mime in data and len(content := _joined(data[mime])) * 3 // 4 <= _LARGEST_PICTURE_BYTES:
            yield mime, content


def _size(metadata: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield the size in pixels that a picture is to be shown with."""
    for mime in _PICTURES:
        found = metadata.get(mime)
        for name in ("width", "height"):
            value = found.get(name) if isinstance(found, dict) else None
            if isinstance(value, int | float) and 0 < value < 10_000:
                yield name, round(value)


def _joined(value: Any) -> str:
    """Return nbformat's multi-line text, a list of lines or one string, whole: a secret may go over several lines."""
    if isinstance(value, list):
        return "".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _cut(text: str) -> str:
    left = len(text) - _LONGEST_TEXT
    return text if left <= 0 else f"{text[:_LONGEST_TEXT]}\n… and {left:,} more characters"


def _attached(attachments: Any) -> Iterator[tuple[str, str]]:
    """Yield what was pasted into a cell: (`attachment:x.png`, its `data:` address)."""
    for name, data in attachments.items() if isinstance(attachments, dict) else ():
        for mime, content in data.items():
            if mime in _PICTURES:
                yield f"attachment:{name}", f"data:{mime};base64,{''.join(_joined(content).split())}"


class _Pictures:
    """The repository's pictures, by the way in which a notebook names them."""

    def __init__(self, app_dir: Path, directory: Path) -> None:
        self._root = app_dir.resolve()
        self._directory = directory

    def named_in(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield (address as written, `data:` address) for each picture of the repository that Markdown names."""
        for match in _PICTURE_LINKS.finditer(text):
            address = next(group for group in match.groups() if group is not None)
            mime = _PICTURE_SUFFIXES.get(os.path.splitext(address)[1].lower())  # noqa: PTH122 - an address, not a path
            if mime is not None and (content := self._read(unquote(address))) is not None:
                yield address, f"data:{mime};base64,{base64.b64encode(content).decode()}"

    def _read(self, name: str) -> bytes | None:
        try:
            path = (self._directory / name).resolve()
            # Whatever a link in the repository or a `..` leads to is not the repository's, and not for the public.
            if not path.is_relative_to(self._root) or not path.is_file():
                return None
            return path.read_bytes() if path.stat().st_size <= _LARGEST_PICTURE_BYTES else None
        except (OSError, ValueError):
            return None
