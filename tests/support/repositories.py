"""Small notebook repositories, written by the tests that need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat

_v4: Any = nbformat.v4  # Untyped.
_write: Any = nbformat.write

LOGISTIC_REGRESSION = (
    "import os, pickle\nimport numpy as np\nfrom sklearn.linear_model import LogisticRegression",
    "X = np.array([[0.0, 0.1], [0.2, 0.0], [2.9, 3.0], [3.0, 3.1]])\ny = ['low', 'low', 'high', 'high']",
    "model = LogisticRegression().fit(X, y)",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
"""The cells of the smallest notebook that trains something: two numbers tell "low" from "high"."""

REQUIREMENTS = ("numpy", "scikit-learn")


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Write a notebook of code cells."""
    notebook = _v4.new_notebook(
        cells=[_v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(cells, 1)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(notebook, path)


def write_repository(
    root: Path,
    notebooks: Mapping[str, Sequence[str]],
    *,
    requirements: Sequence[str] = REQUIREMENTS,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a repository of notebooks (path: cells), requirements.txt and other `files`; return its directory."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "requirements.txt").write_text("".join(f"{requirement}\n" for requirement in requirements))
    for path, cells in notebooks.items():
        write_notebook(root / path, cells)
    for path, text in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def classifier_repository(root: Path) -> Path:
    """Write the smallest repository that trains a classifier."""
    return write_repository(root, {"train.ipynb": LOGISTIC_REGRESSION})
