"""What is wrong with a repository is said in our words: no traceback of ours, no success, no half layer."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pytest

from tests.phases.conftest import Workshop
from tests.support.facilities import require
from tests.support.repositories import LOGISTIC_REGRESSION, write_notebook, write_repository

TRAIN, SAVE = LOGISTIC_REGRESSION[:3], LOGISTIC_REGRESSION[3]
GHOST = """
import sys, types
from sklearn.linear_model import LogisticRegression
module = sys.modules["ghost"] = types.ModuleType("ghost")
module.Ghost = type("Ghost", (LogisticRegression,), {"__module__": "ghost"})
"""
"""A class of a module that only this kernel has."""
OURS = ("tools", "kernel", "packages", "scorer", "stages")


def failure(
    workshop: Workshop,
    repository: Path,
    env: Mapping[str, str] | None = None,
    bindings: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Build, and return the log of a build that failed as it should: our message last, nothing half made left."""
    built = workshop.build(repository, env, bindings)
    assert built.exit_code == 1, built.output
    assert built.output.splitlines()[-1].startswith("Reference: "), built.output
    assert "nachlass_bp/" not in built.output, "a traceback of ours"
    for name in OURS:
        layer = workshop.phases.layers / name
        assert not layer.exists() or (layer / ".nachlass-key").exists(), f"half a layer: {name}"
    report = json.loads((workshop.report / "failure.json").read_text())
    assert f"Reference: {report['reference']}" == built.output.splitlines()[-1]
    return built.output


def repository_of(tmp_path: Path, *cells: str, files: Mapping[str, str] | None = None) -> Path:
    return write_repository(tmp_path / "r", {"x.ipynb": cells}, files=files)


def test_missing_notebook_is_named_with_its_near_misses(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"work/03-features.ipynb": LOGISTIC_REGRESSION})
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "03-feature.ipynb"})
    assert "There is no notebook '03-feature.ipynb'" in log
    assert "work/03-features.ipynb" in log


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "The file is empty"),
        ("{not json", "It isn't JSON"),
        ('{"cells": 3}', "It isn't a notebook"),
        ('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', "no code cell"),
    ],
)
def test_file_that_is_no_notebook(workshop: Workshop, tmp_path: Path, content: str, said: str) -> None:
    repository = write_repository(tmp_path / "r", {}, files={"x.ipynb": content})
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "x.ipynb"})
    assert "'x.ipynb' can't be read as a notebook" in log
    assert said in log


@pytest.mark.parametrize(
    ("content", "said", "advised"),
    [
        ("{not json", "It isn't JSON: Expecting", "Open it in Jupyter, save it, and commit the result."),
        (
            '{\n<<<<<<< HEAD\n"cells": []\n=======\n"cells": [1]\n>>>>>>> other\n}',
            "a merge left git's marks of a conflict in it, the first one in line 2.",
            "  git checkout --ours -- 'my x.ipynb'\n  git checkout --theirs -- 'my x.ipynb'\n",
        ),
        (
            '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
            "It has no code cell.",
            "There is nothing to run: leave it out of the list.",
        ),
    ],
    ids=["not json", "conflict", "no code"],
)
def test_file_that_is_no_notebook_has_its_own_advice(
    workshop: Workshop, tmp_path: Path, content: str, said: str, advised: str
) -> None:
    repository = write_repository(tmp_path / "r", {}, files={"my x.ipynb": content})
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "my x.ipynb"})
    assert said in log
    assert advised in log
    assert ("Open it in Jupyter" in log) == advised.startswith("Open it")


def test_directory_in_the_list(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"notebooks/x.ipynb": LOGISTIC_REGRESSION})
    assert "It is a directory" in failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "notebooks"})


def test_path_out_of_the_repository(workshop: Workshop, tmp_path: Path) -> None:
    repository = repository_of(tmp_path, *LOGISTIC_REGRESSION)
    write_notebook(tmp_path / "out.ipynb", LOGISTIC_REGRESSION)
    assert "outside the repository" in failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "../out.ipynb"})


def test_notebook_in_r(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {})
    notebook = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[nbformat.v4.new_code_cell("x <- 1")],  # type: ignore[no-untyped-call]
        metadata={"kernelspec": {"name": "ir", "display_name": "R", "language": "R"}},
    )
    (repository / "x.ipynb").write_text(nbformat.writes(notebook))  # type: ignore[no-untyped-call]
    assert "'x.ipynb' is a notebook in r" in failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "x.ipynb"})


def test_no_list_and_two_candidates(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"a.ipynb": LOGISTIC_REGRESSION, "b.ipynb": LOGISTIC_REGRESSION})
    log = failure(workshop, repository)
    assert "Which notebooks should run?" in log
    assert "NACHLASS_NOTEBOOKS=a.ipynb,b.ipynb" in log


def test_two_notebooks_of_one_name_in_one_working_directory(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"a/x.ipynb": LOGISTIC_REGRESSION, "b/x.ipynb": LOGISTIC_REGRESSION})
    log = failure(workshop, repository, {"S2I_SOURCE_NOTEBOOK_LIST": "a/x.ipynb,b/x.ipynb"})
    assert "would both leave their stage at 'x.sav'" in log


def test_setting_of_the_wrong_kind(workshop: Workshop, tmp_path: Path) -> None:
    log = failure(workshop, repository_of(tmp_path, *LOGISTIC_REGRESSION), {"NACHLASS_TIMEOUT": "soon"})
    assert "NACHLASS_TIMEOUT says: soon" in log


def test_misspelt_key_of_the_table(workshop: Workshop, tmp_path: Path) -> None:
    repository = repository_of(
        tmp_path, *LOGISTIC_REGRESSION, files={"pyproject.toml": "[tool.nachlass]\ntimeouts = 5\n"}
    )
    log = failure(workshop, repository)
    assert "[Error: [tool.nachlass] has a key 'timeouts' that nachlass doesn't know]" in log
    assert "Did you mean 'timeout'?" in log


def test_cell_that_raises_is_named_with_its_line(workshop: Workshop, tmp_path: Path) -> None:
    cells = ["a = 1", "\n\nb = a - 1\nc = a / b  # the culprit\n", *LOGISTIC_REGRESSION]
    log = failure(workshop, repository_of(tmp_path, *cells))
    assert "Code cell 2 of 6 (In [2]) of 'x.ipynb' raised ZeroDivisionError" in log
    assert "    c = a / b  # the culprit" in log
    file = workshop.report / "notebooks" / "x.ipynb"
    assert f"The notebook as far as it ran: {file}\n" in log
    kept = json.loads(file.read_text())
    assert kept["cells"][1]["outputs"][0]["ename"] == "ZeroDivisionError"


def test_missing_module_and_failing_exit(workshop: Workshop, tmp_path: Path) -> None:
    log = failure(workshop, repository_of(tmp_path, "import surely_missing_module", *LOGISTIC_REGRESSION))
    assert "add it to requirements.txt" in log
    widgets = "IProgress not found. Please update jupyter and ipywidgets."  # tqdm.notebook's words.
    log = failure(workshop, repository_of(tmp_path, f"raise ImportError({widgets!r})", *LOGISTIC_REGRESSION))
    assert "need the package ipywidgets: add it to requirements.txt, or let\n`from tqdm.auto import tqdm`" in log
    log = failure(workshop, repository_of(tmp_path, "import sys; sys.exit(3)", *LOGISTIC_REGRESSION))
    assert "raised SystemExit" in log


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "was killed by SIGSEGV"),
        ("import os; os._exit(7)", "ended with status 7"),
    ],
)
def test_kernel_that_dies_is_named_with_its_end(workshop: Workshop, tmp_path: Path, cell: str, said: str) -> None:
    log = failure(workshop, repository_of(tmp_path, "1", cell, *LOGISTIC_REGRESSION))
    assert "The kernel died in code cell 2 of 6" in log
    assert said in log


def test_notebook_that_runs_too_long(workshop: Workshop, tmp_path: Path) -> None:
    cell = "import time, subprocess\nsubprocess.Popen(['sleep', '987654'])\ntime.sleep(600)"
    log = failure(workshop, repository_of(tmp_path, cell, *LOGISTIC_REGRESSION), {"NACHLASS_TIMEOUT": "3"})
    assert "'x.ipynb' ran longer than 3 seconds" in log
    assert "code cell 1 of 5" in log
    assert running("sleep 987654") == []


def test_cell_that_waits_for_input(workshop: Workshop, tmp_path: Path) -> None:
    log = failure(workshop, repository_of(tmp_path, "name = input('Name? ')", *LOGISTIC_REGRESSION))
    assert "waits for input" in log
    assert "name = input('Name? ')" in log


def test_no_stage_saved(workshop: Workshop, tmp_path: Path) -> None:
    log = failure(workshop, repository_of(tmp_path, *TRAIN), {"NACHLASS_NOTEBOOKS": "x.ipynb"})
    assert "'x.ipynb' didn't save a pipeline stage" in log
    assert "cloudpickle.dump" in log


@pytest.mark.parametrize(
    ("save", "said"),
    [
        ("open(path, 'wb').close()", "empty (0 bytes)"),
        ("data = pickle.dumps([*range(99)]); open(path, 'wb').write(data[:len(data)//2])", "can't be loaded"),
        ("open(path, 'wb').write(b'\\x80\\x04\\x8c\\x03foo\\x8c\\x03bar\\x93.')", "can't be loaded"),
        ("open(path, 'w').write('not a pickle')", "can't be loaded"),
    ],
)
def test_stage_that_does_not_load(workshop: Workshop, tmp_path: Path, save: str, said: str) -> None:
    cell = f"import os, pickle\npath = os.environ['NACHLASS_STAGE_FILE']\n{save}"
    log = failure(workshop, repository_of(tmp_path, cell))
    assert said in log
    assert "x.ipynb" in log


def test_stage_of_another_python(workshop: Workshop, tmp_path: Path) -> None:
    # What cloudpickle writes for a function's code, with other arguments than this Python's code objects take.
    foreign = b"ccloudpickle.cloudpickle\n_builtin_type\n(VCodeType\ntR(I1\nI2\nI3\ntR."
    cell = f"import os\nwith open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    file.write({foreign!r})"
    log = failure(workshop, repository_of(tmp_path, cell))
    assert "The stage that 'x.ipynb' saved can't be loaded" in log
    assert "another Python" in log


def test_stages_in_the_wrong_order(workshop: Workshop, tmp_path: Path) -> None:
    scaler = [
        "import os, pickle\nfrom sklearn.preprocessing import StandardScaler",
        "model = StandardScaler().fit([[0.0, 0.1], [3.0, 3.1]])",
        SAVE,
    ]
    repository = write_repository(tmp_path / "r", {"a.ipynb": scaler, "b.ipynb": LOGISTIC_REGRESSION})
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "b.ipynb,a.ipynb"})
    assert "The stage of 'b.ipynb' can't be a step in the middle" in log
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "a.ipynb"})
    assert "The stage of 'a.ipynb' is the last one and can't predict" in log


def test_stage_whose_class_the_service_cannot_import(workshop: Workshop, tmp_path: Path) -> None:
    cells = [
        GHOST,
        *TRAIN[:2],
        "model = module.Ghost().fit(X, y)",
        SAVE,
    ]
    log = failure(workshop, repository_of(tmp_path, *cells))
    assert "It needs the module 'ghost'" in log


def test_file_that_the_notebook_asks_for_is_reported_for_the_platform(workshop: Workshop, tmp_path: Path) -> None:
    repository = repository_of(tmp_path, "open('data/raw.csv')", *LOGISTIC_REGRESSION)
    log = failure(workshop, repository)
    assert "'data/raw.csv' isn't in what this build was given" in log
    report = json.loads((workshop.report / "failure.json").read_text())
    assert report["missing_path"].endswith("/tree/data/raw.csv")


def test_pointers_are_not_data(workshop: Workshop, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935\nsize 12345\n"
    repository = repository_of(
        tmp_path, "text = open('data/big.csv').read()", *LOGISTIC_REGRESSION, files={"data/big.csv": pointer}
    )
    log = failure(workshop, repository)
    assert "'data/big.csv' is a git-lfs pointer, not the data" in log
    repository = write_repository(
        tmp_path / "dvc",
        {"x.ipynb": ["text = open('data/big.csv').read()", *LOGISTIC_REGRESSION]},
        files={"data/big.csv.dvc": "outs: []"},
    )
    assert "'data/big.csv' is a DVC pointer" in failure(workshop, repository)


def test_requirements_that_do_not_resolve(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(
        tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION}, requirements=["scikit-learn", "no-such-package-anywhere==9"]
    )
    log = failure(workshop, repository)
    assert "No matching distribution found for no-such-package-anywhere==9" in log
    assert "pip couldn't install what requirements.txt asks for" in log


def test_index_that_cannot_be_reached_and_its_password(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(
        tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION}, requirements=["scikit-learn", "some-package"]
    )
    index = {"PIP_INDEX_URL": "http://user:s3cr3t-word@127.0.0.1:9/simple", "PIP_NO_INDEX": "0", "PIP_RETRIES": "0"}
    log = failure(workshop, repository, index)
    assert "The package index can't be reached" in log
    assert "s3cr3t-word" not in log


def test_requirements_without_scikit_learn_or_without_a_file(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": LOGISTIC_REGRESSION}, requirements=["numpy"])
    assert "scikit-learn isn't among your requirements" in failure(workshop, repository)
    (repository / "requirements.txt").unlink()
    assert "There is no requirements.txt" in failure(workshop, repository)


def test_binding_that_would_change_the_interpreter(workshop: Workshop, tmp_path: Path) -> None:
    binding = {"type": "nachlass", "LD_PRELOAD": "/x.so"}
    log = failure(workshop, repository_of(tmp_path, *LOGISTIC_REGRESSION), bindings={"evil": binding})
    assert "The service binding 'evil' can't be used" in log


def test_full_disk_is_said_to_be_one(workshop: Workshop, tmp_path: Path) -> None:
    require("root")
    require("mount")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", small], check=True)
    try:
        phases = workshop.prepare(repository_of(tmp_path, *LOGISTIC_REGRESSION))
        environment = {
            **phases.build_env(),
            "CNB_LAYERS_DIR": str(small / "layers"),
            "CNB_PLATFORM_DIR": str(phases.platform),
        }
        (small / "layers").mkdir()
        done = subprocess.run(
            [phases.buildpack / "bin/build"],
            cwd=tmp_path / "r",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "The disk is full" in done.stdout
        assert not (small / "layers" / "tools").exists()
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_the_middle_of_a_build_leaves_nothing_running(
    workshop: Workshop, tmp_path: Path, number: signal.Signals
) -> None:
    marker = f"{987000 + number}"
    cell = (
        f"import subprocess, time\nsubprocess.Popen(['sleep', '{marker}'])\n"
        f"subprocess.Popen(['setsid', 'sleep', '{marker}'])\nprint('children are up', flush=True)\ntime.sleep(600)"
    )
    phases = workshop.prepare(repository_of(tmp_path, cell, *LOGISTIC_REGRESSION))
    process = phases.start_build()
    assert process.stdout is not None
    seen: list[str] = []
    for line in process.stdout:
        seen.append(line)
        if "children are up" in line:
            break
    wait_until(lambda: len(running(f"sleep {marker}")) == 2)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)

    assert process.returncode == 128 + number
    assert f"The build was stopped by {number.name}" in rest
    assert "[1/5] stopped after" in rest
    assert "Traceback" not in rest
    assert running(f"sleep {marker}") == []
    assert not (phases.layers / "stages").exists()
    kept = json.loads((workshop.report / "notebooks" / "x.ipynb").read_text())
    assert kept["cells"][0]["outputs"][-1]["ename"] == "BuildStopped"


def test_service_under_another_python_says_rebuild(workshop: Workshop, tmp_path: Path) -> None:
    built = workshop.build(repository_of(tmp_path, *LOGISTIC_REGRESSION))
    assert built.exit_code == 0, built.output
    file = workshop.phases.layers / "stages" / "manifest.json"
    text = file.read_text()
    changed = json.loads(text)
    changed["interpreter"].update(version="3.9.1", abi="cpython-39-x86_64-linux-gnu")
    other = tmp_path / "manifest.json"
    other.write_text(json.dumps(changed))
    done = subprocess.run(
        workshop.phases.command("web"),
        env={**workshop.phases.launch_env("web"), "NACHLASS_MANIFEST": str(other)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 78
    assert "rebuild, do not rebase" in (done.stdout + done.stderr).lower()


def running(command: str) -> Sequence[str]:
    """Return the process ids whose command line is `command`, zombies left out."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (directory / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            continue
        if b" ".join(arguments).decode(errors="replace") == command:
            found.append(directory.name)
    return found


def wait_until(condition: object, timeout_s: float = 30) -> None:
    assert callable(condition)
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it didn't happen"
        time.sleep(0.05)


def test_always_run_of_a_notebook_that_is_not_listed(workshop: Workshop, tmp_path: Path) -> None:
    log = failure(workshop, repository_of(tmp_path, *LOGISTIC_REGRESSION), {"NACHLASS_ALWAYS_RUN": "./x.ipynb,y.ipynb"})
    assert "A setting is about 'y.ipynb', which isn't among the notebooks to run" in log
    assert "NACHLASS_ALWAYS_RUN names it" in log
    assert "Did you mean 'x.ipynb'?" in log


def test_parameter_without_a_value(workshop: Workshop, tmp_path: Path) -> None:
    log = failure(workshop, repository_of(tmp_path, *LOGISTIC_REGRESSION), {"NACHLASS_PARAMETERS": "n_estimators"})
    assert "'n_estimators' has no value there; a value is given as n_estimators=VALUE." in log


@pytest.mark.skipif(sys.platform != "linux", reason="NACHLASS_OFFLINE needs seccomp")
@pytest.mark.parametrize(
    "cell",
    [
        "import urllib.request\nurllib.request.urlopen('http://example.org')",
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        "class NewConnectionError(Exception): ...\nraise RuntimeError from NewConnectionError('as urllib3 has it')",
    ],
)
def test_network_of_a_notebook_that_has_none(workshop: Workshop, tmp_path: Path, cell: str) -> None:
    log = failure(workshop, repository_of(tmp_path, cell, *LOGISTIC_REGRESSION), {"NACHLASS_OFFLINE": "1"})
    assert "NACHLASS_OFFLINE is set" in log
    assert "  NACHLASS_OFFLINE=0 " in log


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("open('../outside.csv')", "'../outside.csv' lies outside the repository, and a build has nothing but"),
        ("open(os.path.expanduser('~/rows.csv'))", "'~/rows.csv' lies outside the repository, and a build has"),
    ],
    ids=["beside", "home"],
)
def test_file_outside_the_repository_is_named_as_the_author_knows_it(
    workshop: Workshop, tmp_path: Path, cell: str, said: str
) -> None:
    log = failure(workshop, repository_of(tmp_path, "import os", cell, *LOGISTIC_REGRESSION))
    assert said in log
    assert "isn't in what this build was given" not in log


def test_advice_about_a_missing_file_is_left_to_who_sees_the_persons_files(workshop: Workshop, tmp_path: Path) -> None:
    repository = repository_of(tmp_path, "open('../outside.csv')", *LOGISTIC_REGRESSION)
    built = workshop.build(repository, {"NACHLASS_REPOSITORY": "/home/ada/spam"})
    assert built.exit_code == 1
    assert built.output.endswith("The line that failed:\n    open('../outside.csv')\n")
    report = json.loads((workshop.report / "failure.json").read_text())
    assert report["missing_as_written"] == "../outside.csv"
    assert report["advice"].startswith("'../outside.csv' lies outside the repository")


def test_file_of_a_notebook_that_comes_later_in_the_list(workshop: Workshop, tmp_path: Path) -> None:
    notebooks = {
        "01-prep.ipynb": ["import pathlib", "pathlib.Path('rows.csv').write_text('a,b')"],
        "models/02-model.ipynb": ["open('../rows.csv')", *LOGISTIC_REGRESSION],
        "03-report.ipynb": ["1"],
    }
    repository = write_repository(tmp_path / "r", notebooks)
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "03-report.ipynb,models/02-model.ipynb,01-prep.ipynb"})
    assert "These notebooks mention it, and they come later in the list:\n" in log
    assert "  01-prep.ipynb: pathlib.Path('rows.csv').write_text('a,b')\n" in log
    assert "If one of them makes it, it has to run before 'models/02-model.ipynb':\n" in log
    advised = "03-report.ipynb,01-prep.ipynb,models/02-model.ipynb"
    assert f"  NACHLASS_NOTEBOOKS={advised} " in log
    assert workshop.build(repository, {"NACHLASS_NOTEBOOKS": advised}).exit_code == 0


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (
            "path = os.environ['NACHLASS_STAGEFILE']",
            "Nobody sets NACHLASS_STAGEFILE. The path to save the stage to is in the variable NACHLASS_STAGE_FILE.",
        ),
        (
            "path = os.environ.get('NACHLASS_STAGEFILE')",
            "'x.ipynb' names NACHLASS_STAGEFILE, which nobody sets. The variable is NACHLASS_STAGE_FILE.",
        ),
    ],
    ids=["raises", "finds none"],
)
def test_misspelt_variable_for_the_stage(workshop: Workshop, tmp_path: Path, cell: str, said: str) -> None:
    built = workshop.build(repository_of(tmp_path, f"import os\n{cell}"), {"NACHLASS_NOTEBOOKS": "x.ipynb"})
    assert built.exit_code == 1
    assert said in built.output
    assert "--env NACHLASS_STAGEFILE" not in built.output


PREPARE = "from sklearn.decomposition import PCA\nprepare = PCA(1).fit(X)"
SAVE_PREPARE = SAVE.replace("model", "prepare")
WHOLE = "from sklearn.pipeline import make_pipeline\nmodel = make_pipeline(PCA(1), LogisticRegression()).fit(X, y)"


def test_last_stage_that_is_the_whole_pipeline_already(workshop: Workshop, tmp_path: Path) -> None:
    notebooks = {
        "01-prep.ipynb": [*TRAIN[:2], PREPARE, SAVE_PREPARE],
        "02-model.ipynb": [*TRAIN[:2], PREPARE, WHOLE, SAVE],
    }
    repository = write_repository(tmp_path / "r", notebooks)
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "01-prep.ipynb,02-model.ipynb"})
    assert "X has 1 features, but PCA is expecting 2 features" in log
    assert "A stage is given what the stage before it returns, here that of '01-prep.ipynb'" in log
    assert "'02-model.ipynb' saves a whole pipeline, which prepares the data by itself, list that notebook alone" in log
    alone = workshop.build(repository, {"NACHLASS_NOTEBOOKS": "02-model.ipynb"})
    assert alone.exit_code == 0, alone.output


def test_file_of_a_notebook_that_does_not_run(workshop: Workshop, tmp_path: Path) -> None:
    notebooks = {
        "01-prepare.ipynb": ["import pathlib", "pathlib.Path('rows.csv').write_text('a,b')"],
        "02-model.ipynb": ["open('rows.csv')", *LOGISTIC_REGRESSION],
        "03-other.ipynb": ["'other-rows.csv'"],
    }
    log = failure(workshop, write_repository(tmp_path / "r", notebooks))
    assert "  01-prepare.ipynb: pathlib.Path('rows.csv').write_text('a,b')\n" in log
    assert "  NACHLASS_NOTEBOOKS=01-prepare.ipynb,02-model.ipynb " in log
    assert '  notebooks = ["01-prepare.ipynb", "02-model.ipynb"]\n' in log
    assert "03-other" not in log
    listed = workshop.build(tmp_path / "r", {"NACHLASS_NOTEBOOKS": "01-prepare.ipynb,02-model.ipynb"})
    assert listed.exit_code == 0, listed.output


def test_advice_shows_settings_as_they_are_given_where_the_build_was_started(
    workshop: Workshop, tmp_path: Path
) -> None:
    hidden = "assert 'NACHLASS_REPOSITORY' not in os.environ"
    save = "with open('model.pkl', 'wb') as file:\n    pickle.dump(model, file)"
    repository = repository_of(tmp_path, *TRAIN, hidden, save)
    log = failure(workshop, repository, {"NACHLASS_REPOSITORY": "/home/ada/my work", "NACHLASS_NOTEBOOKS": "x.ipynb"})
    assert "  nachlass build '/home/ada/my work' --env NACHLASS_STAGES=x.ipynb=model.pkl\n" in log
    assert "there was no file at the\npath in NACHLASS_STAGE_FILE." in log
    log = failure(workshop, repository, {"NACHLASS_NOTEBOOKS": "x.ipynb"})
    assert "  NACHLASS_STAGES=x.ipynb=model.pkl      (pack build: --env NACHLASS_STAGES=x.ipynb=model.pkl)\n" in log


def test_executed_notebook_of_the_last_run_stays_until_another_runs(workshop: Workshop, tmp_path: Path) -> None:
    failure(workshop, repository_of(tmp_path, "1 / 0", *LOGISTIC_REGRESSION))
    kept = workshop.report / "notebooks" / "x.ipynb"
    assert "ZeroDivisionError" in kept.read_text()
    other = write_repository(tmp_path / "s", {"y.ipynb": LOGISTIC_REGRESSION})
    # The same report directory, as the command leaves it for the next build.
    phases = workshop.phases
    phases.repository = other
    phases.set_env({"NACHLASS_TIMEOUT": "soon"})
    assert phases.build().exit_code == 1
    assert kept.exists()
    phases.set_env({"NACHLASS_TIMEOUT": ""})
    assert phases.build().exit_code == 0
    assert [path.name for path in kept.parent.iterdir()] == ["y.ipynb"]
