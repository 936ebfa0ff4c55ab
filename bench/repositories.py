"""The repositories that are built, made anew for each benchmark.

Their cells say when they begin and end, so that every tool's time is taken from the same clock: that of the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

_FIRST = "import time\nprint('bench first', time.time())"
_LAST = "print('bench last', time.time())\nprint('bench cpu', time.process_time())"
_CSV_FILES = 200
_CSV_ROWS = 1500
_FILES_A_DIRECTORY = 100

IMPORTS_AND_FILES = (
    (
        "import glob\nimport numpy as np\nimport pandas as pd\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.feature_extraction.text import TfidfVectorizer\nfrom sklearn.model_selection import GridSearchCV"
    ),
    "parts = [pd.read_csv(path) for path in sorted(glob.glob('data/*.csv'))]\ntable = pd.concat(parts)",
    (
        "import pickle, os\nfrom sklearn.linear_model import LogisticRegression\n"
        "model = LogisticRegression().fit(table[['a', 'b']].to_numpy(), table['label'])"
    ),
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)


def stamped(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the cells between one that says when the first begins and one that says when the last has ended."""
    return (_FIRST, *cells, _LAST)


def tiny(root: Path) -> Path:
    """Two notebooks that do next to nothing: `a.ipynb` writes a file, `b.ipynb` saves a stage."""
    writes = ("open('rows', 'w').write('1')",)
    reads = ("print(open('rows').read())", *LOGISTIC_REGRESSION)
    return write_repository(root, {"a.ipynb": stamped(writes), "b.ipynb": stamped(reads)})


def heavy(root: Path) -> Path:
    """One notebook that imports a lot and reads 200 files: the dearest kind to watch."""
    repository = write_repository(root, {"b.ipynb": stamped(IMPORTS_AND_FILES)})
    (repository / "data").mkdir()
    for number in range(_CSV_FILES):
        rows = (f"{row % 97},{(row * number) % 89},{'even' if row % 2 else 'odd'}\n" for row in range(_CSV_ROWS))
        (repository / f"data/{number:03d}.csv").write_text("a,b,label\n" + "".join(rows))
    return repository


def slow(root: Path, seconds: float) -> Path:
    """Two notebooks whose cells take `seconds` together."""
    waits = f"time.sleep({seconds / 2})"
    cells = {"a.ipynb": stamped((waits, "open('rows', 'w').write('1')"))}
    return write_repository(
        root, {**cells, "b.ipynb": stamped((waits, "print(open('rows').read())", *LOGISTIC_REGRESSION))}
    )


def many_files(root: Path, count: int) -> Path:
    """Two notebooks and `count` files, half of them beside the notebooks; one is read and one directory is listed."""
    reads = ("import os\nprint(open('0.txt').read(), len(os.listdir('tree/000')))", *LOGISTIC_REGRESSION)
    repository = write_repository(root, {"a.ipynb": stamped(("1",)), "b.ipynb": stamped(reads)})
    for number in range(count // 2):
        (repository / f"{number}.txt").write_text(f"{number}\n")
        path = repository / f"tree/{number // _FILES_A_DIRECTORY:03d}/{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{number}\n")
    return repository


def reads_twice(root: Path, size_bytes: int) -> Path:
    """Two notebooks that read the same file of `size_bytes`."""
    reads = "with open('data/shared.bin', 'rb') as file:\n    while file.read(1 << 20):\n        pass"
    repository = write_repository(
        root, {"a.ipynb": stamped((reads,)), "b.ipynb": stamped((reads, *LOGISTIC_REGRESSION))}
    )
    (repository / "data").mkdir()
    write_bytes(repository / "data/shared.bin", size_bytes)
    return repository


def lists_data(root: Path) -> Path:
    """A notebook that lists `data` and reads one of the two files in it; the other one is empty at first."""
    reads = "import glob\nprint(sorted(glob.glob('data/*')), open('data/read.txt').read())"
    files = {"data/read.txt": "1", "data/unread.bin": ""}
    return write_repository(root, {"b.ipynb": stamped((reads, *LOGISTIC_REGRESSION))}, files=files)


def write_bytes(path: Path, size_bytes: int) -> None:
    """Write a file without holes."""
    block = bytes(range(256)) * 4096
    with path.open("wb") as file:
        for start in range(0, size_bytes, len(block)):
            file.write(block[: size_bytes - start])


def hundred_cells(root: Path) -> Path:
    """A notebook of a hundred cells that do nothing, and a few that train."""
    cells = (*("x = 1",) * 100, "print('bench hundredth', time.time())", *LOGISTIC_REGRESSION)
    return write_repository(root, {"b.ipynb": stamped(cells)})
