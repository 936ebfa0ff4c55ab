"""Cells and their outputs: what is shown of each, in which form."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nachlass_bp.publishing.allowed import clean
from nachlass_bp.publishing.ansi import ansi_html
from nachlass_bp.publishing.code import cell_html
from nachlass_bp.publishing.markdown import markdown_html

_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}
# What makes an output more than text and tables: without its script it is a ruin (plotly), and a form of scikit-learn's
# that unfolds nowhere. Each of these has another representation.
_ACTIVE = re.compile(
    r"<(?:script|input|button|select|form|iframe|object|embed|canvas|svg|video|audio)\b", re.IGNORECASE
)

_TAG = re.compile(r"<[^>]*>")
_NOTHING = '<pre class="output note">[This output can only be seen in Jupyter]</pre>'

Cell = Mapping[str, Any]


def cells_html(cells: Sequence[Cell]) -> str:
    """Return all cells of a notebook, clean."""
    return clean("".join(_cell(cell) for cell in cells))


def _cell(cell: Cell) -> str:
    kind = cell["kind"]
    if kind == "markdown":
        content = _of_author(markdown_html(cell["text"], cell["images"]))
    elif kind == "code":
        content = _source(cell) + "".join(map(_output, cell["outputs"]))
    else:
        content = f'<pre class="source">{html.escape(cell["text"], quote=False)}</pre>'
    return f'<div class="cell {kind}">{content}</div>\n'


def _of_author(markup: str) -> str:
    # Cleaned by itself, and so closed by itself: what a cell forgets to end can't swallow the next one.
    return clean(markup)


def _source(cell: Cell) -> str:
    if not cell["text"]:
        return ""
    count = f'<span class="count">[{cell["count"]}]</span>' if cell["count"] is not None else ""
    return f'<div class="source">{count}<pre class="source">{cell_html(cell["text"])}</pre></div>'


def _output(output: Mapping[str, Any]) -> str:
    kind = output["kind"]
    if kind == "data":
        content = _data(output["data"], output["size"])
    else:
        content = f'<pre class="output {kind}">{ansi_html(output["text"])}</pre>'
    return f'<div class="output">{content}</div>'


def _data(data: Mapping[str, str], size: Mapping[str, int]) -> str:
    """Return the richest representation that is something without a script."""
    markup = data.get("text/html", "")
    inert = "" if _ACTIVE.search(markup) else _markup(markup)
    return inert or _markdown(data) or _picture(data, size) or _text(data) or _markup(markup) or _NOTHING


def _markup(markup: str) -> str:
    cleaned = _of_author(markup)
    is_something = "<img" in cleaned or _TAG.sub("", cleaned).strip()
    return f'<div class="html">{cleaned}</div>' if is_something else ""


def _markdown(data: Mapping[str, str]) -> str:
    return _markup(markdown_html(data["text/markdown"], {})) if "text/markdown" in data else ""


def _picture(data: Mapping[str, str], size: Mapping[str, int]) -> str:
    for mime in ("image/svg+xml", *_SIGNATURES):
        if mime in data and (address := _image_address(mime, data[mime])):
            alt = html.escape(data.get("text/plain", "")[:200])
            sizes = "".join(f' {name}="{value}"' for name, value in sorted(size.items()))
            return f'<img src="{address}" alt="{alt}"{sizes}>'
    return ""


def _text(data: Mapping[str, str]) -> str:
    if "text/latex" in data:
        return f'<pre class="output latex">{html.escape(data["text/latex"], quote=False)}</pre>'
    return f'<pre class="output">{ansi_html(data["text/plain"])}</pre>' if "text/plain" in data else ""


def _image_address(mime: str, content: str) -> str | None:
    """Return a `data:` address, None for what isn't a picture of this kind."""
    if mime == "image/svg+xml":
        # In <img> no browser runs what is in an SVG, nor fetches what it names.
        return f"data:{mime};base64,{base64.b64encode(content.encode('utf-8', 'replace')).decode()}"
    try:
        picture = base64.b64decode("".join(content.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if not picture.startswith(_SIGNATURES[mime]):
        return None
    return f"data:{mime};base64,{base64.b64encode(picture).decode()}"
