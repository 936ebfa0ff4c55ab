"""The page around the cells: ours, and made of escaped text alone."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Shown = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """The one style sheet, and the digest by which the policy knows it."""

    css: str
    sha256: str


def notebook(shown: Shown, cells: str, neighbours: Sequence[Shown | None], style: Style) -> str:
    """Return the page of one notebook; `neighbours` are those before and after it."""
    before, after = neighbours
    links = [
        f'<a href="{html.escape(each["file"])}">{arrow} {html.escape(each["title"])}</a>'
        for each, arrow in ((before, "←"), (after, "→"))
        if each is not None
    ]
    header = f'<header><a href="./">Notebooks</a> / {html.escape(shown["name"])}</header>'
    footer = f"<footer>{' '.join(links)}</footer>" if links else ""
    return _document(shown["title"], f"{header}\n<main>\n{cells}</main>\n{footer}", style)


def index(pages: Sequence[Shown], style: Style) -> str:
    """Return the page that lists the others in the order in which the notebooks run."""
    items = [
        f'<li><a href="{html.escape(each["file"])}">{html.escape(each["title"])}</a> '
        f"<code>{html.escape(each['name'])}</code></li>"
        for each in pages
    ]
    intro = "The notebooks that made this model, in the order in which they ran."
    listed = "\n".join(items)
    return _document("Notebooks", f"<main>\n<h1>Notebooks</h1>\n<p>{intro}</p>\n<ol>\n{listed}\n</ol>\n</main>", style)


def _document(title: str, body: str, style: Style) -> str:
    # What the service sends as a header, too, for whoever keeps the page as a file.
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src 'sha256-{style.sha256}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{style.css}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
