"""The candidate inputs that a build takes from a notebook that has run."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.user_kernel import UserKernel, user_environment, user_kernel
from tests.support.facilities import require
from tests.support.pythons import find_python

READ = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    print(repr(eval(sys.argv[2], {"samples": pickle.load(file), "more": pickle.load(file)})))
"""


class Notebook:
    """A fresh namespace in a kernel with scikit-learn, and the samples that it leads to."""

    def __init__(self, kernel: UserKernel, python: Path, file: Path) -> None:
        self._kernel = kernel
        self._python = python
        self.file = file

    def run(self, code: str) -> None:
        outcome = self._kernel.run(code)
        assert outcome.error == "", outcome.error

    def collect(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._kernel.ask(f"collect_samples({str(self.file)!r})")
        return answer

    def value(self, expression: str) -> Any:
        return self._kernel.value(expression)

    def read(self, expression: str) -> str:
        """Return the repr of an expression over `samples` and `more`, where nothing of the notebook is known."""
        command = [str(self._python), "-I", "-c", READ, str(self.file), expression]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def notebook(data_python: Path, tmp_path: Path) -> Iterator[Notebook]:
    with user_kernel(data_python, tmp_path) as kernel:
        yield Notebook(kernel, data_python, tmp_path / "samples.pickle")


def test_fits_input_comes_first_and_the_authors_sample_before_it(notebook: Notebook) -> None:
    notebook.run("""
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler
data = pd.DataFrame({"a": range(40), "b": range(40), "label": ["no", "yes"] * 20})
y = LabelEncoder().fit_transform(data["label"])
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(data[["a", "b"]], y)
""")
    notebook.collect()
    assert notebook.read("list(samples[0].columns), len(samples[0])") == "(['a', 'b'], 5)"
    # The scaler and the regression inside the pipeline saw arrays; only what the notebook called counts.
    assert notebook.read("sum(type(sample).__name__ == 'ndarray' for sample in samples)") == "0"

    notebook.run("nachlass_sample = [[1.5, 2.5]]")
    assert notebook.collect()["nachlass_sample"] == "used"
    assert notebook.read("samples[0]") == "[[1.5, 2.5]]"


def test_texts_of_a_vectoriser_are_plain_strings(notebook: Notebook) -> None:
    notebook.run("""
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
mail = pd.DataFrame({"kind": ["spam", "ham"] * 9, "body": ["cheap pills for you today", "see you at noon then"] * 9})
features = TfidfVectorizer().fit_transform(mail["body"])
""")
    notebook.collect()
    assert notebook.read("samples[0][:2]") == "['cheap pills for you today', 'see you at noon then']"


def test_without_any_fit_variables_are_the_candidates(notebook: Notebook) -> None:
    notebook.run("""
import numpy as np
words = ["yes", "no"] * 3
texts = ["a sentence to be judged", "another sentence to be judged"] * 3
X_new = np.arange(40.0).reshape(20, 2)
unrelated, _hidden, module = {"a": 1}, [["never"]], np
""")
    assert notebook.collect()["count"] == 3
    assert notebook.read("samples[0][0], samples[1][0]") == "('a sentence to be judged', 'yes')"
    assert notebook.read("samples[2].shape") == "(5, 2)"


def test_rows_with_missing_values_are_shown_and_left_out_in_turn(notebook: Notebook) -> None:
    notebook.run("""
import pandas as pd
rooms = [1.0] * 100
size = [2.0] * 100
rooms[50], size[70], size[71] = None, None, None
frame = pd.DataFrame({"rooms": rooms, "size": size, "town": ["Ulm"] * 100})
""")
    notebook.collect()
    assert notebook.read("list(samples[0].index)") == "[0, 1, 2, 3, 4, 50, 70]"
    assert notebook.read("list(samples[1].index)") == "[0, 1, 2, 3, 4]"


def test_samples_are_readable_by_their_owner_only(notebook: Notebook) -> None:
    notebook.file.write_bytes(b"")
    notebook.file.chmod(0o644)
    notebook.collect()
    assert notebook.file.stat().st_mode & 0o777 == 0o600
    assert pickle.loads(notebook.file.read_bytes()) == []


def test_what_only_the_notebook_could_load_is_no_sample(notebook: Notebook) -> None:
    notebook.run("""
import numpy as np
class Own:
    pass
nachlass_sample = [Own()]
objects = np.array([[Own()], [Own()]], dtype=object)
text = ["the only usable one"]
""")
    assert notebook.collect() == {"count": 1, "nachlass_sample": "unusable"}
    assert notebook.read("samples") == "[['the only usable one']]"


def test_hostile_variables_disturb_nothing(notebook: Notebook) -> None:
    notebook.run("""
import pandas as pd
class Proxy:
    __class__ = property(lambda self: 1 / 0)
    def __getattr__(self, name): raise RuntimeError(name)
    def __len__(self): raise RuntimeError("len")
class Frame(pd.DataFrame):
    @property
    def iloc(self): raise KeyboardInterrupt
proxy = Proxy()
texts = ["one", "two"]
""")
    assert notebook.collect()["count"] == 1


def test_collecting_changes_nothing_in_the_notebook(notebook: Notebook) -> None:
    notebook.run("""
import numpy as np, pandas as pd, random
frame = pd.DataFrame({"a": [1.0, None] * 20})
frame.attrs["note"] = "kept"
random.seed(1); np.random.seed(1)
""")
    state = "(sorted(globals()), random.getstate(), np.random.get_state()[1].tolist(), frame.attrs, len(Out))"
    notebook.run("1")
    before = notebook.value(f"{state}[1:4]")
    names = notebook.value("sorted(name for name in globals() if not name.startswith('_'))")
    notebook.collect()
    assert notebook.value(f"{state}[1:4]") == before
    assert notebook.value("sorted(name for name in globals() if not name.startswith('_'))") == names


def test_observed_estimators_pickle_as_everywhere(notebook: Notebook, data_python: Path, tmp_path: Path) -> None:
    notebook.run(f"""
import cloudpickle, numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LinearRegression
class Double(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X * 2
X = np.arange(8.0).reshape(4, 2)
stages = [Double().fit(X), LinearRegression().fit(X, X[:, 0])]
with open({str(tmp_path / "stages")!r}, "wb") as file:
    cloudpickle.dump(stages, file)
""")
    program = """
import pickle, sys
import numpy as np
double, regression = pickle.load(open(sys.argv[1], "rb"))
print(regression.predict(double.fit([[0, 0]]).transform(np.array([[1, 2]]))).shape)
"""
    command = [str(data_python), "-I", "-c", program, str(tmp_path / "stages")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("(1,)\n", 0), done.stderr
    assert b"_nachlass" not in (tmp_path / "stages").read_bytes()


def test_fit_observed_after_a_look_for_scikit_learn(notebook: Notebook) -> None:
    notebook.run("""
from importlib.util import find_spec
assert find_spec("sklearn.base")
import numpy as np
from sklearn.preprocessing import StandardScaler
StandardScaler().fit_transform(np.arange(30.0).reshape(10, 3))
""")
    notebook.collect()
    assert notebook.read("samples[0].shape") == "(5, 3)"


def test_fit_of_an_older_scikit_learn_is_observed(tmp_path: Path) -> None:
    require("python3.11")
    python = find_python("python3.11")
    assert python is not None
    interpreter = user_environment(python, ["scikit-learn==1.2.2", "numpy==1.26.4", "scipy==1.11.4"])
    with user_kernel(interpreter, tmp_path, python=python) as kernel:
        notebook = Notebook(kernel, interpreter, tmp_path / "samples.pickle")
        notebook.run("""
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
scaled = StandardScaler().fit_transform(np.arange(30.0).reshape(10, 3))
model = LogisticRegression().fit(scaled[:, :2], [0, 1] * 5)
""")
        notebook.collect()
    assert notebook.read("[sample.shape for sample in samples[:2]], samples[0].max()") == "([(5, 3), (5, 2)], 14.0)"


def test_cross_validation_shows_no_folds(notebook: Notebook) -> None:
    notebook.run("""
def judge():
    import numpy as np
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import cross_val_score
    table = np.arange(60.0).reshape(20, 3)
    cross_val_score(Ridge(), table, table[:, 0], cv=5, n_jobs=1)
judge()
""")
    assert notebook.collect()["count"] == 0


def test_more_rows_of_each_candidate_come_for_the_reference(notebook: Notebook) -> None:
    notebook.run("""
import pandas as pd
from sklearn.linear_model import LinearRegression
X = pd.DataFrame({"a": range(30_000)})
model = LinearRegression().fit(X, X["a"])
few = pd.DataFrame({"b": range(5)})
nachlass_sample = X.head()
""")
    notebook.collect()
    assert notebook.read("len(samples[0]), len(more[0])") == "(5, 10000)"
    assert notebook.read("int(more[0]['a'].max())") == "29997"
    assert notebook.read("[all_ for rows, all_ in zip(samples, more) if 'b' in rows]") == "[None]"
