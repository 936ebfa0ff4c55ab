from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.facilities import require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DETECT = Path(__file__).parents[2] / "bin" / "detect"
# Everything that bin/detect may start: what any POSIX build image has, and no Python.
ORDER = (
    "nachlass: comes after the buildpacks that provide Python and install the requirements, and before a Procfile's.\n"
)
TOOLS = ("sh", "cat", "find", "grep", "sed", "test")


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What one run of bin/detect did; `plan` is None if it wrote none."""

    code: int
    stdout: str
    stderr: str
    plan: str | None


Detect = Callable[..., Detection]


@pytest.fixture(scope="session")
def path_without_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tools")
    for tool in TOOLS:
        # `sh` is dash where there is one: the shell of the Debian and Ubuntu build images, and the strictest.
        program = shutil.which("dash" if tool == "sh" else tool) or shutil.which(tool)
        assert program is not None, tool
        (directory / tool).symlink_to(program)
    return directory


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return an empty application directory, with a blank in its path."""
    path = tmp_path / "my repository"
    path.mkdir()
    return path


@pytest.fixture
def detect(tmp_path: Path, repository: Path, path_without_python: Path) -> Detect:
    """Run bin/detect on `repository` as the lifecycle does; `platform_env` goes into files."""

    def run(
        environ: Mapping[str, str] | None = None,
        platform_env: Mapping[str, str] | None = None,
        *,
        paths_as_arguments: bool = False,
        prefix: Sequence[str] = (),
    ) -> Detection:
        platform, plan = tmp_path / "the platform", tmp_path / "the plan.toml"
        (platform / "env").mkdir(parents=True, exist_ok=True)
        for name, value in (platform_env or {}).items():
            (platform / "env" / name).write_text(value)
        variables = {"CNB_PLATFORM_DIR": str(platform), "CNB_BUILD_PLAN_PATH": str(plan)}
        result = subprocess.run(
            [*prefix, path_without_python / "sh", DETECT, *([platform, plan] if paths_as_arguments else [])],
            cwd=repository,
            env={
                "PATH": str(path_without_python),
                **({} if paths_as_arguments else variables),
                **(environ or {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Detection(
            code=result.returncode,
            stdout=result.stdout,
            stderr=result.stderr,
            plan=plan.read_text() if plan.exists() else None,
        )

    return run


VARIABLE = "NACHLASS_STAGE_FILE"
SAVES = '{"cells": [{"source": "cloudpickle.dump(stage, open(os.environ[\\"NACHLASS_STAGE_FILE\\"], \\"wb\\"))"}]}'
SAVES_AS_BEFORE = SAVES.replace(VARIABLE, "S2I_PIPELINE_STAGE_SAVE_FILE")
PLAIN = '{"cells": [{"source": "1 + 1"}]}'

PASSES = {
    "one notebook that saves a stage": {"requirements.txt": "scikit-learn", "model.ipynb": SAVES},
    "the variable's name of before": {"requirements.txt": "", "model.ipynb": SAVES_AS_BEFORE},
    "a notebook in a folder": {"requirements.txt": "", "notebooks/deep/model.ipynb": SAVES},
    "a module that saves for the notebook": {
        "requirements.txt": "",
        "model.ipynb": PLAIN,
        "lib/stages.py": f"os.environ['{VARIABLE}']",
    },
    "uv": {"uv.lock": "", "model.ipynb": SAVES},
    "poetry": {"poetry.lock": "", "model.ipynb": SAVES},
    "a standard lock": {"pylock.toml": "", "model.ipynb": SAVES},
    "conda": {"environment.yml": "", "model.ipynb": SAVES},
    "names with blanks, plus signs and dots": {"requirements.txt": "", "1 . EDA+clean up .ipynb": SAVES},
    "unicode names": {"requirements.txt": "", "dossiers/modèle d'été.ipynb": SAVES},
    "names with newlines": {"requirements.txt": "", "a\nfolder/a\nmodel.ipynb": SAVES},
    "a name that starts with a hyphen": {"requirements.txt": "", "-v.ipynb": SAVES},
    "a notebook of one long line": {"requirements.txt": "", "big.ipynb": "x" * 5_000_000 + SAVES},
    "a list in pyproject.toml": {"pyproject.toml": '[tool.nachlass]\nnotebooks = ["a.ipynb"]\n'},
    "a list of many lines": {"pyproject.toml": '[tool.nachlass]\nname = "x"\nnotebooks = [\n  "a.ipynb",\n]\n'},
    "a list under a quoted table": {"pyproject.toml": "[ tool . 'nachlass' ] # here\nnotebooks=['a.ipynb']"},
    "a list under [tool]": {"pyproject.toml": '[tool]\nnachlass.notebooks = ["a.ipynb"]\n'},
    "a list in an inline table": {"pyproject.toml": '[tool]\nnachlass = { name = "x", notebooks = ["a.ipynb"] }\n'},
    "a list with line ends of Windows": {"pyproject.toml": '[tool.nachlass]\r\nnotebooks = ["a.ipynb"]\r\n'},
    "stages": {"pyproject.toml": '[tool.nachlass.stages]\n"a.ipynb" = "model.pkl"\n'},
    "stages by a dotted key": {"pyproject.toml": '[tool.nachlass]\nstages."a.ipynb" = "model.pkl"\n'},
    "stages in an inline table": {"pyproject.toml": '[tool.nachlass]\nstages = { "a.ipynb" = "model.pkl" }\n'},
    "a list of nothing, which the build explains": {"pyproject.toml": "[tool.nachlass]\nnotebooks = []\n"},
}

FALLS_THROUGH = {
    "nothing at all": ({}, "no notebook"),
    "requirements only": ({"requirements.txt": ""}, "no notebook"),
    "a notebook without requirements": ({"model.ipynb": SAVES}, "no requirements.txt"),
    "requirements in a folder only": ({"model.ipynb": SAVES, "src/requirements.txt": ""}, "no requirements.txt"),
    "a Django site with a demo notebook": (
        {"requirements.txt": "django", "manage.py": "import django", "site/urls.py": "", "docs/demo.ipynb": PLAIN},
        "saves a pipeline stage",
    ),
    "a module that saves, but no notebook": (
        {"requirements.txt": "", "train.py": f"os.environ['{VARIABLE}']"},
        "no notebook",
    ),
    "a text that mentions the variable": (
        {"requirements.txt": "", "README.md": VARIABLE, "model.ipynb": PLAIN},
        "saves a pipeline stage",
    ),
    "stages in places that aren't the repository's own": (
        {
            "requirements.txt": "",
            "demo.ipynb": PLAIN,
            ".cache/a.ipynb": SAVES,
            ".venv/lib/a.py": VARIABLE,
            "venv/a.py": VARIABLE,
            "env/a.py": VARIABLE,
            "conda/lib/python3.12/site-packages/nachlass/a.py": VARIABLE,
            "web/node_modules/x/a.ipynb": SAVES,
            "__pycache__/a.py": VARIABLE,
            "folder/.ipynb_checkpoints/a-checkpoint.ipynb": SAVES,
        },
        "saves a pipeline stage",
    ),
    "checkpoints only": ({"requirements.txt": "", ".ipynb_checkpoints/a.ipynb": SAVES}, "no notebook"),
    "a directory named like a notebook": ({"requirements.txt": "", "a.ipynb/readme.txt": VARIABLE}, "no notebook"),
    "an empty notebook": ({"requirements.txt": "", "a.ipynb": ""}, "saves a pipeline stage"),
    "a pyproject.toml of other tools": (
        {"pyproject.toml": '[tool.nachlass]\nname = "x"\n[tool.other]\nnotebooks = ["a.ipynb"]\n'},
        "no notebook",
    ),
    "a list that is commented out": (
        {"pyproject.toml": '[tool.nachlass]\n# notebooks = ["a.ipynb"]\n'},
        "no notebook",
    ),
}


def write_files(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())


@pytest.mark.parametrize("files", PASSES.values(), ids=PASSES.keys())
def test_detect_passes(files: Mapping[str, str], repository: Path, detect: Detect) -> None:
    write_files(repository, files)

    result = detect()

    assert (result.code, result.stdout, result.stderr) == (0, ORDER, "")
    assert result.plan is not None


@pytest.mark.parametrize(("files", "reason"), FALLS_THROUGH.values(), ids=FALLS_THROUGH.keys())
def test_detect_falls_through_and_says_why(
    files: Mapping[str, str], reason: str, repository: Path, detect: Detect
) -> None:
    write_files(repository, files)

    result = detect()

    assert (result.code, result.stderr, result.plan) == (100, "", None)
    why, what_to_do = result.stdout.splitlines()
    assert reason in why
    assert "NACHLASS_NOTEBOOKS=" in what_to_do


def test_the_line_to_set_names_a_notebook_of_the_repository(repository: Path, detect: Detect) -> None:
    write_files(repository, {"requirements.txt": "", "my work/first look.ipynb": PLAIN})

    assert detect().stdout.endswith(": NACHLASS_NOTEBOOKS=my work/first look.ipynb\n")


@pytest.mark.parametrize("name", ["NACHLASS_NOTEBOOKS", "S2I_SOURCE_NOTEBOOK_LIST", "NACHLASS_STAGES"])
@pytest.mark.parametrize(
    "value", ["a.ipynb", "a.ipynb, b.ipynb", "no such.ipynb", 'it\'s "$(exit 1)".ipynb', "a\nb.ipynb"]
)
def test_a_list_passes_whatever_the_repository_holds(name: str, value: str, detect: Detect) -> None:
    assert detect({name: value}).code == 0


@pytest.mark.parametrize("name", ["NACHLASS_NOTEBOOKS", "S2I_SOURCE_NOTEBOOK_LIST", "NACHLASS_STAGES"])
def test_a_list_in_the_platform_directory_counts(name: str, detect: Detect) -> None:
    assert detect(platform_env={name: "a.ipynb"}).code == 0


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
def test_a_blank_list_is_no_list(value: str, detect: Detect) -> None:
    blank = {"NACHLASS_NOTEBOOKS": value, "S2I_SOURCE_NOTEBOOK_LIST": value, "NACHLASS_STAGES": value}

    assert detect(blank, blank).code == 100


def test_the_platform_and_the_plan_can_be_arguments(repository: Path, detect: Detect) -> None:
    write_files(repository, PASSES["one notebook that saves a stage"])

    result = detect(paths_as_arguments=True)

    assert result.code == 0
    assert result.plan is not None


def test_detect_without_a_plan_to_write_is_an_error_that_says_so(detect: Detect) -> None:
    result = detect({"CNB_BUILD_PLAN_PATH": ""})

    assert result.code == 1
    assert "CNB_BUILD_PLAN_PATH" in result.stderr


def test_a_plan_that_cannot_be_written_is_an_error(tmp_path: Path, repository: Path, detect: Detect) -> None:
    write_files(repository, PASSES["one notebook that saves a stage"])

    result = detect({"CNB_BUILD_PLAN_PATH": str(tmp_path / "no such directory" / "plan.toml")})

    assert result.code not in {0, 100}


def test_the_stage_is_found_among_thousands_of_files(repository: Path, detect: Detect) -> None:
    # More names than one command line holds (128 KiB), so that grep runs more than once.
    write_files(repository, {f"generated/{'module' * 20}{i}.py": "" for i in range(2500)})
    write_files(repository, PASSES["one notebook that saves a stage"])

    assert detect().code == 0


def test_symlinked_notebooks_count_and_links_to_nothing_do_not(repository: Path, detect: Detect) -> None:
    write_files(repository, {"requirements.txt": "", ".store/x": SAVES})
    (repository / "nowhere.ipynb").symlink_to("no such file")
    (repository / "endless").symlink_to(repository)
    assert detect().code == 100

    (repository / "model.ipynb").symlink_to(".store/x")
    assert detect().code == 0


def test_a_pipe_named_like_a_notebook_does_not_hang(repository: Path, detect: Detect) -> None:
    write_files(repository, {"requirements.txt": ""})
    os.mkfifo(repository / "pipe.ipynb")
    (repository / "link.ipynb").symlink_to("pipe.ipynb")

    assert detect().code == 100


def as_one_who_may_not_read_everything() -> list[str]:
    """Return the words that begin a command: root has to give up for it what makes modes meaningless."""
    if os.geteuid() != 0:
        return []
    require("setpriv")
    program = shutil.which("setpriv")
    assert program
    return [program, "--bounding-set", "-dac_override,-dac_read_search"]


def test_what_cannot_be_read_is_passed_over(repository: Path, detect: Detect) -> None:
    prefix = as_one_who_may_not_read_everything()
    write_files(
        repository,
        {
            "requirements.txt": "",
            "closed/a.ipynb": PLAIN,
            "closed.py": "",
            "pyproject.toml": "",
            ".python-version": "3.12",
        },
    )
    for name in ("closed", "closed.py", "pyproject.toml", ".python-version"):
        (repository / name).chmod(0)
    try:
        assert detect(prefix=prefix).code == 100
        write_files(repository, {"model.ipynb": SAVES})
        assert detect(prefix=prefix).code == 0
    finally:
        (repository / "closed").chmod(0o700)


def plan_of(result: Detection) -> dict[str, Any]:
    assert result.plan is not None
    return tomllib.loads(result.plan)


def requirement(name: str, **metadata: object) -> dict[str, object]:
    return {"name": name, "metadata": metadata}


def expected_plan(**version: str) -> dict[str, Any]:
    cpython = requirement("cpython", build=True, launch=True, **version)
    pip = requirement("pip", build=True)
    packages = requirement("site-packages", build=True, launch=True)
    poetry = requirement("poetry-venv", build=True, launch=True)
    uv = requirement("uv-environment", build=True, launch=True)
    conda = requirement("conda-environment", build=True, launch=True)
    alternatives = [[cpython, poetry], [uv], [conda], [cpython, pip]]
    return {
        "requires": [cpython, pip, packages],
        "or": [*({"requires": requires} for requires in alternatives), {}],
    }


def test_the_plan_asks_for_every_kind_of_python_and_at_last_for_none(detect: Detect) -> None:
    assert plan_of(detect({"NACHLASS_NOTEBOOKS": "a.ipynb"})) == expected_plan()


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.12", "3.12.*"),
        ("3.12.4\n", "3.12.*"),
        ("  3.10  \r\n", "3.10.*"),
        ("# ours\n\n3.13.1\n3.9\n", "3.13.*"),
    ],
)
def test_the_plan_passes_on_the_python_version(text: str, version: str, repository: Path, detect: Detect) -> None:
    write_files(repository, {".python-version": text})

    assert plan_of(detect({"NACHLASS_NOTEBOOKS": "a.ipynb"})) == expected_plan(
        **{"version": version, "version-source": "pyproject.toml"}
    )


@pytest.mark.parametrize("text", ["", "\n", "pypy3.10", "3", "system", '3.12"\nname = "x', "3.12-dev\n3.12", "# 3.12"])
def test_other_python_versions_are_left_to_the_provider(text: str, repository: Path, detect: Detect) -> None:
    write_files(repository, {".python-version": text})

    assert plan_of(detect({"NACHLASS_NOTEBOOKS": "a.ipynb"})) == expected_plan()
