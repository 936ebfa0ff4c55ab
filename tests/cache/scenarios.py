"""The table of scenarios: what is changed in a repository of two notebooks, and which of them have to run then.

The tests hold nachlass to it; the benchmark (bench/scenarios.py) holds nachlass and its peers to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tests.support.repositories import write_notebook, write_repository

FEATURES = (
    "import csv, os\nimport numpy as np\nfrom mlworkflows import util",
    "rows = list(csv.reader(open('data/train.csv')))\nbuckets = int(os.environ.get('TFIDF_BUCKETS', '3'))",
    "X = np.array([[float(cell) % buckets for cell in row[:2]] for row in rows])",
    "X = util.scale(X)\nnp.save('data/features.npy', X)",
    "print('features', X.shape)",
)
MODEL = (
    "import csv, os, pickle\nimport numpy as np\nfrom mlworkflows import plot, util",
    "from sklearn.linear_model import LogisticRegression",
    "X = np.load('data/features.npy')\ny = [row[2] for row in csv.reader(open('data/train.csv'))]",
    "model = LogisticRegression(random_state=0).fit(X, y)",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
ROWS = "rows = [['0', '1'], ['0', '2'], ['1', '3'], ['2', '2']]\nbuckets = 3"
LABELS = "X = np.load('data/features.npy')\ny = ['low', 'low', 'high', 'high']"
F, M = "03-features.ipynb", "04-model.ipynb"
FILES = {
    "README.md": "# Flats\n",
    "data/train.csv": "0,0.1,low\n0.2,0,low\n2.9,2.5,high\n2.6,2.7,high\n",
    "mlworkflows/__init__.py": "",
    "mlworkflows/util.py": "def scale(X):\n    return X * 2\n",
    "mlworkflows/plot.py": "COLOUR = 'red'\n",
    "featuressimple.py": "A = 1\n",
}


def two_notebooks(root: Path) -> Path:
    return write_repository(root, {F: FEATURES, M: MODEL}, files=FILES)


# --- Changes --------------------------------------------------------------------------------------------------------


def edit(path: str, text: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return change


def delete(path: str) -> Callable[[Path], None]:
    return lambda root: (root / path).unlink()


def append(path: str, text: str) -> Callable[[Path], None]:
    return lambda root: edit(path, (root / path).read_text() + text)(root)


def cells(path: str, sources: tuple[str, ...]) -> Callable[[Path], None]:
    return lambda root: write_notebook(root / path, sources)


def replace_cell(path: str, number: int, source: str) -> Callable[[Path], None]:
    """Put another source into a cell, or add one behind the last."""

    def change(root: Path) -> None:
        notebook = nbformat.read(root / path, as_version=4)  # type: ignore[no-untyped-call]
        sources = [cell.source for cell in notebook.cells]
        write_notebook(root / path, (*sources[: number - 1], source, *sources[number:]))

    return change


def in_turn(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        for each in changes:
            each(root)

    return change


def explained(root: Path) -> None:
    """Add markdown to the first notebook."""
    notebook = nbformat.read(root / F, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Features\n\nBetter words."))  # type: ignore[no-untyped-call]
    nbformat.write(notebook, root / F)  # type: ignore[no-untyped-call]


def as_if_opened_in_jupyter(root: Path) -> None:
    """Change everything that running, scrolling and saving changes, in every cell of the first notebook."""
    notebook = nbformat.read(root / F, as_version=4)  # type: ignore[no-untyped-call]
    notebook.metadata.kernelspec = {"name": "conda-env-flats", "display_name": "Python (flats)", "language": "python"}
    for count, cell in enumerate(notebook.cells, start=7):
        cell.execution_count = count
        cell.id = f"other-{count}"
        cell.metadata = {"scrolled": True, "tags": ["hide"], "execution": {"iopub.status.busy": "2026-11-20T10:00:00Z"}}
        cell.outputs = [nbformat.v4.new_output("stream", text="42\n")]  # type: ignore[no-untyped-call]
    nbformat.write(notebook, root / F)  # type: ignore[no-untyped-call]


def nothing(_root: Path) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Scenario:
    change: Callable[[Path], object]
    features: str
    model: str
    env: tuple[tuple[str, str], ...] = ()
    why: str = ""
    """What the log has to give as the reason."""


SCENARIOS = {
    "unchanged": Scenario(change=nothing, features="reused", model="reused"),
    "saved in Jupyter, with new markdown": Scenario(
        change=in_turn(as_if_opened_in_jupyter, explained), features="reused", model="reused"
    ),
    "README and new data": Scenario(
        change=in_turn(edit("README.md", "x"), edit("data/new.csv", "1")),
        features="reused",
        model="reused",
    ),
    "unrelated module": Scenario(change=edit("zzz.py", "B = 2\n"), features="reused", model="reused"),
    "comment in a module of the second": Scenario(
        change=append("mlworkflows/plot.py", "# red\n"),
        features="reused",
        model="run",
        why="mlworkflows/plot.py changed",
    ),
    "module that nobody imports": Scenario(
        change=append("featuressimple.py", "A = 2\n"), features="reused", model="reused"
    ),
    "module of both": Scenario(
        change=append("mlworkflows/util.py", "# both\n"), features="run", model="run", why="mlworkflows/util.py changed"
    ),
    "variable": Scenario(
        change=nothing,
        env=(("TFIDF_BUCKETS", "2"),),
        features="run",
        model="run",
        why="variable TFIDF_BUCKETS was set",
    ),
    "unrelated variable": Scenario(change=nothing, env=(("FOO", "1"),), features="reused", model="reused"),
    "new cell in the second": Scenario(
        change=replace_cell(M, 6, "model"), features="reused", model="run", why="its code changed"
    ),
    "comment in the first: the same features": Scenario(
        change=cells(F, (*FEATURES[:4], "print('features', X.shape)  # rows, columns")),
        features="run",
        model="reused",
        why="its code changed",
    ),
    "training data": Scenario(
        change=edit("data/train.csv", "0,0.1,low\n0.2,0,low\n2.9,2.5,high\n2.8,2.7,high\n"),
        features="run",
        model="run",
        why="data/train.csv changed",
    ),
    "folder that shadows a package": Scenario(
        change=edit("sklearn/README", "not a package of ours"), features="reused", model="run", why="sklearn/ added"
    ),
    "old output committed": Scenario(
        change=lambda root: (root / "data/features.npy").write_bytes(b"old"),
        features="run",
        model="reused",
        why="data/features.npy added",
    ),
    "data file deleted": Scenario(
        change=in_turn(
            cells(F, (FEATURES[0], ROWS, *FEATURES[2:])),
            replace_cell(M, 3, LABELS),
            delete("data/train.csv"),
            edit("data/other", ""),
        ),
        features="run",
        model="run",
    ),
    "module deleted": Scenario(change=delete("featuressimple.py"), features="reused", model="reused"),
}
