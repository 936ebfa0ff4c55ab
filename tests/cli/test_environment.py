"""What the phases see: a cleared environment and what the person asked for, as a lifecycle sets it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.harness import BUILDPACK, Nachlass, git, write


def test_nothing_of_the_shell_reaches_the_build(nachlass: Nachlass, repository: Path) -> None:
    shell = {
        "VIRTUAL_ENV": "/x",
        "CONDA_PREFIX": "/x",
        "PYTHONWARNINGS": "ignore",
        "LD_PRELOAD_NOT": "x",
        "NACHLASS_NOTEBOOKS": "other.ipynb",
        "PIP_USER": "1",
        "MY_SECRET": "x",
    }
    assert nachlass("build", repository, extra=shell).status == 0
    environment = nachlass.environment()
    assert not shell.keys() & environment.keys()
    assert environment["HOME"] == str(nachlass.output / "home")
    assert not any(name.startswith(("PYTHON", "CONDA")) for name in environment)


def test_the_way_to_the_package_index_reaches_the_build_and_no_log(nachlass: Nachlass, repository: Path) -> None:
    write(nachlass.home, {".config/pip/pip.conf": "[global]\n"})
    index = "https://user:secret@packages.example.org/simple"
    finished = nachlass("build", repository, extra={"PIP_INDEX_URL": index, "https_proxy": "http://proxy.example.org"})
    environment = nachlass.environment()
    assert environment["PIP_INDEX_URL"] == index
    assert environment["https_proxy"] == "http://proxy.example.org"
    assert environment["PIP_CONFIG_FILE"] == str(nachlass.home / ".config/pip/pip.conf")
    assert Path(environment["PIP_CACHE_DIR"]).is_relative_to(nachlass.home)
    assert "secret" not in finished.out + finished.err


def test_the_phases_get_the_variables_of_the_buildpack_specification(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    environment, output = nachlass.environment(), nachlass.output
    assert environment["CNB_BUILDPACK_DIR"] == str(BUILDPACK)
    assert environment["CNB_LAYERS_DIR"] == str(output / "layers")
    assert environment["CNB_PLATFORM_DIR"] == str(output / "platform")
    assert environment["NACHLASS_REPORT_DIR"] == str(output / "report")
    assert environment["NACHLASS_SYSTEM_PYTHON"] == "true"
    assert environment["CNB_TARGET_OS"] in {"linux", "darwin"}
    assert environment["CNB_TARGET_ARCH"]
    assert Path(environment["CNB_BP_PLAN_PATH"]).is_file()
    assert (output / "report/directory").read_text().strip() == str(output / "app")


def test_variables_come_from_project_toml_then_the_command_line(nachlass: Nachlass, repository: Path) -> None:
    lines = "".join(f'[[io.buildpacks.build.env]]\nname = "{name}"\nvalue = "project"\n' for name in "ABC")
    write(repository, {"project.toml": lines})
    assert nachlass("build", repository, "--env", "B=option", "--env", "C=", "--env", "PATH=/first").status == 0
    environment = nachlass.environment()
    assert [environment[name] for name in "ABC"] == ["project", "option", ""]
    assert environment["PATH"].startswith("/first:")
    files = {path.name: path.read_text() for path in (nachlass.output / "platform/env").iterdir()}
    assert files == {"A": "project", "B": "option", "C": "", "PATH": "/first"}


def test_options_that_stand_for_a_variable_set_it(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository, "--notebooks", "a.ipynb,b.ipynb", "--upgrade", "--home")
    environment = nachlass.environment()
    assert environment["NACHLASS_NOTEBOOKS"] == "a.ipynb,b.ipynb"
    assert environment["NACHLASS_UPGRADE"] == "1"
    assert environment["NACHLASS_HOME"] == str(nachlass.home)


def test_a_variable_without_a_value_is_a_usage_error(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("build", repository, "--env", "JUSTANAME")
    assert finished.status == 2
    assert "'JUSTANAME' is not of the form NAME=VALUE" in finished.err


@pytest.mark.parametrize("command", [["build"], ["cache", "explain"]], ids=["build", "explain"])
def test_a_setting_that_no_build_knows_is_refused_with_the_nearest_that_it_does(
    nachlass: Nachlass, repository: Path, command: list[str]
) -> None:
    assert nachlass("build", repository).status == 0
    finished = nachlass(*command, repository, "--env", "NACHLASS_SEEDS=1")
    assert finished.status == 1
    assert "[Error: --env sets NACHLASS_SEEDS, which no build knows]\n" in finished.err
    assert "Did you mean NACHLASS_SEED? The settings of a build are:\n  NACHLASS_NOTEBOOKS, " in finished.err


def test_a_setting_of_the_service_is_none_of_the_build(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("build", repository, "--env", "NACHLASS_TOKEN=s3cret")
    assert finished.status == 1
    assert "\n\nThe settings of a build are:\n" in finished.err
    assert "NACHLASS_…=… nachlass serve PATH" in finished.err
    assert "s3cret" not in finished.out + finished.err


def test_a_setting_of_project_toml_that_no_build_knows_is_a_warning(nachlass: Nachlass, repository: Path) -> None:
    lines = "".join(
        f'[[io.buildpacks.build.env]]\nname = "NACHLASS_{name}"\nvalue = "1"\n' for name in ("SEED", "TIMEOUTS", "Q")
    )
    write(repository, {"project.toml": lines})
    finished = nachlass("build", repository)
    assert finished.status == 0
    assert [line for line in finished.out.splitlines() if line.startswith("Warning")] == [
        "Warning: project.toml sets NACHLASS_TIMEOUTS, which is no setting of a build; did you mean NACHLASS_TIMEOUT?",
        "Warning: project.toml sets NACHLASS_Q, which is no setting of a build",
    ]


def test_bindings_are_linked_below_the_platform_directory(nachlass: Nachlass, repository: Path, tmp_path: Path) -> None:
    write(tmp_path / "database", {"type": "nachlass", "PASSWORD": "s3cret"})
    finished = nachlass("build", repository, "--binding", tmp_path / "database")
    assert (nachlass.output / "platform/bindings/database/PASSWORD").read_text() == "s3cret"
    assert (nachlass.output / "platform/bindings/database").is_symlink()
    assert "s3cret" not in finished.out


@pytest.mark.parametrize(
    ("name", "problem"), [("nowhere", "It isn't a directory."), ("untyped", "It has no file 'type'.")]
)
def test_what_is_no_binding_is_refused(
    nachlass: Nachlass, repository: Path, tmp_path: Path, name: str, problem: str
) -> None:
    write(tmp_path / "untyped", {"PASSWORD": "s3cret"})
    finished = nachlass("build", repository, "--binding", tmp_path / name)
    assert finished.status == 1
    assert f"isn't a service binding]\n{problem}" in finished.err


def phase_python(nachlass: Nachlass) -> str:
    path = nachlass.environment()["PATH"]
    question = "import sys; print(sys.version_info[:3], sys.base_prefix)"
    return subprocess.run(
        ["python3", "-I", "-c", question], env={"PATH": path}, capture_output=True, text=True, check=True
    ).stdout


OWN = f"{tuple(sys.version_info[:3])} {sys.base_prefix}\n"
VERSION = ".".join(map(str, sys.version_info[:2]))


def test_the_build_uses_the_interpreter_behind_the_command(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("build", repository)
    assert phase_python(nachlass) == OWN
    assert "(chosen by the Python that runs nachlass)" in finished.out


def test_an_interpreter_that_is_not_python3_in_its_directory_gets_one_of_its_own(
    nachlass: Nachlass, repository: Path, tmp_path: Path
) -> None:
    # A directory where `python3` is another program than the chosen one.
    write(tmp_path / "bin", {"python3": "#!/bin/sh\nexit 1\n"})
    (tmp_path / "bin/python3").chmod(0o755)
    (tmp_path / "bin/mypython").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
    (tmp_path / "bin/mypython").chmod(0o755)
    assert nachlass("build", repository, "--python", tmp_path / "bin/mypython").status == 0
    assert phase_python(nachlass) == OWN


@pytest.mark.parametrize("wanted", [VERSION, ".".join(map(str, sys.version_info[:3]))])
def test_a_version_is_found_on_path_and_stand_ins_are_passed_over(
    nachlass: Nachlass, repository: Path, tmp_path: Path, wanted: str
) -> None:
    write(tmp_path / "shims", {f"python{VERSION}": "#!/bin/sh\necho 'not installed' >&2\nexit 127\n"})
    (tmp_path / f"shims/python{VERSION}").chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "shims"), os.environ["PATH"]])
    finished = nachlass("build", repository, "--python", wanted, extra={"PATH": path})
    assert "(chosen by --python)" in finished.out
    assert phase_python(nachlass) == OWN


def test_the_option_wins_over_python_version(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {".python-version": "3.99\n"})
    assert nachlass("build", repository, "--python", VERSION).status == 0


def test_python_version_is_obeyed(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {".python-version": f"# ours\n\n{VERSION}  # why\n"})
    finished = nachlass("build", repository)
    assert finished.status == 0
    assert "(chosen by .python-version)" in finished.out


@pytest.mark.parametrize(
    ("text", "heading"),
    [
        ("3.99", "[Error: Python 3.99 isn't on this machine]"),
        ("my-environment", "[Error: 'my-environment' can't be the Python of this build]"),
        ("3.9", "[Error: '3.9' can't be the Python of this build]"),
    ],
)
def test_a_python_version_that_cannot_be_met_is_an_error_that_names_the_file(
    nachlass: Nachlass, repository: Path, text: str, heading: str
) -> None:
    write(repository, {".python-version": text})
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert heading in finished.err
    assert f"'{repository / '.python-version'}' asks for it" in finished.err


def test_a_program_that_is_no_python_is_refused(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("build", repository, "--python", "/bin/true")
    assert finished.status == 1
    assert "it doesn't work as a Python interpreter" in finished.err


def test_build_is_told_the_commit_and_whether_other_files_than_its_own_are_built(
    nachlass: Nachlass, repository: Path
) -> None:
    def told(*words: str) -> str | None:
        assert nachlass("build", repository, *words).status == 0
        return nachlass.environment().get("NACHLASS_COMMIT")

    assert told() is None, "there is no commit yet"
    git(repository, "commit", "--quiet", "--message", "first")
    commit = told()
    assert commit is not None
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert told("--include", "data/rows.csv") == f"{commit}-dirty"
    write(repository, {"new.py": "x = 1"})
    assert told() == f"{commit}-dirty"
    (repository / "new.py").unlink()
    write(repository, {"stage.txt": "2"})
    assert told() == f"{commit}-dirty"
    assert told("--env", "NACHLASS_COMMIT=cafe123") == "cafe123"


def test_settings_of_the_shell_that_the_build_does_not_get_are_named_once(nachlass: Nachlass, repository: Path) -> None:
    shell = {"NACHLASS_SEED": "0", "NACHLASS_PARAMETERS": "C=secret", "NACHLASS_STAGES": "x=y", "NACHLASS_PORT": "1"}
    finished = nachlass("build", repository, "--env", "NACHLASS_STAGES=a=b", extra=shell)
    assert finished.out.count("Warning") == 1
    assert (
        "Warning: the build doesn't see your shell's NACHLASS_PARAMETERS, NACHLASS_SEED. "
        "To pass on what is set there:\n"
        '  --env "NACHLASS_PARAMETERS=$NACHLASS_PARAMETERS" --env "NACHLASS_SEED=$NACHLASS_SEED"\n'
    ) in finished.out
    assert nachlass.environment().get("NACHLASS_STAGES") == "a=b"
    assert "secret" not in finished.out


def test_the_build_learns_which_directory_to_name_in_its_advice(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    assert nachlass.environment()["NACHLASS_REPOSITORY"] == str(repository.resolve())
