"""The builder image of source-to-image, by the steps that `s2i` and OpenShift take."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import s2i
from tests.support.docker import RESTRICTED, docker, image_id, labels, serving
from tests.support.facilities import require
from tests.support.pack import REQUIREMENTS, make
from tests.support.pythons import find_python, wheelhouse
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

USER = "1000620000:0"
"""As OpenShift chooses users: anybody, of group 0."""
PREPARE = ("open('prepared.txt', 'w').write('yes')",)
OLD_MODEL = (
    *LOGISTIC_REGRESSION[:3],
    "with open(os.environ['S2I_PIPELINE_STAGE_SAVE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
SETTINGS = {"S2I_SOURCE_NOTEBOOK_LIST": "01-prepare.ipynb,sub/02-model.ipynb", **OFFLINE}


@pytest.fixture(scope="module")
def wheels() -> Path:
    require("docker")
    require("pack")
    make("s2i-builder")
    python = find_python("python3", path="/usr/bin:/bin")
    assert python is not None
    return wheelhouse(python, REQUIREMENTS)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source") / "repository"
    return write_repository(root, {"01-prepare.ipynb": PREPARE, "sub/02-model.ipynb": OLD_MODEL})


@pytest.fixture(scope="module")
def image(name: str, wheels: Path, repository: Path) -> str:
    done = s2i.build(f"{name}-first", repository, env=SETTINGS, user=USER, volumes={wheels: "/wheels"})
    assert done.exit_code == 0, done.output
    return f"{name}-first"


def test_image_serves_as_any_user_of_group_0(image: str) -> None:
    with serving(image, options=(*RESTRICTED, "--user", "1000770000:0")) as running:
        assert running.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]
        assert running.get("/metrics").status == 200


def test_image_predicts_for_rows_that_it_reads(image: str) -> None:
    command = [
        "docker",
        "run",
        "--rm",
        "--interactive",
        *RESTRICTED,
        "--user",
        USER,
        image,
        "/usr/libexec/s2i/run",
        "score",
    ]
    scored = subprocess.run(command, input="0.1,0.0\n3.0,2.8\n", capture_output=True, text=True, check=False)
    assert scored.returncode == 0, scored.stderr
    assert [line.split(",")[-1] for line in scored.stdout.splitlines()] == ["low", "high"]


def test_incremental_build_runs_only_what_has_changed(image: str, name: str, wheels: Path, tmp_path: Path) -> None:
    write_repository(tmp_path, {"01-prepare.ipynb": PREPARE, "sub/02-model.ipynb": (*OLD_MODEL, "'one cell more'")})
    done = s2i.build(
        f"{name}-second", tmp_path, env=SETTINGS, user="1000630000:0", previous=image, volumes={wheels: "/wheels"}
    )

    assert done.exit_code == 0, done.output
    assert "01-prepare.ipynb: reused" in done.output
    assert "sub/02-model.ipynb: run (" in done.output
    assert "Using cached packages" in done.output
    with serving(f"{name}-second", options=(*RESTRICTED, "--user", USER)) as running:
        assert running.predict([[3.0, 2.8]]) == ["high"]


def test_failing_notebook_fails_the_build_with_our_words(name: str, wheels: Path, tmp_path: Path) -> None:
    write_repository(tmp_path, {"train.ipynb": ("1 / 0",)})
    env = {"S2I_SOURCE_NOTEBOOK_LIST": "train.ipynb", **OFFLINE}
    done = s2i.build(f"{name}-failing", tmp_path, env=env, volumes={wheels: "/wheels"})

    assert done.exit_code != 0
    assert "ZeroDivisionError: division by zero" in done.output
    assert image_id(f"{name}-failing") is None


def test_builder_says_what_it_is_and_how_it_is_used(wheels: Path) -> None:
    del wheels
    assert "s2i build" in docker("run", "--rm", s2i.BUILDER)
    found = labels(s2i.BUILDER)
    assert found["io.openshift.s2i.scripts-url"] == "image:///usr/libexec/s2i"
    assert found["io.openshift.expose-services"] == "8080:http"


def test_source_is_not_twice_in_the_image(image: str) -> None:
    found = docker("run", "--rm", image, "find", "/opt/app-root", "/tmp", "-name", "02-model.ipynb", "-type", "f")
    assert found.split() == ["/opt/app-root/nachlass/app/sub/02-model.ipynb"]
