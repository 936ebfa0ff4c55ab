"""The models that are served: the data of each, and the notebook that trains it.

All data is made here or by scikit-learn, with fixed seeds. The notebook reads it from the file that the requests are
made from as well, so that a request holds what the model was fitted on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from sklearn.datasets import load_iris, make_classification

from tests.support.pythons import ROOT
from tests.support.repositories import write_repository

Kind = Literal["numbers", "texts", "columns"]
Row = Any
"""What one row is in JSON: a list of numbers, a text, or an object of named columns."""

REQUIREMENTS = ROOT / "bench/serving/requirements/model.txt"
_NOTEBOOK = "train.ipynb"
_DATA = "data/rows.json"
_REQUEST_ROWS = 1024
"""As many as one call of the service may have."""


@dataclass(frozen=True, kw_only=True)
class Data:
    """Rows with their labels; `columns` are the types of named columns, as JSON has them."""

    rows: Sequence[Row]
    labels: Sequence[str]
    columns: Mapping[str, str]


class Model:
    """A pipeline that is fitted by `cells` on X and y."""

    def __init__(self, name: str, kind: Kind, fit: str, data: Data, *, title: str) -> None:
        self.name, self.kind, self.title = name, kind, title
        self.columns = data.columns
        self._fit, self._data = fit, data

    def write_repository(self, root: Path) -> Path:
        """Write the repository whose notebook trains the model."""
        content = json.dumps({"rows": self._data.rows, "labels": self._data.labels})
        cells = (_READ, _INPUT[self.kind], self._fit, _SAVE)
        requirements = REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        return write_repository(root, {_NOTEBOOK: cells}, requirements=requirements, files={_DATA: content})

    @cached_property
    def rows(self) -> Sequence[Row]:
        """What is asked for: rows in an order that has nothing to do with their labels, again from the first one if
        they are few.
        """
        shuffled = list(self._data.rows)
        random.Random(0).shuffle(shuffled)
        return [shuffled[number % len(shuffled)] for number in range(_REQUEST_ROWS)]

    def requests(self, rows: int) -> Sequence[Sequence[Row]]:
        """Return the rows of distinct requests of that many rows."""
        starts = range(0, min(_REQUEST_ROWS, 256 * rows) - rows + 1, rows)
        return [self.rows[start : start + rows] for start in starts]


_READ = f"import json\nwith open({_DATA!r}) as file:\n    data = json.load(file)"
_INPUT: Mapping[Kind, str] = {
    "numbers": "import numpy as np\nX, y = np.array(data['rows']), np.array(data['labels'])",
    "texts": "X, y = data['rows'], data['labels']",
    "columns": "import pandas as pd\nX, y = pd.DataFrame(data['rows']), data['labels']",
}
_SAVE = (
    "import os, pickle\nwith open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n"
    "    pickle.dump(model, file)\nprint(model.score(X, y))"
)
_LOGISTIC = "from sklearn.linear_model import LogisticRegression\nfrom sklearn.pipeline import make_pipeline\n"


def iris() -> Model:
    flowers = load_iris()
    labels = [str(flowers.target_names[target]) for target in flowers.target]
    fit = (
        _LOGISTIC + "from sklearn.preprocessing import StandardScaler\n"
        "model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(X, y)"
    )
    data = Data(rows=flowers.data.tolist(), labels=labels, columns={})
    return Model("iris", "numbers", fit, data, title="scaler and logistic regression, 4 numbers")


def text() -> Model:
    texts, labels = [], []
    for label in ("legitimate", "spam"):
        lines = (ROOT / f"examples/spam/data/{label}.txt").read_text(encoding="utf-8").splitlines()
        texts += lines
        labels += [label] * len(lines)
    fit = (
        _LOGISTIC + "from sklearn.feature_extraction.text import TfidfVectorizer\n"
        "model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000)).fit(X, y)"
    )
    return Model(
        "text", "texts", fit, Data(rows=texts, labels=labels, columns={}), title="tf-idf and logistic regression"
    )


_TOWNS = ("Ulm", "Jena", "Bremen", "Köln", "Trier", "Halle", "Passau", "Gera")
_KINDS = {"float": 12, "integer": 8, "text": 6, "boolean": 4}


def columns() -> Model:
    chance = random.Random(0)
    names = {f"{kind}_{number:02}": kind for kind, count in _KINDS.items() for number in range(count)}
    rows = [{name: _cell(kind, chance) for name, kind in names.items()} for _ in range(2000)]
    labels = [_label(row, chance) for row in rows]
    fit = _LOGISTIC + (
        "from sklearn.compose import ColumnTransformer\n"
        "from sklearn.impute import SimpleImputer\n"
        "from sklearn.preprocessing import OneHotEncoder, StandardScaler\n"
        "of = lambda kind: [name for name in X.columns if name.startswith(kind)]\n"
        "prepared = ColumnTransformer([\n"
        "    ('numbers', make_pipeline(SimpleImputer(), StandardScaler()), of('float') + of('integer')),\n"
        "    ('texts', OneHotEncoder(handle_unknown='ignore'), of('text')),\n"
        "    ('flags', 'passthrough', of('boolean')),\n"
        "])\n"
        "model = make_pipeline(prepared, LogisticRegression(max_iter=1000)).fit(X, y)"
    )
    data = Data(rows=rows, labels=labels, columns=names)
    return Model("columns", "columns", fit, data, title="30 named columns of mixed types and logistic regression")


def _cell(kind: str, chance: random.Random) -> float | str | None:
    match kind:
        case "float":
            return None if chance.random() < 0.05 else round(chance.gauss(50, 20), 3)
        case "integer":
            return chance.randrange(100)
        case "text":
            return chance.choice(_TOWNS)
        case _:
            return chance.random() < 0.5


def _label(row: Mapping[str, Any], chance: random.Random) -> str:
    known = [value for name, value in row.items() if name.startswith(("float", "integer")) and value is not None]
    score = sum(known) / len(known) + 10 * row["boolean_00"] + 5 * (row["text_00"] in _TOWNS[:4]) + chance.gauss(0, 3)
    return "high" if score > 57 else "low"


def forest() -> Model:
    features, targets = make_classification(3000, 20, n_informative=10, n_classes=3, random_state=0)
    fit = (
        "from sklearn.ensemble import RandomForestClassifier\n"
        "model = RandomForestClassifier(100, random_state=0).fit(X, y)"
    )
    data = Data(rows=features.round(4).tolist(), labels=[f"class {target}" for target in targets], columns={})
    return Model("forest", "numbers", fit, data, title="random forest of 100 trees, 20 numbers")


MODELS = {"iris": iris, "text": text, "columns": columns, "forest": forest}
