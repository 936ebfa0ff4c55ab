"""Repositories that are unusual but right: each becomes a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.phases.conftest import Workshop
from tests.support.phases import Built
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

SAVE = LOGISTIC_REGRESSION[3]
TRAIN = LOGISTIC_REGRESSION[:3]
IDENTITY = (
    "import os, pickle\nimport numpy as np\nfrom sklearn.preprocessing import FunctionTransformer",
    "X = np.array([[0.0, 0.1], [0.2, 0.0], [2.9, 3.0], [3.0, 3.1]])\nmodel = FunctionTransformer().fit(X)",
    SAVE,
)


LOTS = """
class Lots(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["a", "b"])

    def predict(self, X):
        return np.array([random.choice("ab") for _ in range(len(X))])

model = Lots()
"""


def reading(path: str) -> str:
    """Return a cell that makes the model read a file each time it predicts."""
    return f"""
import cloudpickle
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

def shift(X):
    with open({path}) as file:
        return X + float(file.read())

model = make_pipeline(FunctionTransformer(shift), model)
"""


def assert_serves(workshop: Workshop, built: Built) -> None:
    assert built.exit_code == 0, built.output
    with workshop.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]


def test_notebook_of_format_3_is_converted(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {})
    cells = [nbformat.v3.new_code_cell(input=source) for source in LOGISTIC_REGRESSION]  # type: ignore[no-untyped-call]
    old = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet(cells=cells)])  # type: ignore[no-untyped-call]
    (repository / "old.ipynb").write_text(nbformat.v3.writes_json(old))  # type: ignore[no-untyped-call]
    assert_serves(workshop, workshop.build(repository, {"NACHLASS_NOTEBOOKS": "old.ipynb"}))


@pytest.mark.parametrize(
    "name",
    [
        "1 . EDA of students .ipynb",
        "NB1_Identify+Clean.ipynb",
        "über.größe.ipynb",
        "sub folder/modèle.ipynb",
        " x.ipynb",
    ],
)
def test_names_may_hold_anything_but_a_comma(workshop: Workshop, tmp_path: Path, name: str) -> None:
    repository = write_repository(tmp_path / "r", {name: LOGISTIC_REGRESSION})
    assert_serves(workshop, workshop.build(repository, {"NACHLASS_NOTEBOOKS": name}))


def test_blanks_around_the_commas_do_not_belong_to_the_names(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"a.ipynb": IDENTITY, "b.ipynb": LOGISTIC_REGRESSION})
    built = workshop.build(repository, {"NACHLASS_NOTEBOOKS": " a.ipynb , b.ipynb ,"})
    assert_serves(workshop, built)
    assert [stage["notebook"] for stage in manifest(workshop)["stages"]] == ["a.ipynb", "b.ipynb"]


def test_notebook_without_a_final_newline_or_with_a_foreign_kernel(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION})
    content = json.loads((repository / "x.ipynb").read_text())
    content["metadata"]["kernelspec"] = {"name": "conda-env-feml-py", "display_name": "feml", "language": "python"}
    (repository / "x.ipynb").write_text(json.dumps(content).rstrip("\n"))
    assert_serves(workshop, workshop.build(repository))


def test_notebook_listed_twice_runs_twice_and_is_one_step(workshop: Workshop, tmp_path: Path) -> None:
    count = "with open('runs', 'a+') as runs:\n    runs.write('x')\n    print('run', runs.tell())"
    repository = write_repository(tmp_path / "r", {"x.ipynb": [count, *LOGISTIC_REGRESSION]})
    built = workshop.build(repository, {"NACHLASS_NOTEBOOKS": "x.ipynb,x.ipynb"})
    assert_serves(workshop, built)
    assert "run 1" in built.output
    assert "run 2" in built.output
    assert len(manifest(workshop)["stages"]) == 1


def test_stale_committed_stage_is_not_what_the_next_notebook_loads(workshop: Workshop, tmp_path: Path) -> None:
    load = "import pickle\nassert pickle.load(open('a.sav', 'rb')) is not None, 'the committed one'"
    repository = write_repository(tmp_path / "r", {"a.ipynb": IDENTITY, "b.ipynb": [load, *LOGISTIC_REGRESSION]})
    (repository / "a.sav").write_bytes(b"\x80\x04N.")
    assert_serves(workshop, workshop.build(repository, {"NACHLASS_NOTEBOOKS": "a.ipynb,b.ipynb"}))


def test_stage_file_that_the_notebook_wrote_itself_is_left_alone(workshop: Workshop, tmp_path: Path) -> None:
    own = "open('a.sav', 'w').write('mine')"
    check = "assert open('a.sav').read() == 'mine'"
    repository = write_repository(
        tmp_path / "r", {"a.ipynb": [*IDENTITY, own], "b.ipynb": [check, *LOGISTIC_REGRESSION]}
    )
    assert_serves(workshop, workshop.build(repository, {"NACHLASS_NOTEBOOKS": "a.ipynb,b.ipynb"}))


def test_stage_is_never_written_through_a_link_out_of_the_tree(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION})
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (repository / "x.sav").symlink_to(outside)
    assert_serves(workshop, workshop.build(repository))
    assert outside.read_text() == "precious"


def test_exit_with_success_is_a_clean_end(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": [*LOGISTIC_REGRESSION, "exit()", "raise SystemError"]})
    assert_serves(workshop, workshop.build(repository))


def test_notebook_in_a_folder_imports_from_the_root_and_reads_beside_itself(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        "from helpers.numbers import offset\nassert offset() == 1\nassert open('beside.txt').read() == 'here'",
        *LOGISTIC_REGRESSION,
    ]
    files = {
        "helpers/__init__.py": "",
        "helpers/numbers.py": "def offset():\n    return 1\n",
        "notebooks/beside.txt": "here",
    }
    repository = write_repository(tmp_path / "r", {"notebooks/x.ipynb": cells}, files=files)
    assert_serves(workshop, workshop.build(repository))


def test_names_of_the_2019_builder_work_and_run_in_the_root(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        "assert open('data.txt').read() == 'root'",
        *TRAIN,
        SAVE.replace("NACHLASS_STAGE_FILE", "S2I_PIPELINE_STAGE_SAVE_FILE"),
    ]
    repository = write_repository(tmp_path / "r", {"notebooks/x.ipynb": cells}, files={"data.txt": "root"})
    assert_serves(workshop, workshop.build(repository, {"S2I_SOURCE_NOTEBOOK_LIST": "notebooks/x.ipynb"}))


def test_list_in_pyproject_and_a_module_that_saves(workshop: Workshop, tmp_path: Path) -> None:
    helper = "import os, pickle\ndef save(o):\n    pickle.dump(o, open(os.environ['NACHLASS_STAGE_FILE'], 'wb'))\n"
    repository = write_repository(
        tmp_path / "r",
        {"train.ipynb": [*TRAIN, "import stages\nstages.save(model)"], "explore.ipynb": ["print('only looking')"]},
        files={"stages.py": helper},
    )
    built = workshop.build(repository)
    assert_serves(workshop, built)
    assert "explore.ipynb" not in built.output

    (repository / "pyproject.toml").write_text('[tool.nachlass]\nnotebooks = ["explore.ipynb", "train.ipynb"]\n')
    built = workshop.build(repository)
    assert_serves(workshop, built)
    assert "only looking" in built.output
    assert "counts as data preparation" in built.output


def test_binding_reaches_the_notebook_and_nothing_else(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        "import os\nassert os.environ['WAREHOUSE_TOKEN'] == 'hunter2-hunter2'\nprint(os.environ['WAREHOUSE_TOKEN'])"
    ]
    repository = write_repository(tmp_path / "r", {"x.ipynb": [*cells, *LOGISTIC_REGRESSION]})
    binding = {"type": "Nachlass", "provider": "vault", "WAREHOUSE_TOKEN": "hunter2-hunter2\n"}
    built = workshop.build(repository, bindings={"warehouse": binding})
    assert_serves(workshop, built)
    assert "hunter2" not in built.output
    layers = workshop.phases.layers
    held = [path for path in layers.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()]
    assert held == []


def test_file_that_a_notebook_writes_and_the_model_reads_is_shipped(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        "import os\nos.makedirs('out', exist_ok=True)",
        "open('out/shift.txt', 'w').write('0')\nopen('out/unused', 'w').close()",
        *TRAIN,
        reading("'out/shift.txt'"),
        SAVE.replace("pickle", "cloudpickle"),
    ]
    repository = write_repository(
        tmp_path / "r", {"notebooks/x.ipynb": cells}, files={"notebooks/out/committed.txt": "c"}
    )
    built = workshop.build(repository)
    assert_serves(workshop, built)
    tree = workshop.phases.layers / "stages" / "tree"
    shipped = [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    assert shipped == ["notebooks/out/shift.txt"]
    assert (tree / "notebooks" / "out" / "committed.txt").read_text() == "c"


def test_model_that_draws_lots_when_it_predicts_is_shipped_all_the_same(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        "import os, cloudpickle, random\nimport numpy as np\nfrom sklearn.base import BaseEstimator, ClassifierMixin",
        "open('written.txt', 'w').write('by the notebook')\nX = np.eye(40)",
        LOTS,
        SAVE.replace("pickle", "cloudpickle"),
    ]
    built = workshop.build(write_repository(tmp_path / "r", {"x.ipynb": cells}))
    assert built.exit_code == 0, built.output
    assert "predict answers differently each time" in built.output


def test_path_that_a_stage_remembers_leads_to_the_file(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        *TRAIN,
        "import os\npath = os.path.abspath('committed.txt')",
        reading("path"),
        SAVE.replace("pickle", "cloudpickle"),
    ]
    repository = write_repository(tmp_path / "r", {"x.ipynb": cells}, files={"committed.txt": "0"})
    assert_serves(workshop, workshop.build(repository))


def test_long_temporary_directory_is_no_hindrance(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION})
    long = tmp_path / ("long" * 20)
    long.mkdir()
    assert_serves(workshop, workshop.build(repository, {"TMPDIR": str(long)}))


def test_working_tree_is_a_copy(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(
        tmp_path / "r",
        {"x.ipynb": ["open('data.csv', 'a').write('more')", *LOGISTIC_REGRESSION]},
        files={"data.csv": "a"},
    )
    assert_serves(workshop, workshop.build(repository))
    assert (workshop.phases.app / "data.csv").read_text() == "a"
    assert not (workshop.phases.app / "x.sav").exists()


def test_sample_rows_stay_out_of_the_layers(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION})
    assert_serves(workshop, workshop.build(repository))
    sample = workshop.report / "sample.json"
    assert sample.stat().st_mode & 0o777 == 0o600
    assert json.loads(sample.read_text())
    assert manifest(workshop)["model"]["example_is_real"] is False


def manifest(workshop: Workshop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workshop.phases.layers / "stages" / "manifest.json").read_text())
    return found
