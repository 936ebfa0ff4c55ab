"""Markdown as Jupyter has it: CommonMark with tables, math and raw HTML. What comes out is not clean yet."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import mistune

from nachlass_bp.publishing.code import code_html

_TAG = re.compile(r"<[^>]*>")
_IMAGE_SOURCE = re.compile(r"""(<img\b[^>]*?\bsrc\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)


def markdown_html(text: str, images: Mapping[str, str]) -> str:
    """Return `text` as HTML; `images` has a `data:` address for each picture that came with the notebook."""
    renderer = _Renderer(images)
    parser = mistune.create_markdown(renderer=renderer, plugins=["table", "strikethrough", "url", "math"])
    renderer.register("block_math", _block_math)
    renderer.register("inline_math", _inline_math)
    return str(parser(text))


class _Renderer(mistune.HTMLRenderer):
    """mistune's, with pictures from the notebook, classes in place of styles, and Jupyter's anchors."""

    def __init__(self, images: Mapping[str, str]) -> None:
        # What is harmful is `allowed`'s to say, for raw HTML and for this alike.
        super().__init__(escape=False, allow_harmful_protocols=True)
        self._images = images

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """Return a picture that came with the notebook, else what leads to it."""
        alt = html.escape(_TAG.sub("", text))
        address = self._images.get(url) or self._images.get(unquote(url)) or (url if url.startswith("data:") else None)
        if address is not None:
            titled = f' title="{html.escape(title)}"' if title else ""
            return f'<img src="{html.escape(address)}" alt="{alt}"{titled}>'
        if url.lower().startswith(("http://", "https://")):
            return f'<a href="{html.escape(url)}">{alt or html.escape(url)}</a>'
        return f'<span class="missing">[{alt or html.escape(url)}]</span>'

    def heading(self, text: str, level: int, **_: Any) -> str:
        """Return a heading with the anchor that Jupyter gives it."""
        anchor = html.escape(html.unescape(_TAG.sub("", text)).strip().replace(" ", "-"))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def block_code(self, code: str, info: str | None = None) -> str:
        """Return a fenced or indented block in the colours of its language."""
        language = (info or "").strip().partition(" ")[0]
        coloured = code_html(code, language) if language else html.escape(code, quote=False)
        return f'<pre class="source"><code>{coloured}</code></pre>\n'

    def inline_html(self, html: str) -> str:
        """Return raw HTML, its pictures replaced."""
        return self._with_images(html)

    def block_html(self, html: str) -> str:
        """Return raw HTML, its pictures replaced."""
        return self._with_images(html) + "\n"

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:  # noqa: FBT001, FBT002 - mistune's
        """Return a cell; mistune's own says its alignment by a style."""
        tag = "th" if head else "td"
        return f'<{tag} class="{align}">{text}</{tag}>\n' if align else f"<{tag}>{text}</{tag}>\n"

    def _with_images(self, raw: str) -> str:
        def replaced(match: re.Match[str]) -> str:
            source = html.unescape(match[2].strip("\"'"))
            address = self._images.get(source) or self._images.get(unquote(source))
            return f'{match[1]}"{address}"' if address else match[0]

        return _IMAGE_SOURCE.sub(replaced, raw)


# Without a script nobody sets formulas; what the author wrote is readable enough.
def _block_math(_renderer: object, text: str) -> str:
    return f'<div class="math">$${html.escape(text)}$$</div>\n'


def _inline_math(_renderer: object, text: str) -> str:
    return f'<span class="math">${html.escape(text)}$</span>'
