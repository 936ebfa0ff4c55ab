"""Repositories that are unusual but right: each becomes a service."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.phases.conftest import Workshop
from tests.support.phases import Built
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

SAVE = LOGISTIC_REGRESSION[3]
TRAIN = LOGISTIC_REGRESSION[:3]
SAME = """
class Same:
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X
"""
SAVE_SAME = (
    "import cloudpickle, os\nwith open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n"
    "    cloudpickle.dump(Same(), file)"
)
STEP = (SAME, SAVE_SAME)
"""A stage that changes nothing, whose kernel has no large library to import."""


LOTS = """
class Lots(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["a", "b"])

    def predict(self, X):
        return np.array([random.choice("ab") for _ in range(len(X))])

model = Lots()
"""


def reading(path: str) -> str:
    """Return a cell that makes a step which reads a file each time the model predicts."""
    return f"""
class Same:
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        with open({path}) as file:
            return X + float(file.read())
"""


def assert_serves(workshop: Workshop, built: Built) -> None:
    assert built.exit_code == 0, built.output
    with workshop.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]


# --- Notebooks that have nothing to do with each other, and become steps of one service ------------------------------

NAMES = (
    "1 . EDA of students .ipynb",
    "NB1_Identify+Clean.ipynb",
    "über.größe.ipynb",
    "sub folder/modèle.ipynb",
    " x.ipynb",
)
NOTEBOOKS = {
    **dict.fromkeys(NAMES, STEP),
    "old.ipynb": STEP,
    "foreign.ipynb": STEP,
    "twice.ipynb": ("with open('runs', 'a+') as runs:\n    runs.write('x')\n    print('run', runs.tell())", *STEP),
    "stale.ipynb": STEP,
    "after-stale.ipynb": (
        "import pickle\nassert pickle.load(open('stale.sav', 'rb')) is not None, 'the committed one'",
        *STEP,
    ),
    "own.ipynb": (*STEP, "open('own.sav', 'w').write('mine')"),
    "after-own.ipynb": ("assert open('own.sav').read() == 'mine'", *STEP),
    "linked.ipynb": STEP,
    "exit.ipynb": (*STEP, "exit()", "raise SystemError"),
    "notebooks/folder.ipynb": (
        "from helpers.numbers import offset\nassert offset() == 1\nassert open('beside.txt').read() == 'here'",
        *STEP,
    ),
    "bound.ipynb": (
        "import os\nassert os.environ['WAREHOUSE_TOKEN'] == 'hunter2-hunter2'\nprint(os.environ['WAREHOUSE_TOKEN'])",
        *STEP,
    ),
    "appends.ipynb": ("open('data.csv', 'a').write('more')", *STEP),
    "model.ipynb": LOGISTIC_REGRESSION,
}
FILES = {
    "helpers/__init__.py": "",
    "helpers/numbers.py": "def offset():\n    return 1\n",
    "notebooks/beside.txt": "here",
    "data.csv": "a",
}


@dataclass(frozen=True, kw_only=True)
class Unusual:
    """What the one build of all those notebooks left, for tests that only look."""

    built: Built
    answer: object
    manifest: dict[str, Any]
    outside: Path
    sample: Path
    appended: str
    saved: Sequence[str]
    """Stages that were saved into the application directory."""
    with_the_secret: Sequence[Path]


@pytest.fixture(scope="module")
def unusual(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Unusual:
    root = tmp_path_factory.mktemp("unusual")
    repository = write_repository(root / "r", NOTEBOOKS, files=FILES)
    cells = [nbformat.v3.new_code_cell(input=source) for source in NOTEBOOKS["old.ipynb"]]  # type: ignore[no-untyped-call]
    old = nbformat.v3.new_notebook(worksheets=[nbformat.v3.new_worksheet(cells=cells)])  # type: ignore[no-untyped-call]
    (repository / "old.ipynb").write_text(nbformat.v3.writes_json(old))  # type: ignore[no-untyped-call]
    content = json.loads((repository / "foreign.ipynb").read_text())
    content["metadata"]["kernelspec"] = {"name": "conda-env-feml-py", "display_name": "feml", "language": "python"}
    (repository / "foreign.ipynb").write_text(json.dumps(content).rstrip("\n"))
    (repository / "stale.sav").write_bytes(b"\x80\x04N.")
    outside, long = root / "outside", root / ("long" * 20)
    outside.write_text("precious")
    (repository / "linked.sav").symlink_to(outside)
    long.mkdir()

    listed = [name for name in NOTEBOOKS for _ in range(2 if name == "twice.ipynb" else 1)]
    binding = {"type": "Nachlass", "provider": "vault", "WAREHOUSE_TOKEN": "hunter2-hunter2\n"}
    env = {"NACHLASS_NOTEBOOKS": ",".join(listed), "TMPDIR": str(long)}
    built = workshop.build(repository, env, bindings={"warehouse": binding})
    assert built.exit_code == 0, built.output
    with workshop.phases.serve() as service:
        answer = service.predict([[0.1, 0.0], [3.0, 2.8]])
    shutil.copy2(workshop.report / "sample.json", root)
    layers = workshop.phases.layers
    return Unusual(
        built=built,
        answer=answer,
        manifest=manifest(workshop),
        outside=outside,
        sample=root / "sample.json",
        appended=(workshop.phases.app / "data.csv").read_text(),
        saved=[path.name for path in workshop.phases.app.rglob("*.sav")],
        with_the_secret=[path for path in layers.rglob("*") if path.is_file() and b"hunter2" in path.read_bytes()],
    )


def steps(unusual: Unusual) -> list[str]:
    return [stage["notebook"] for stage in unusual.manifest["stages"]]


def test_all_of_them_serve(unusual: Unusual) -> None:
    assert unusual.answer == ["low", "high"]
    assert steps(unusual) == list(NOTEBOOKS)


@pytest.mark.parametrize("name", NAMES)
def test_names_may_hold_anything_but_a_comma(unusual: Unusual, name: str) -> None:
    assert name in steps(unusual)


def test_notebook_of_format_3_is_converted(unusual: Unusual) -> None:
    assert "old.ipynb" in steps(unusual)


def test_notebook_without_a_final_newline_or_with_a_foreign_kernel(unusual: Unusual) -> None:
    assert "foreign.ipynb" in steps(unusual)


def test_notebook_listed_twice_runs_twice_and_is_one_step(unusual: Unusual) -> None:
    assert "run 1" in unusual.built.output
    assert "run 2" in unusual.built.output
    assert steps(unusual).count("twice.ipynb") == 1


def test_stale_committed_stage_is_not_what_the_next_notebook_loads(unusual: Unusual) -> None:
    assert "after-stale.ipynb" in steps(unusual), "its first cell looks"


def test_stage_file_that_the_notebook_wrote_itself_is_left_alone(unusual: Unusual) -> None:
    assert "after-own.ipynb" in steps(unusual), "its first cell looks"


def test_stage_is_never_written_through_a_link_out_of_the_tree(unusual: Unusual) -> None:
    assert "linked.ipynb" in steps(unusual)
    assert unusual.outside.read_text() == "precious"


def test_exit_with_success_is_a_clean_end(unusual: Unusual) -> None:
    assert "exit.ipynb" in steps(unusual)


def test_notebook_in_a_folder_imports_from_the_root_and_reads_beside_itself(unusual: Unusual) -> None:
    assert "notebooks/folder.ipynb" in steps(unusual), "its first cell looks"


def test_binding_reaches_the_notebook_and_nothing_else(unusual: Unusual) -> None:
    assert "bound.ipynb" in steps(unusual), "its first cell looks"
    assert "hunter2" not in unusual.built.output
    assert unusual.with_the_secret == []


def test_working_tree_is_a_copy(unusual: Unusual) -> None:
    assert unusual.appended == "a"
    assert sorted(unusual.saved) == ["linked.sav", "stale.sav"], "as they were committed"


def test_sample_rows_stay_out_of_the_layers(unusual: Unusual) -> None:
    assert unusual.sample.stat().st_mode & 0o777 == 0o600
    assert json.loads(unusual.sample.read_text())
    assert unusual.manifest["model"]["example_is_real"] is False


# --- Each in its own way ---------------------------------------------------------------------------------------------


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


def test_files_that_the_model_reads_are_there_and_blanks_do_not_belong_to_names(
    workshop: Workshop, tmp_path: Path
) -> None:
    writes = (
        "import os\nos.makedirs('out', exist_ok=True)",
        "open('out/shift.txt', 'w').write('0')\nopen('out/unused', 'w').close()",
        reading("'out/shift.txt'"),
        SAVE_SAME,
    )
    remembers = ("import os\npath = os.path.abspath('committed.txt')", reading("path"), SAVE_SAME)
    names = ["notebooks/writes.ipynb", "remembers.ipynb", "notebooks/model.ipynb"]
    repository = write_repository(
        tmp_path / "r",
        dict(zip(names, [writes, remembers, LOGISTIC_REGRESSION], strict=True)),
        files={"notebooks/out/committed.txt": "c", "committed.txt": "0"},
    )
    built = workshop.build(repository, {"NACHLASS_NOTEBOOKS": f" {' , '.join(names)} ,"})
    assert_serves(workshop, built)
    assert [stage["notebook"] for stage in manifest(workshop)["stages"]] == names
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


def manifest(workshop: Workshop) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workshop.phases.layers / "stages" / "manifest.json").read_text())
    return found
