"""Which files of the repository come into the build."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.harness import Nachlass, files_below, git, write


def built_files(nachlass: Nachlass, *words: str | Path) -> set[str]:
    finished = nachlass("build", *words)
    assert finished.status == 0, finished.err
    return files_below(nachlass.output / "app")


def test_tracked_and_unignored_files_are_built_and_new_ones_are_listed(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"helpers/new.py": "x = 1"})
    finished = nachlass("build", repository)
    assert "1 of them not yet in git: helpers/new.py" in finished.out
    assert files_below(nachlass.output / "app") == {".gitignore", "train.ipynb", "stage.txt", "helpers/new.py"}


def test_the_repository_is_not_touched(nachlass: Nachlass, repository: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_mode) for path in repository.rglob("*")}

    write(repository, {"build.sh": "echo changed >train.ipynb; mkdir made; touch made/file"})
    before = state()
    assert nachlass("build", repository).status == 0
    assert state() == before
    assert (nachlass.output / "app/train.ipynb").read_text() == "changed\n"


def test_modes_and_times_of_files_are_kept(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"run.sh": "true"})
    (repository / "run.sh").chmod(0o750)
    os.utime(repository / "run.sh", (1_000_000_000, 1_000_000_000))
    built_files(nachlass, repository)
    copied = (nachlass.output / "app/run.sh").stat()
    assert (copied.st_mode & 0o777, copied.st_mtime) == (0o750, 1_000_000_000)


def test_a_tracked_file_that_was_deleted_is_not_missed(nachlass: Nachlass, repository: Path) -> None:
    (repository / "stage.txt").unlink()
    assert "stage.txt" not in built_files(nachlass, repository)


def test_an_unignored_virtual_environment_is_left_out(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"env/pyvenv.cfg": "", "env/lib/module.py": "", "__pycache__/a.pyc": ""})
    assert not any(name.startswith(("env/", "__pycache__/")) for name in built_files(nachlass, repository))


def test_a_folder_of_a_repository_is_built_alone(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"models/spam/a.ipynb": "{}", "models/spam/b.csv": "1", "models/other.py": ""})
    assert built_files(nachlass, repository / "models/spam") == {"a.ipynb"}


def test_a_folder_that_git_ignores_is_built_as_if_there_were_no_git(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {".gitignore": "scratch/\n", "scratch/a.ipynb": "{}", "scratch/b.csv": "1"})
    assert built_files(nachlass, repository / "scratch") == {"a.ipynb", "b.csv"}


def test_submodules_are_part_of_the_build(nachlass: Nachlass, repository: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(other, {"module.py": "x = 1"})
    git(other, "init", "--quiet")
    git(other, "add", ".")
    git(other, "commit", "--quiet", "-m", "one")
    git(repository, "submodule", "--quiet", "add", other, "lib/other")
    write(repository, {"lib/other/new.py": ""})
    assert {"lib/other/module.py", "lib/other/new.py"} <= built_files(nachlass, repository)


def test_outside_of_git_hidden_files_and_environments_are_left_out(nachlass: Nachlass, plain: Path) -> None:
    write(plain, {"venv/pyvenv.cfg": "", "venv/x.py": "", "conda/conda-meta/history": "", "node_modules/x.js": ""})
    assert built_files(nachlass, plain) == {"train.ipynb", "rows.csv"}


def test_links_inside_stay_links_into_the_copy_and_links_outside_are_left_out(
    nachlass: Nachlass, plain: Path, tmp_path: Path
) -> None:
    write(tmp_path, {"elsewhere.txt": "x"})
    (plain / "relative").symlink_to("rows.csv")
    (plain / "absolute").symlink_to(plain / "rows.csv")
    (plain / "outside").symlink_to(tmp_path / "elsewhere.txt")
    finished = nachlass("build", plain)
    app = nachlass.output / "app"
    assert (app / "relative").readlink() == Path("rows.csv")
    assert (app / "absolute").resolve() == app / "rows.csv"
    assert not (app / "outside").is_symlink()
    assert "left out links that lead outside the repository: outside" in finished.out


def test_include_brings_in_what_git_ignores(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"env/pyvenv.cfg": "", "env/test.csv": ""})
    names = built_files(nachlass, repository, "--include", "*.csv")
    assert "data/rows.csv" in names
    assert "env/test.csv" not in names


def test_include_brings_in_what_is_hidden(nachlass: Nachlass, plain: Path) -> None:
    assert ".hidden/secret" in built_files(nachlass, plain, "--include", ".hidden/")


def test_include_that_matches_nothing_is_an_error(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("build", repository, "--include", "*.parquet")
    assert finished.status == 1
    assert "[Error: --include '*.parquet' matches no file]" in finished.err


@pytest.mark.parametrize("header", ["[io.buildpacks]", "[build]"])
def test_project_toml_excludes_in_both_schemas(nachlass: Nachlass, repository: Path, header: str) -> None:
    write(repository, {"project.toml": f'{header}\nexclude = ["*.txt", "!keep.txt"]\n', "keep.txt": ""})
    names = built_files(nachlass, repository)
    assert "stage.txt" not in names
    assert {"keep.txt", "train.ipynb"} <= names


def test_project_toml_includes_nothing_else(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {"project.toml": '[io.buildpacks]\ninclude = ["*.ipynb"]\n'})
    assert built_files(nachlass, repository) == {"train.ipynb"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[io.buildpacks\n", "It can't be read as TOML"),
        ('[io.buildpacks]\ninclude = ["a"]\nexclude = ["b"]\n', "both 'include' and 'exclude'"),
        ('[io.buildpacks]\nexclude = "b"\n', "'exclude' in [io.buildpacks] isn't a list of strings"),
        ("[[io.buildpacks.build.env]]\nname = 'A'\nvalue = 1\n", "needs a 'name' and a 'value', both strings"),
    ],
)
def test_a_wrong_project_toml_is_an_error(nachlass: Nachlass, repository: Path, text: str, problem: str) -> None:
    write(repository, {"project.toml": text})
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert "[Error: project.toml isn't valid]" in finished.err
    assert problem in finished.err


def test_what_git_cannot_read_is_an_error_with_its_words(nachlass: Nachlass, repository: Path) -> None:
    (repository / ".git/index").write_bytes(b"rubbish")
    finished = nachlass("build", repository)
    assert finished.status == 1
    assert "[Error: git can't say which files belong to the repository]\n" in finished.err
    assert "index file smaller than expected" in finished.err


def test_names_with_blanks_and_other_alphabets_are_copied(nachlass: Nachlass, repository: Path) -> None:
    names = {"01 a+b.c.ipynb", "dir with blanks/ünï.py", " leading", "línea\nnueva.txt"}
    write(repository, dict.fromkeys(names, "x"))
    assert names <= built_files(nachlass, repository)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("missing", "There is no such directory."),
        ("train.ipynb", "my repo' --notebooks train.ipynb\n"),
        ("https://example.org/repository.git", "git clone ADDRESS"),
    ],
)
def test_a_path_that_is_no_directory_is_an_error(nachlass: Nachlass, repository: Path, given: str, said: str) -> None:
    path = given if "://" in given else str(repository / given)
    finished = nachlass("build", path)
    assert finished.status == 1
    assert f"[Error: '{path}' isn't a repository]" in finished.err
    assert said in finished.err


@pytest.mark.parametrize(
    ("requirements", "given", "advised"),
    [
        ("bikes/requirements.txt", "bikes/notebooks/01-prep.ipynb", "bikes --notebooks notebooks/01-prep.ipynb"),
        ("requirements.txt", "bikes/notebooks/01-prep.ipynb", ". --notebooks bikes/notebooks/01-prep.ipynb"),
        ("else/requirements.txt", "bikes/notebooks/02 b.ipynb", ". --notebooks 'bikes/notebooks/02 b.ipynb'"),
        ("bikes/requirements.txt", "bikes/notebooks/data.csv", "bikes"),
    ],
    ids=["of a part", "at the root", "nowhere above", "no notebook"],
)
def test_who_names_a_notebook_is_advised_the_directory_with_what_it_needs(
    nachlass: Nachlass, requirements: str, given: str, advised: str
) -> None:
    git(nachlass.home, "init", "--quiet")
    write(nachlass.home, {requirements: "", given: "{}"})
    finished = nachlass("build", given)
    assert finished.status == 1
    assert f"\n  nachlass build {advised}\n" in finished.err


def test_who_names_a_notebook_outside_of_git_is_advised_the_directory_with_requirements(
    nachlass: Nachlass, plain: Path
) -> None:
    write(plain, {"requirements.txt": "", "notebooks/a.ipynb": "{}"})
    finished = nachlass("build", plain / "notebooks/a.ipynb")
    assert f"\n  nachlass build {plain} --notebooks notebooks/a.ipynb\n" in finished.err


def test_commands_that_are_shown_are_quoted_only_where_a_shell_needs_it(nachlass: Nachlass, plain: Path) -> None:
    write(plain, {"a b/train.ipynb": "{}"})
    assert nachlass("build", plain).out.endswith(f"\nBuilt. Serve it with:\n  nachlass serve {plain}\n")
    assert nachlass("build", plain / "a b").out.endswith(f"\n  nachlass serve '{plain}/a b'\n")
