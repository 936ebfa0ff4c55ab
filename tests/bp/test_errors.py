"""Each error reads as its golden file: reviewing a message means reading a .txt."""

from pathlib import Path

import pytest

from nachlass_bp import errors
from nachlass_bp.errors import BuildpackError
from nachlass_bp.output import render_error

ROOT = Path(__file__).parent.parent.parent
GOLDEN = ROOT / "tests" / "golden" / "errors"
CELL = "code cell 3 of 9 (In [3])"

EXAMPLES: list[BuildpackError] = [
    errors.NotALifecycleError(variable="CNB_LAYERS_DIR"),
    errors.PythonFailedError(
        executable="/layers/python/bin/python3",
        output="RuntimeError: who am I?",
        settings={"PYTHONPATH": "/layers/hostile/lib"},
    ),
    errors.PythonOutsideLayersError(executable="/usr/bin/python3", version="3.11.2"),
    errors.PipMissingError(python="/usr/bin/python3", tried=["the interpreter's own pip: No module named pip"]),
    errors.PipSettingsError(output="Configuration file could not be loaded.\nFile contains no section headers."),
    errors.VenvMissingError(python="/layers/python/bin/python3", output="python3: No module named venv"),
    errors.InstallFailedError(what="its build tools", output="ERROR: No matching distribution found for toml==0.10.2"),
    errors.PackedWheelsError(
        packed="x86_64 with glibc, Python 3.10, 3.11", here="aarch64 with another C library, Python 3.12"
    ),
    errors.PublishFailedError(output="03-x.ipynb\nTraceback (most recent call last):\n  …"),
    errors.DiskFullError(path="/layers/nachlass_nachlass/packages.new/lib"),
    errors.InternalError(problem="KeyError: 'x'", traceback="Traceback (most recent call last):\n  …"),
    errors.ToolsMissingError(
        layer="/home/ada/.cache/nachlass/spam-0123456789/layers/tools", python="/usr/bin/python3.12"
    ),
    errors.NotebookUnknownError(notebook="03-x.ipynb", listed=["03-features.ipynb", "04-model.ipynb"]),
    errors.SettingInvalidError(
        setting="NACHLASS_TIMEOUT",
        value="soon",
        source="NACHLASS_TIMEOUT",
        expected="a number of seconds greater than 0",
        example="NACHLASS_TIMEOUT=3600",
    ),
    errors.SettingUnknownError(key="notebook", near="notebooks", known=["notebooks", "timeout"]),
    errors.PyprojectInvalidError(problem="Expected '=' after a key (at line 3, column 5)"),
    errors.NotebookListMissingError(candidates=["01-features.ipynb", "02-model.ipynb"], others=[]),
    errors.NotebookMissingError(
        notebook="03-feature.ipynb",
        source="NACHLASS_NOTEBOOKS",
        near_misses=["03-features.ipynb"],
        all_notebooks=["03-features.ipynb", "04-model.ipynb"],
    ),
    errors.NotebookUnreadableError(notebook="03-x.ipynb", problem="The file is empty."),
    errors.NotebookNotPythonError(notebook="03-x.ipynb", language="r"),
    errors.NotebookNamesCollideError(first="a/x.ipynb", second="b/x.ipynb", sav_path="x.sav"),
    errors.NotebookNotListedError(
        notebook="03-feature.ipynb",
        source="NACHLASS_STAGES",
        near="03-features.ipynb",
        listed=["03-features.ipynb", "04-model.ipynb"],
    ),
    errors.BindingInvalidError(binding="warehouse", problem="Its key 'access-key' can't be the name of a variable."),
    errors.RequirementsFailedError(
        file="requirements.txt", output="ERROR: No matching distribution found for scikit-lern"
    ),
    errors.IndexUnreachableError(file="requirements.txt", output="NewConnectionError: Connection refused"),
    errors.RequirementsMissingError(),
    errors.RequirementUnmetError(
        requirement="pandas>=2", installed=None, directory="/layers/pip-install/packages/lib/python3.11/site-packages"
    ),
    errors.SklearnMissingError(),
    errors.OfflineUnavailableError(problem="The network can't be refused: [Errno 1] Operation not permitted"),
    errors.CellFailedError(
        notebook="03-x.ipynb",
        cell=CELL,
        exception="ValueError: could not convert string to float: 'red'",
        line="model.fit(X, y)",
        traceback="ValueError                Traceback (most recent call last)\n…",
    ),
    errors.KernelDiedError(
        notebook="03-x.ipynb",
        cell=CELL,
        how="Its process was killed by SIGKILL.",
        advice="Nothing in Python raised an error: the process was ended from outside or by a crash in compiled\n"
        "code. Too little memory is the usual cause: try with more, or with less data.",
    ),
    errors.KernelStartError(notebook="03-x.ipynb", output="AttributeError: module 'types' has no attribute …"),
    errors.NotebookTimeoutError(notebook="03-x.ipynb", cell=CELL, limit_s=3600.0, line="search.fit(X, y)"),
    errors.InstallRefusedError(notebook="03-x.ipynb", cell=CELL, command="pip install cowsay"),
    errors.PackagesChangedError(
        notebook="03-x.ipynb",
        changes=["cowsay 6.1 (new)", "numpy 2.3.0 (was 1.26.4)"],
        more=2,
        wanted=["cowsay==6.1", "numpy==2.3.0"],
        foreign=["/layers/pip-install/packages/lib/python3.11/site-packages"],
    ),
    errors.CellWantsInputError(notebook="03-x.ipynb", cell=CELL, line='name = input("Name? ")'),
    errors.NothingSavedError(notebook="04-model.ipynb", cell_count=9, others=["03-features.ipynb"]),
    errors.StageNotWrittenError(
        notebook="04-model.ipynb",
        file="model.joblib",
        source="NACHLASS_STAGES",
        problem="There is no such file, neither in the notebook's directory nor in the repository's root.",
        others=["models/model.joblib"],
    ),
    errors.DataPointerError(
        notebook="03-x.ipynb", cell=CELL, path="data/reviews.csv", tool="git-lfs", command="git lfs pull"
    ),
    errors.StageUnreadableError(
        notebook="03-x.ipynb", problem="The file is empty (0 bytes). It may never have been closed."
    ),
    errors.StageNotATransformerError(notebook="03-x.ipynb", problem="LinearRegression has no method `transform`."),
    errors.StageCannotPredictError(notebook="03-x.ipynb", problem="StandardScaler has no method `predict`."),
    errors.ProofFailedError(
        notebook="04-model.ipynb",
        problem="ValueError: X has 3 features, but LogisticRegression is expecting 4 features as input.",
        hint="Load the saved stages in a fresh Python and predict with them to see the same error.",
    ),
    errors.ShippedFileMissingError(notebook="04-model.ipynb", path="data/vocabulary.json"),
    errors.InterruptedBuildError(signal_name="SIGTERM"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: error.reference)
def test_error_reads_as_its_golden_file(error: BuildpackError) -> None:
    assert render_error(error) == (GOLDEN / f"{error.reference}.txt").read_text(encoding="utf-8")


def test_every_error_has_an_example() -> None:
    assert {type(error) for error in EXAMPLES} == set(BuildpackError.__subclasses__())


def test_every_error_is_a_heading_of_the_documentation() -> None:
    headings = {
        line[3:].strip() for line in (ROOT / "docs" / "errors.md").read_text().splitlines() if line[:3] == "## "
    }
    missing = {error.reference for error in EXAMPLES} - headings
    assert not missing
