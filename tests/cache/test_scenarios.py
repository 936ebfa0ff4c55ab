"""What is run and what is reused after a change: the table of scenarios, with real kernels.

In conservative mode a notebook may run needlessly, but is never reused wrongly: there "reused" is a wish, "run" an
order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
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


def as_if_opened_in_jupyter(root: Path) -> None:
    """Change everything that running, scrolling and saving changes, in every cell of the first notebook."""
    notebook = nbformat.read(root / F, as_version=4)  # type: ignore[no-untyped-call]
    notebook.metadata.kernelspec = {"name": "conda-env-flats", "display_name": "Python (flats)", "language": "python"}
    for count, cell in enumerate(notebook.cells, start=7):
        cell.execution_count = count
        cell.id = f"other-{count}"
        cell.metadata = {"scrolled": True, "tags": ["hide"], "execution": {"iopub.status.busy": "2026-11-20T10:00:00Z"}}
        cell.outputs = [nbformat.v4.new_output("stream", text="42\n")]  # type: ignore[no-untyped-call]
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Features\n\nBetter words."))  # type: ignore[no-untyped-call]
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
    "saved in Jupyter": Scenario(change=as_if_opened_in_jupyter, features="reused", model="reused"),
    "README and new data": Scenario(
        change=lambda root: (edit("README.md", "x")(root), edit("data/new.csv", "1")(root)),
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
        change=cells(M, (*MODEL, "model.coef_")), features="reused", model="run", why="its code changed"
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
        change=lambda root: (
            cells(F, (FEATURES[0], ROWS, *FEATURES[2:]))(root),
            cells(M, (*MODEL[:2], LABELS, *MODEL[3:]))(root),
            delete("data/train.csv")(root),
            edit("data/other", "")(root),
        ),
        features="run",
        model="run",
    ),
    "module deleted": Scenario(change=delete("featuressimple.py"), features="reused", model="reused"),
}


@pytest.fixture(scope="module", params=["trace", "conservative"])
def lab(request: pytest.FixtureRequest, make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    mode: str = request.param
    env = {"NACHLASS_NOTEBOOKS": f"{F},{M}", "NACHLASS_CACHE": mode}
    return make_lab(two_notebooks(tmp_path_factory.mktemp("r") / "r"), env)


def is_conservative(lab: Lab) -> bool:
    return (lab.phases.platform / "env/NACHLASS_CACHE").read_text() == "conservative"


@pytest.mark.parametrize("name", SCENARIOS)
def test_change_is_answered_by_the_fewest_runs(lab: Lab, name: str) -> None:
    scenario = SCENARIOS[name]
    lab.reset()
    lab.phases.set_env(dict(scenario.env))
    outcome = lab.build(scenario.change)

    assert outcome.built.exit_code == 0, outcome.built.output
    expected = {F: scenario.features, M: scenario.model}
    if is_conservative(lab):
        assert [n for n, what in expected.items() if what == "run" and outcome.what[n] != "run"] == []
        if name in {"unchanged", "saved in Jupyter"}:
            assert outcome.what == expected
    else:
        assert outcome.what == expected, outcome.built.output
        reasons = [decision.why for decision in outcome.decisions.values() if decision.what == "run"]
        assert not scenario.why or any(scenario.why in reason for reason in reasons), reasons


def test_first_build_runs_everything(lab: Lab) -> None:
    assert {decision.why for decision in lab.cold.decisions.values()} == {"there is no earlier run"}


def test_earlier_state_is_still_known(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"TFIDF_BUCKETS": "2"})
    assert lab.build().what == {F: "run", M: "run"}
    (lab.phases.platform / "env/TFIDF_BUCKETS").unlink()
    assert lab.build().what == {F: "reused", M: "reused"}
    lab.phases.set_env({"TFIDF_BUCKETS": "2"})
    assert lab.build().what == {F: "reused", M: "reused"}


def test_reused_model_serves_as_the_trained_one_did(lab: Lab) -> None:
    lab.reset()
    outcome = lab.build(edit("README.md", "x"))
    assert outcome.built.exit_code == 0, outcome.built.output
    with lab.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [5.0, 5.0]]) == ["low", "high"]


def test_renamed_notebook_is_another_one(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"NACHLASS_NOTEBOOKS": f"{F},05-model.ipynb"})
    outcome = lab.build(lambda root: (root / M).rename(root / "05-model.ipynb"))
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what["05-model.ipynb"] == "run"


def test_package_upgrade_runs_everything(lab: Lab) -> None:
    lab.reset()
    metadata = next(lab.phases.kept_layer("packages").rglob("threadpoolctl-*.dist-info/METADATA"))
    text = metadata.read_text()
    version = next(line for line in text.splitlines() if line.startswith("Version: "))
    metadata.unlink()  # It is a link to a file of other tests.
    metadata.write_text(text.replace(version, "Version: 99.0"))
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "run"}
    assert f"packages changed: threadpoolctl {version.split()[1]} → 99.0" in outcome.decisions[F].why


def test_damaged_blob_costs_a_run_and_never_a_wrong_stage(lab: Lab) -> None:
    lab.reset()
    for blob in (lab.phases.store.kept / "stage-store/blobs").glob("*/*"):
        data = blob.read_bytes()
        blob.unlink()
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    outcome = lab.build()
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what == {F: "run", M: "run"}
    assert "damaged" in outcome.decisions[M].why


@pytest.mark.parametrize("text", ["", "{", "0" * 64 + "\n{}\n"])
def test_damaged_trace_costs_a_run(lab: Lab, text: str) -> None:
    lab.reset()
    for trace in (lab.phases.store.kept / "stage-store/traces").glob("*/*.json"):
        trace.unlink()
        trace.write_text(text)
    outcome = lab.build()
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what == {F: "run", M: "run"}


def test_store_of_another_format_is_discarded(lab: Lab) -> None:
    lab.reset()
    marker = lab.phases.store.kept / "stage-store/format"
    marker.unlink()
    marker.write_text("0")
    outcome = lab.build()
    assert "Discarding the stage cache: it is of another format" in outcome.built.output
    assert outcome.what == {F: "run", M: "run"}


def test_cache_may_be_off(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"NACHLASS_CACHE": "off"})
    assert lab.build().what == {F: "run", M: "run"}


def test_some_notebooks_may_always_run(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"NACHLASS_ALWAYS_RUN": F})
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "reused"}
    assert outcome.decisions[F].why == "NACHLASS_ALWAYS_RUN names it"


def test_value_of_a_variable_is_nowhere_in_the_store(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"TFIDF_BUCKETS": "2000003"})
    assert lab.build().built.exit_code == 0
    traces = (lab.phases.store.kept / "stage-store").rglob("*.json")
    assert not any("2000003" in trace.read_text() for trace in traces)


def test_secret_is_a_dependency_of_who_reads_it(make_lab: LabMaker, tmp_path: Path) -> None:
    repository = write_repository(
        tmp_path / "r",
        {
            F: ("import os\nprint(len(os.environ['TOKEN']))",),
            M: (*MODEL[:2], "X, y = [[0, 1], [3, 4]], ['low', 'high']", *MODEL[3:]),
        },
        files=FILES,
    )
    binding = {"type": "nachlass", "TOKEN": "first-secret"}
    env = {"NACHLASS_NOTEBOOKS": f"{F},{M}"}
    phases_env = dict(env)
    lab = make_lab_with_binding(make_lab, repository, phases_env, binding)
    assert lab.build().what == {F: "reused", M: "reused"}
    (lab.phases.platform / "bindings/b/TOKEN").write_text("second-secret")
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "reused"}
    assert outcome.decisions[F].why == "variable TOKEN changed"
    store = lab.phases.store.kept / "stage-store"
    assert not [path for path in store.rglob("*") if path.is_file() and b"-secret" in path.read_bytes()]


def make_lab_with_binding(make_lab: LabMaker, repository: Path, env: dict[str, str], binding: dict[str, str]) -> Lab:
    """Build cold with a value from the environment in place of the binding, then let the binding bring it."""
    lab = make_lab(repository, {**env, "TOKEN": binding["TOKEN"]})
    (lab.phases.platform / "env/TOKEN").unlink()
    lab.phases.add_binding("b", binding)
    return lab
