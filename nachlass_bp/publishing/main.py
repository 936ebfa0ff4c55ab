from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nachlass_bp.publishing import page
from nachlass_bp.publishing.cells import cells_html


def main(job_file: Path, out: Path) -> None:
    """Render every notebook of the job; an exception is the build's to show, below the notebook's name.

    The same job gives the same bytes, always: the layer is left to the previous image because of that.
    """
    job: dict[str, Any] = json.loads(job_file.read_text(encoding="utf-8"))
    pages, style = job["pages"], page.Style(css=job["style"], sha256=job["style_sha256"])
    for number, shown in enumerate(pages):
        sys.stderr.write(f"{shown['name']}\n")
        neighbours = [pages[number - 1] if number else None, pages[number + 1] if number + 1 < len(pages) else None]
        _write(out / shown["file"], page.notebook(shown, cells_html(shown["cells"]), neighbours, style))
    _write(out / job["index"], page.index(pages, style))


def _write(file: Path, html: str) -> None:
    # What isn't text (a lone surrogate, say) becomes a question mark.
    file.write_bytes(html.encode("utf-8", "replace"))
