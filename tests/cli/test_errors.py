"""The exact words of every error; reviewing a message means reading a file in `golden/`."""

from __future__ import annotations

from pathlib import Path

import pytest

from nachlass_cli import errors
from nachlass_cli.output import render_error

GOLDEN = Path(__file__).parent / "golden"
REPOSITORY = Path("/home/ada/spam")
EXAMPLES: tuple[errors.CliError, ...] = (
    errors.RepositoryNotFoundError("spam/train.ipynb", is_file=True),
    errors.OutputUnusableError(
        Path("out"), why="It is a file.", advice="Choose a directory of its own, or leave --output out."
    ),
    errors.OutputBusyError(Path("/home/ada/.cache/nachlass/spam-0123456789"), holder="4711"),
    errors.GitError(REPOSITORY, message="fatal: detected dubious ownership in repository at '/home/ada/spam'\n"),
    errors.ProjectFileError("'exclude' in [io.buildpacks] isn't a list of strings."),
    errors.IncludeMatchesNothingError("data/*.cvs", REPOSITORY),
    errors.PythonNotFoundError("3.12", source="'/home/ada/spam/.python-version'", searched="on PATH"),
    errors.PythonUnusableError("3.8", source="--python", problem="nachlass needs Python 3.10 or newer"),
    errors.BindingError(Path("database"), "It has no file 'type'."),
    errors.SettingUnknownError("NACHLASS_SEEDS", near="NACHLASS_SEED", known=["NACHLASS_NOTEBOOKS", "NACHLASS_SEED"]),
    errors.not_detected(REPOSITORY, "nachlass: not for this repository: it has no notebook (*.ipynb).\nIf …\n"),
    errors.not_detected(
        REPOSITORY,
        "nachlass: not for this repository: it has notebooks, but no requirements.txt (or uv.lock, poetry.lock, "
        "pylock.toml, environment.yml) at its root.\n",
    ),
    errors.not_detected(
        REPOSITORY,
        "nachlass: not for this repository: none of its notebooks and modules saves a pipeline stage to the path in "
        "NACHLASS_STAGE_FILE.\n",
    ),
    errors.PhaseCrashedError("build", -9),
    errors.FileLeftOutError(
        "data/rows.csv", rule="git ignores it, by '*.csv' in .gitignore, line 1", tracked_by_git=True
    ),
    errors.FileOutsideError("../shared/rows.csv", found=Path("/home/ada/shared/rows.csv")),
    errors.FileInHomeError("~/rows.csv", found=Path("/home/ada/rows.csv")),
    errors.FileNotFetchedError("'model.bin'", tool="git-lfs", command="cd '/home/ada/spam' && git lfs pull"),
    errors.NothingBuiltError(Path("spam"), looked_at=Path("/home/ada/.cache/nachlass/spam-0123456789")),
    errors.CacheMissingError("spam", looked_at=Path("/home/ada/.cache/nachlass/spam-0123456789")),
    errors.PortInUseError(8080, problem="Address already in use"),
    errors.LayersInvalidError("The layer 'packages' is declared but has no contents"),
    errors.CheckFailedError("Prediction", problem='/predict answered 500: {"error": "…"}'),
    errors.BuildpackMissingError(Path("/usr/lib/python3/nachlass_cli/buildpack")),
    errors.SystemCallFailedError(OSError(28, "No space left on device", "/home/ada/.cache/nachlass/spam/app/a.csv")),
    errors.InternalError("Traceback (most recent call last):\nKeyError: 'x'\n"),
)


def every_error(kind: type[errors.CliError] = errors.CliError) -> set[type[errors.CliError]]:
    return {each for child in kind.__subclasses__() for each in {child, *every_error(child)}}


def test_every_error_has_an_example_and_a_reference_of_its_own() -> None:
    assert {type(example) for example in EXAMPLES} == every_error()
    assert len({example.reference for example in EXAMPLES}) == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: str(example.reference))
def test_an_error_reads_as_its_golden_file(example: errors.CliError) -> None:
    assert render_error(example) == (GOLDEN / f"{example.reference}.txt").read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {example.reference for example in EXAMPLES}
