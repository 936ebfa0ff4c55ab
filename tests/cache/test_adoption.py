"""Parameters, seeds, and stages that a notebook writes without knowing of nachlass: by real builds with a cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab, Outcome
from tests.support.repositories import write_repository

A, B = "01-rows.ipynb", "work/02-model.ipynb"
ROWS = (
    "import random\nimport numpy as np",
    "np.save('rows.npy', np.random.rand(60, 3))",
    "print('drew', random.random())",
)
MODEL = (
    "trees = 2\nkind = 'small'\nwhere = 'model.joblib'",
    "print('given', trees, repr(kind), sep='|')",
    "import numpy as np\ndef double(X):\n    return np.asarray(X) * 2",
    "import cloudpickle\nfrom sklearn.ensemble import RandomForestClassifier as Forest",
    "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer as Function",
    "X = np.load('../rows.npy')\ny = X[:, 0] > 0.5",
    "def halve(X):\n    return X / 2",
    "model = make_pipeline(Function(double), Function(lambda X: halve(X)), Forest(trees)).fit(X, y)",
    "with open(where, 'wb') as file:\n    cloudpickle.dump(model, file)",
)
PYPROJECT = f"""
[tool.nachlass]
notebooks = ["{A}", "{B}"]

[tool.nachlass.parameters."{B}"]
trees = 3
kind = "from the file"
"""


def tag_first_cell(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells[0].metadata.tags = ["parameters"]
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def lab(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    root = write_repository(
        tmp_path_factory.mktemp("adoption") / "repository", {A: ROWS, B: MODEL}, files={"pyproject.toml": PYPROJECT}
    )
    tag_first_cell(root / B)
    (root / "model.joblib").write_bytes(b"an older model, at the root")
    return make_lab(root, env={"NACHLASS_STAGES": f"{B}=model.joblib", "NACHLASS_SEED": "7"})


@pytest.fixture
def changed(lab: Lab) -> Iterator[Lab]:
    lab.reset()
    yield lab
    lab.reset()


def stage_of(lab: Lab) -> bytes:
    (file,) = (lab.phases.layers / "stages" / "stages").iterdir()
    return file.read_bytes()


def printed(outcome: Outcome, word: str) -> str:
    """Return what a notebook printed behind a word."""
    (line,) = [line for line in outcome.built.output.splitlines() if f"] {word}" in line]
    return line.partition(word)[2].strip(" |")


def test_file_that_a_notebook_writes_anyway_becomes_its_stage(lab: Lab) -> None:
    lab.reset()
    output = lab.cold.built.output
    assert "Its stage is work/model.joblib, as NACHLASS_STAGES says\n" in output
    assert f"{B}: sklearn.pipeline.Pipeline" in output
    assert "random_state" not in output, "everything is seeded"
    manifest = json.loads((lab.phases.layers / "stages" / "manifest.json").read_text())
    assert [stage["notebook"] for stage in manifest["stages"]] == [B]
    assert printed(lab.cold, "given") == "3|'from the file'"
    assert f"    {B}: trees, kind\n" in output
    again = lab.build()
    assert again.what == {A: "reused", B: "reused"}
    assert f"{A}: reused (run 20" in again.built.output, "it trains nothing"
    assert f"{B}: reused (trained 20" in again.built.output


def test_variable_changes_one_parameter_and_runs_what_it_reaches(changed: Lab) -> None:
    new = "it's, 'new'"
    changed.phases.set_env({"NACHLASS_PARAMETERS": json.dumps({B: {"kind": new}})})
    outcome = changed.build()
    assert outcome.what == {A: "reused", B: "run"}
    assert outcome.decisions[B].why == "its parameters changed"
    assert printed(outcome, "given") == f"3|{new!r}"
    assert new not in outcome.built.output.partition("[Notebook 1")[0], "values are not for the log"


def test_seeded_runs_leave_the_same_bytes_and_another_seed_others(changed: Lab) -> None:
    before = stage_of(changed)
    changed.phases.set_env({"NACHLASS_ALWAYS_RUN": f"{A},{B}"})
    again = changed.build()
    assert again.what == {A: "run", B: "run"}
    assert printed(again, "drew") == printed(changed.cold, "drew")
    assert stage_of(changed) == before, "functions of cells and the forest are the same in each run"
    changed.phases.set_env({"NACHLASS_ALWAYS_RUN": "", "NACHLASS_SEED": "8"})
    other = changed.build()
    assert other.decisions[A].why == "NACHLASS_SEED changed"
    assert printed(other, "drew") != printed(again, "drew")
    assert stage_of(changed) != before


def test_parameter_that_no_notebook_expects_is_set_in_all_and_said(changed: Lab) -> None:
    changed.phases.set_env({"NACHLASS_PARAMETERS": "trees=4,tres=5", "NACHLASS_SEED": ""})
    outcome = changed.build()
    assert f"    {A}: tres\n    {B}: trees, tres, kind\n" in outcome.built.output
    assert f"Warning: {A} has no cell tagged 'parameters': tres is set at the top\n" in outcome.built.output
    unexpected = f"{B}: its cell tagged 'parameters' doesn't assign tres, which is set all the same"
    assert f"Warning: {unexpected}; did you mean trees?\n" in outcome.built.output
    assert printed(outcome, "given") == "4|'from the file'"
    assert (
        f"Warning: {B}: RandomForestClassifier (randomforestclassifier) has random_state=None: each training gives "
        "another model. Set it in the notebook. Or seed all of them, with\n"
        "           NACHLASS_SEED=0      (pack build: --env NACHLASS_SEED=0)\n" in outcome.built.output
    )


def test_file_that_this_run_did_not_write_is_no_stage(changed: Lab) -> None:
    changed.phases.set_env({"NACHLASS_PARAMETERS": json.dumps({B: {"where": "other.joblib"}})})
    built = changed.build().built
    assert built.exit_code == 1
    assert "Reference: stage-not-written" in built.output
    assert "'model.joblib' was there before, and this run didn't write it" in built.output
    assert "It wrote these, which look like models:\n  work/other.joblib\n" in built.output


def test_link_out_of_the_repository_is_no_stage_and_another_notebooks_name_is_told(changed: Lab) -> None:
    def link(root: Path) -> None:
        (root / "work" / "out.joblib").symlink_to(root.parent / "outside.joblib")

    changed.phases.set_env(
        {"NACHLASS_STAGES": f"{B}=out.joblib", "NACHLASS_PARAMETERS": json.dumps({B: {"where": "out.joblib"}})}
    )
    built = changed.build(link).built
    assert built.exit_code == 1
    assert "'work/out.joblib' is a link that leads out of the repository" in built.output
    changed.phases.set_env({"NACHLASS_STAGES": "02-model.ipynb=model.joblib"})
    built = changed.build().built
    assert built.exit_code == 1
    assert "Reference: notebook-not-listed" in built.output
    assert f"Did you mean '{B}'?" in built.output


def test_notebook_that_saves_no_stage_is_told_the_lines_to_add(changed: Lab) -> None:
    changed.phases.set_env({"NACHLASS_STAGES": ""})
    built = changed.build().built
    advice = (
        f"'{B}' wrote 'work/model.joblib', which looks like a model. If that is the stage, nothing in the\n"
        "notebook has to change. Say so, with\n"
        f"  NACHLASS_STAGES={B}=model.joblib      (pack build: --env NACHLASS_STAGES={B}=model.joblib)\n"
        "or in pyproject.toml:\n"
        "  [tool.nachlass.stages]\n"
        f'  "{B}" = "model.joblib"\n'
    )
    assert built.exit_code == 1
    assert built.output.count(advice) == 1
    assert "Reference: stage-not-saved" in built.output


def test_named_file_wins_over_what_was_saved_at_the_path_for_stages(changed: Lab) -> None:
    source = (
        "import os, pickle\nfrom sklearn.dummy import DummyClassifier\n"
        "dummy = DummyClassifier().fit([[0], [1]], [0, 1])\n"
        "pickle.dump(dummy, open(os.environ['NACHLASS_STAGE_FILE'], 'wb'))"
    )

    def save_both(root: Path) -> None:
        notebook = nbformat.read(root / B, as_version=4)  # type: ignore[no-untyped-call]
        notebook.cells.append(nbformat.v4.new_code_cell(source))  # type: ignore[no-untyped-call]
        nbformat.write(notebook, root / B)  # type: ignore[no-untyped-call]

    outcome = changed.build(save_both)
    assert outcome.built.exit_code == 0, outcome.built.output
    assert "as NACHLASS_STAGES says, and not what it saved at NACHLASS_STAGE_FILE\n" in outcome.built.output
    assert f"{B}: sklearn.pipeline.Pipeline" in outcome.built.output
