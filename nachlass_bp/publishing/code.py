"""Code in colours, by classes alone."""

from __future__ import annotations

import html

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import PythonLexer, get_lexer_by_name
from pygments.util import ClassNotFound

_FORMATTER = HtmlFormatter(nowrap=True)
_OF_MAGICS = {"bash": "bash", "sh": "bash", "html": "html", "javascript": "javascript", "sql": "sql", "latex": "latex"}


def cell_html(source: str) -> str:
    """Return a code cell's source; `%%bash` and its like say what it is, otherwise it's Python."""
    first = source.lstrip().partition("\n")[0]
    if not first.startswith("%%"):
        return _coloured(source, PythonLexer(stripnl=False, ensurenl=False))
    words = first.removeprefix("%%").split()
    language = _OF_MAGICS.get(words[0]) if words else None
    # %%time and most others are about Python.
    return code_html(source, language or "python")


def code_html(source: str, language: str) -> str:
    """Return code of a language as Markdown names it; of one that nobody knows, escaped."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return html.escape(source, quote=False)
    return _coloured(source, lexer)


def _coloured(source: str, lexer: Lexer) -> str:
    return str(highlight(source, lexer, _FORMATTER))
