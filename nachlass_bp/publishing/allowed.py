"""The one list of what HTML may be in a page, and the last step that everything of a notebook's goes through.

What is not on it is gone: scripts, styles, forms, frames, handlers, every address that a browser would fetch by itself.
"""

from __future__ import annotations

import re

import nh3
from pygments.token import STANDARD_TYPES

ANSI_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")

TAGS = frozenset(
    {
        *("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "div", "section", "blockquote", "pre", "figure"),
        *("figcaption", "details", "summary", "ul", "ol", "li", "dl", "dt", "dd", "a", "img"),
        *("table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"),
        *("abbr", "b", "cite", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span"),
        *("strong", "sub", "sup", "tt", "u", "var"),
    }
)
# Of these not even the text is wanted: it is no text.
GONE_WITH_CONTENT = frozenset(
    {
        *("script", "style", "svg", "math", "iframe", "object", "embed", "applet", "noscript", "template", "head"),
        *("title", "textarea", "select", "option", "canvas", "audio", "video", "frameset", "noframes", "noembed"),
    }
)
ATTRIBUTES = {
    "a": {"href", "title", "id"},
    "img": {"src", "alt", "title", "width", "height"},
    "th": {"colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "ol": {"start"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
}
_ALIGNMENTS = {"left", "center", "right"}
# What our own markup uses; a notebook's own HTML may look like it, and no more than that.
CLASSES = {
    "div": {"cell", "markdown", "code", "raw", "source", "output", "math", "html"},
    "pre": {"source", "output", "stderr", "error", "latex", "note"},
    "span": {
        *(name for name in STANDARD_TYPES.values() if name),
        *(f"ansi-{colour}" for colour in ANSI_COLOURS),
        *("ansi-bold", "ansi-underline", "count", "math", "missing"),
    },
    "th": _ALIGNMENTS,
    "td": _ALIGNMENTS,
}
INLINE_IMAGE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml);base64,[A-Za-z0-9+/]+={0,2}")

_VALUES = {
    # Absolute, so that no link leads to the service that shows the page; within the page, to a heading.
    "href": re.compile(r"(?:https?://|mailto:|#).*", re.IGNORECASE | re.DOTALL),
    "src": INLINE_IMAGE,
    "id": re.compile(r"\S{1,200}"),
    **dict.fromkeys(("width", "height", "colspan", "rowspan", "start"), re.compile(r"\d{1,4}")),
}


def _filtered(_tag: str, attribute: str, value: str) -> str | None:
    pattern = _VALUES.get(attribute)
    return value if pattern is None or pattern.fullmatch(value) else None


_CLEANER = nh3.Cleaner(
    tags=TAGS,
    clean_content_tags=GONE_WITH_CONTENT,
    attributes=ATTRIBUTES,
    attribute_filter=_filtered,
    allowed_classes=CLASSES,
    url_schemes={"http", "https", "mailto", "data"},
    link_rel="noopener noreferrer nofollow",
)


def clean(html: str) -> str:
    """Return what of `html` may stand in a page, every element closed."""
    return _CLEANER.clean(html)
