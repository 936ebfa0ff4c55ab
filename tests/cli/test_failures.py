"""What the command adds to a failure of the buildpack: what it knows of this machine's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.harness import Finished, Nachlass, write


def build_missing(nachlass: Nachlass, repository: Path, missing: str, *, more: str = "") -> Finished:
    """Build with a buildpack that fails because a notebook asked for `missing`, an sh word."""
    report = f'printf \'{{"reference": "cell-failed", "missing_path": "%s"{more}}}\' "{missing}"'
    write(repository, {"build.sh": f'echo "its own words"; {report} >"$NACHLASS_REPORT_DIR/failure.json"; exit 1'})
    return nachlass("build", repository)


@pytest.mark.parametrize("base", ["$PWD", "$CNB_LAYERS_DIR/stages/tree"])
def test_a_file_that_git_ignores_is_explained_by_its_rule(nachlass: Nachlass, repository: Path, base: str) -> None:
    finished = build_missing(nachlass, repository, f"{base}/data/rows.csv")
    assert finished.status == 1
    assert "its own words" in finished.out
    assert finished.err == (
        "\n[Error: 'data/rows.csv' exists, but isn't part of the build]\n"
        "The notebooks run in a copy of your repository, as they would on a build server,\n"
        "and this file was left out: git ignores it, by '*.csv' in .gitignore, line 1.\n"
        "\n"
        "Choose one:\n"
        " - Commit it, if it may be in the repository. Then every platform has it.\n"
        " - Let the notebook fetch it from where it is kept; passwords for that come from --binding.\n"
        " - For builds on this machine only: --include 'data/rows.csv'\n"
        "\n"
        "Reference: file-left-out\n"
    )


def test_the_include_that_is_advised_helps(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("build", repository, "--include", "data/rows.csv")
    assert finished.status == 0
    assert (nachlass.output / "app/data/rows.csv").is_file()


def test_a_file_that_project_toml_excludes_is_explained(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"project.toml": '[io.buildpacks]\nexclude = ["raw/"]\n', "raw/a.txt": ""})
    finished = build_missing(nachlass, repository, "$PWD/raw/a.txt")
    assert "left out: 'raw/' of 'exclude' in project.toml names it." in finished.err


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (".hidden/secret", "its path has a name that begins with a dot"),
        ("venv/data.csv", "'venv' is a virtual environment or made by a tool"),
        ("link/elsewhere.txt", "'link' is a symbolic link to outside the repository"),
    ],
)
def test_a_file_that_is_left_out_without_git_is_explained(
    nachlass: Nachlass, plain: Path, tmp_path: Path, name: str, rule: str
) -> None:
    write(plain, {"venv/pyvenv.cfg": "", "venv/data.csv": ""})
    write(tmp_path, {"outside/elsewhere.txt": ""})
    (plain / "link").symlink_to(tmp_path / "outside")
    finished = build_missing(nachlass, plain, f"$PWD/{name}")
    assert f"and this file was left out: {rule}." in finished.err


def test_a_file_beside_the_repository_is_explained(nachlass: Nachlass, repository: Path) -> None:
    write(repository.parent, {"shared/rows.csv": ""})
    finished = build_missing(nachlass, repository, "$CNB_LAYERS_DIR/stages/shared/rows.csv")
    assert "[Error: '../shared/rows.csv' lies outside the repository]" in finished.err
    assert str(repository.parent / "shared/rows.csv") in finished.err


def test_a_file_beside_the_repository_is_named_as_the_notebook_has_it(nachlass: Nachlass, repository: Path) -> None:
    write(repository.parent, {"shared/rows.csv": ""})
    more = ', "missing_as_written": "../../shared/rows.csv"'
    finished = build_missing(nachlass, repository, "$CNB_LAYERS_DIR/stages/shared/rows.csv", more=more)
    assert "[Error: '../../shared/rows.csv' lies outside the repository]" in finished.err


@pytest.mark.parametrize(
    ("missing", "said"),
    [("$PWD/data/rows.csv", []), ("$PWD/data/never-was.csv", ["", "Commit it.", "", "Reference: cell-failed"])],
    ids=["known better", "not known better"],
)
def test_advice_of_the_buildpack_is_given_where_the_command_has_none(
    nachlass: Nachlass, repository: Path, missing: str, said: list[str]
) -> None:
    finished = build_missing(nachlass, repository, missing, more=', "advice": "Commit it."')
    assert finished.out.splitlines()[-len(said) - 1 :] == ["its own words", *said]
    assert finished.err.count("[Error: ") == (not said)


def test_a_file_of_the_real_home_is_explained(nachlass: Nachlass, repository: Path) -> None:
    write(nachlass.home, {"datasets/rows.csv": ""})
    finished = build_missing(
        nachlass, repository, "/tmp/fresh-home/datasets/rows.csv", more=', "home": "/tmp/fresh-home"'
    )
    assert "[Error: '~/datasets/rows.csv' exists in your home directory, but not in the build's]" in finished.err
    assert "--home" in finished.err


def test_git_lfs_pointers_are_named_before_and_after(nachlass: Nachlass, repository: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
    write(repository, {"model.bin": pointer})
    finished = build_missing(nachlass, repository, "$PWD/nothing")
    assert "Warning: git-lfs pointers instead of data (git lfs pull): model.bin" in finished.out
    assert "[Error: Only a pointer to 'model.bin' is on this machine]" in finished.err
    assert "git lfs pull" in finished.err


def test_a_dvc_pointer_is_explained(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"data/big.parquet.dvc": "outs: []"})
    finished = build_missing(nachlass, repository, "$PWD/data/big.parquet")
    assert f"cd '{repository}' && dvc pull data/big.parquet.dvc\n" in finished.err


def test_a_pointer_that_the_buildpack_has_explained_is_not_explained_twice(
    nachlass: Nachlass, repository: Path
) -> None:
    report = json.dumps({"reference": "data-pointer", "missing_path": "big.parquet"})
    script = f"echo '{report}' >\"$NACHLASS_REPORT_DIR/failure.json\"; exit 1"
    write(repository, {"big.parquet.dvc": "outs: []", "build.sh": script})
    finished = nachlass("build", repository)
    assert (finished.status, finished.err) == (1, "")


def test_a_file_that_is_nowhere_needs_no_further_words(nachlass: Nachlass, repository: Path) -> None:
    finished = build_missing(nachlass, repository, "$PWD/data/never-was.csv")
    assert (finished.status, finished.err) == (1, "")


def test_a_listed_notebook_that_git_ignores_is_explained(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {".gitignore": "draft*\n", "draft.ipynb": "{}"})
    finished = build_missing(nachlass, repository, "draft.ipynb")
    assert "by 'draft*' in .gitignore, line 1" in finished.err


def test_a_phase_that_dies_without_a_word_is_an_error(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"build.sh": "kill -9 $$"})
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert "'bin/build' was killed by signal 9." in finished.err
    assert "out of memory" in finished.err


def test_a_repository_that_is_not_detected_is_told_why(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"detect.sh": 'echo "nothing for us here" >&2; exit 100'})
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert "[Error: nachlass doesn't know which notebooks to run]\nNothing for us here\n" in finished.err


NO_STAGE = "echo 'nachlass: not for this repository: none of its notebooks … saves a pipeline stage.' >&2; exit 100"


def test_advice_for_a_repository_without_a_stage_has_its_notebooks_name(nachlass: Nachlass, plain: Path) -> None:
    (plain / "train.ipynb").rename(plain / "Train model.ipynb")
    write(plain, {"detect.sh": NO_STAGE})
    finished = nachlass("build", plain)
    assert f"\n  nachlass build {plain} --env 'NACHLASS_STAGES=Train model.ipynb=model.joblib'\n" in finished.err
    assert f"\n  nachlass build {plain} --notebooks 'Train model.ipynb'\n" in finished.err


@pytest.mark.parametrize("name", ["NACHLASS_STAGEFILE", "NACHLASS_STAGE_PATH", "S2I_STAGE_SAVE_FILE"])
def test_a_misspelt_variable_for_the_stage_is_named(nachlass: Nachlass, plain: Path, name: str) -> None:
    cell = f"path = os.environ.get('{name}')"
    write(plain, {"detect.sh": NO_STAGE, "train.ipynb": json.dumps({"cells": [{"source": [cell]}]})})
    finished = nachlass("build", plain)
    said = f"'train.ipynb' names {name}, which nobody sets. The variable is NACHLASS_STAGE_FILE:\n"
    assert said in finished.err


def test_an_installation_without_buildpack_says_so(nachlass: Nachlass, repository: Path, tmp_path: Path) -> None:
    finished = nachlass("build", repository, extra={"NACHLASS_BUILDPACK_DIR": str(tmp_path)})
    assert finished.status == 1
    assert "[Error: This installation of nachlass has no buildpack]" in finished.err


def test_what_the_operating_system_refuses_is_an_error_without_traceback(
    nachlass: Nachlass, repository: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"file": ""})
    finished = nachlass("build", repository, extra={"XDG_CACHE_HOME": str(tmp_path / "file")})
    assert finished.status == 1
    assert "[Error: The operating system refused something that the build needs]" in finished.err
    assert "Traceback" not in finished.err
