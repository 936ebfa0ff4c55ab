"""Notebooks and stages that do unusual or nasty things: the build ends, and says whose doing it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.phases.conftest import Workshop
from tests.phases.test_bad import failure, repository_of
from tests.support.facilities import require
from tests.support.pythons import ROOT
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TRAIN, SAVE = LOGISTIC_REGRESSION[:3], LOGISTIC_REGRESSION[3]


def model_that(body: str) -> str:
    """Return a cell that replaces the model by one whose predict does `body`."""
    return f"""
import cloudpickle as pickle
from sklearn.base import BaseEstimator, ClassifierMixin

class Nasty(ClassifierMixin, BaseEstimator):
    classes_ = np.array(["high", "low"])

    def predict(self, X):
        {body}
        return np.array(["low"] * len(X))

model = Nasty()
"""


@pytest.mark.parametrize(
    "save",
    [
        "os.mkdir(os.environ['NACHLASS_STAGE_FILE'])",
        "os.mkfifo(os.environ['NACHLASS_STAGE_FILE'])",
    ],
)
def test_stage_that_is_no_file(workshop: Workshop, tmp_path: Path, save: str) -> None:
    log = failure(workshop, repository_of(tmp_path, *TRAIN, save))
    assert "Reference: stage-unreadable" in log
    assert "isn't a file" in log


@pytest.mark.parametrize("body", ["raise SystemExit(3)", "import os; os._exit(0)"])
def test_model_that_ends_the_interpreter(workshop: Workshop, tmp_path: Path, body: str) -> None:
    log = failure(workshop, repository_of(tmp_path, *TRAIN, model_that(body), SAVE))
    assert "Reference: proof-failed" in log


def test_model_that_takes_for_ever_is_limited_as_the_notebooks_are(workshop: Workshop, tmp_path: Path) -> None:
    repository = repository_of(tmp_path, *TRAIN, model_that("import time; time.sleep(1000)"), SAVE)
    log = failure(workshop, repository, {"NACHLASS_TIMEOUT": "15"})
    assert "took longer than 15 seconds" in log


def test_process_that_a_stage_leaves_behind_does_not_hold_the_build(workshop: Workshop, tmp_path: Path) -> None:
    daemon = "import subprocess; subprocess.Popen(['setsid', 'sleep', '1000'])"
    built = workshop.build(repository_of(tmp_path, *TRAIN, model_that(daemon), SAVE))
    assert built.exit_code == 0, built.output


def test_directory_where_the_stage_should_stand_beside_the_notebook(workshop: Workshop, tmp_path: Path) -> None:
    repository = repository_of(tmp_path, *LOGISTIC_REGRESSION, files={"x.sav/readme": ""})
    built = workshop.build(repository)
    assert built.exit_code == 0, built.output


def test_notebook_that_deletes_its_own_directory(workshop: Workshop, tmp_path: Path) -> None:
    cells = (*LOGISTIC_REGRESSION, "import shutil; shutil.rmtree(os.getcwd())")
    repository = write_repository(tmp_path / "r", {"work/x.ipynb": cells})
    built = workshop.build(repository, {"NACHLASS_NOTEBOOKS": "work/x.ipynb"})
    assert built.exit_code == 0, built.output


@pytest.mark.parametrize("name", ["n" * 240, "mod\\x41", "tab\there", "bell\x07"])
def test_name_that_other_formats_find_hard(workshop: Workshop, tmp_path: Path, name: str) -> None:
    repository = write_repository(tmp_path / "r", {f"{name}.ipynb": LOGISTIC_REGRESSION})
    built = workshop.build(repository)
    assert built.exit_code == 0, built.output
    labels = tomllib.loads((workshop.phases.layers / "launch.toml").read_text())["labels"]
    (stages,) = (label["value"] for label in labels if label["key"] == "io.nachlass.stages")
    assert stages.startswith(f"{name}=")


def test_file_name_that_is_no_utf8(workshop: Workshop, tmp_path: Path) -> None:
    reads = model_that("X = X + float(open('v.txt').read())")
    repository = repository_of(tmp_path, *TRAIN, "open('v.txt', 'w').write('0')", reads, SAVE)
    Path(os.fsdecode(os.fsencode(repository) + b"/\xe9.txt")).write_text("")
    built = workshop.build(repository)
    assert built.exit_code == 0, built.output
    assert "Shipping v.txt" in built.output


def test_module_of_the_repository_may_be_called_scorer(workshop: Workshop, tmp_path: Path) -> None:
    module = "from sklearn.linear_model import LogisticRegression\n\nclass Half(LogisticRegression):\n    pass\n"
    cells = (*TRAIN[:2], "from scorer import Half\nmodel = Half().fit(X, y)", SAVE)
    built = workshop.build(repository_of(tmp_path, *cells, files={"scorer.py": module}))
    assert built.exit_code == 0, built.output
    with workshop.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]


SECRET = "S3cr3tTok'en\\x1/with//slashes"


@pytest.mark.parametrize(
    "cell",
    [
        "T",
        "[T]",
        "print(repr(T))",
        "import json; print(json.dumps({'token': T}))",
        "raise ValueError(repr(T))",
        "open(T)",
        "print(T[:5], end='', flush=True); print(T[5:])",
    ],
)
def test_secret_is_blotted_out_however_it_is_written(workshop: Workshop, tmp_path: Path, cell: str) -> None:
    repository = repository_of(tmp_path, "import os; T = os.environ['TOKEN']", cell, "raise RuntimeError")
    binding = {"type": "nachlass", "TOKEN": SECRET}
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "x.ipynb"}, {"b": binding})
    report = (workshop.report / "failure.json").read_text()
    for text in (log, report):
        assert "en\\x1" not in text
        assert "en\\\\x1" not in text
        assert "S3cr3t" not in text


def test_lines_of_a_secret_are_blotted_out(workshop: Workshop, tmp_path: Path) -> None:
    show = "for line in os.environ['KEY'].splitlines():\n    print(line.strip())"
    repository = repository_of(tmp_path, f"import os\n{show}", "raise RuntimeError")
    binding = {"type": "nachlass", "KEY": "begin-key\n   firstline99\n   secondline99\nend-key"}
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "x.ipynb"}, {"b": binding})
    assert "line99" not in log


def test_read_only_directory_of_a_notebook_is_removed_by_who_may_not_write_there(tmp_path: Path) -> None:
    require("root")
    require("setpriv")
    tree = tmp_path / "layer"
    (tree / "cache/sub").mkdir(parents=True)
    (tree / "cache/sub/f").write_text("1")
    (tree / "cache/sub").chmod(0o555)
    for path in (tmp_path, tree, *tree.rglob("*")):
        os.chown(path, 12345, 12345)
    for directory in tmp_path.parents:
        if directory.stat().st_mode & 0o011 != 0o011:
            directory.chmod(directory.stat().st_mode | 0o011)
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; from nachlass_bp import host; "
    program += f"host.remove_tree(Path({str(tree)!r}))"
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    subprocess.run([*user, "/usr/bin/python3", "-c", program], check=True)
    assert not tree.exists()


def test_report_is_json_whatever_the_names_are(workshop: Workshop, tmp_path: Path) -> None:
    failure(workshop, repository_of(tmp_path, "open('\\udce9')"), {"NACHLASS_NOTEBOOKS": "x.ipynb"})
    assert json.loads((workshop.report / "failure.json").read_text())["reference"] == "cell-failed"
