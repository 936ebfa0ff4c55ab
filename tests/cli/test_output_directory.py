"""Where a build is kept, and that it never harms what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.harness import Nachlass, files_below, wait_for, write


def test_each_repository_has_an_output_directory_outside_of_it(
    nachlass: Nachlass, repository: Path, plain: Path
) -> None:
    assert nachlass("build", repository).status == 0
    assert nachlass("build", plain).status == 0
    assert [path.name.rpartition("-")[0] for path in nachlass.outputs] == ["my-repo", "plain"]
    assert nachlass.outputs[0].stat().st_mode & 0o777 == 0o700


def test_the_output_directory_can_be_chosen(nachlass: Nachlass, repository: Path, tmp_path: Path) -> None:
    assert nachlass("build", repository, "--output", tmp_path / "out").status == 0
    assert (tmp_path / "out/app/train.ipynb").is_file()


def test_an_ignored_directory_of_the_repository_can_be_the_output(nachlass: Nachlass, repository: Path) -> None:
    write(repository, {".gitignore": "*.csv\n/out/\n"})
    for _ in range(2):
        assert nachlass("build", repository, "--output", repository / "out").status == 0
    assert not any(name.startswith("out") for name in files_below(repository / "out/app"))


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (".", "It is your repository, or holds it"),
        ("..", "It is your repository, or holds it"),
        ("out", "isn't ignored"),
        ("../full", "It isn't empty and no earlier build made it"),
        ("stage.txt", "It is a file"),
    ],
)
def test_an_output_directory_that_endangers_files_is_refused(
    nachlass: Nachlass, repository: Path, output: str, why: str
) -> None:
    write(repository.parent / "full", {"precious": "x"})
    finished = nachlass("build", repository, "--output", repository / output)
    assert finished.status == 1
    assert why in finished.err
    assert (repository.parent / "full/precious").is_file()
    assert (repository / "train.ipynb").is_file()


def test_two_builds_of_one_output_do_not_mix(nachlass: Nachlass, repository: Path) -> None:
    flag = repository.parent / "flag"
    write(repository, {"build.sh": f"touch '{flag}.begun'; while [ ! -e '{flag}' ]; do sleep 0.05; done"})
    first = nachlass.start("build", repository)
    wait_for(Path(f"{flag}.begun").exists)
    second = nachlass("build", repository)
    served = nachlass("serve", nachlass.output)
    flag.touch()
    first.communicate()
    assert (first.returncode, second.status) == (0, 1)
    assert "[Error: Another build of this repository is still running]" in second.err
    assert f"Process {first.pid} is using" in second.err
    # Nothing has been built before, so that there is nothing to serve either.
    assert served.status == 1
