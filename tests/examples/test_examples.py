from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/requirements.txt"))
NOTEBOOKS = sorted(ROOT.glob("examples/**/*.ipynb"))
GENERATORS = sorted(ROOT.glob("examples/*/data/generate.py"))
ORDER = (
    "nachlass: comes after the buildpacks that provide Python and install the requirements, and before a Procfile's.\n"
)
DISTRIBUTION_OF = {"sklearn": "scikit-learn"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "examples"))


def read_notebook(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def code_of(notebook: Path) -> str:
    cells = read_notebook(notebook)["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def imported_modules(sources: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found


def listed_notebooks(example: Path) -> list[str]:
    """Return the list that the example itself brings along."""
    if (example / "pyproject.toml").exists():
        table = tomllib.loads((example / "pyproject.toml").read_text())
        return list(table["tool"]["nachlass"]["notebooks"])
    return build_variables(example).get("NACHLASS_NOTEBOOKS", "").split(",")


def build_variables(example: Path) -> dict[str, str]:
    if not (example / "project.toml").exists():
        return {}
    table = tomllib.loads((example / "project.toml").read_text())
    return {entry["name"]: entry["value"] for entry in table["io"]["buildpacks"]["build"]["env"]}


def test_there_are_four_examples() -> None:
    assert [example.name for example in EXAMPLES] == ["houses", "iris", "spam", "tickets"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebook_is_valid_and_of_the_present_format(path: Path) -> None:
    notebook = read_notebook(path)

    nbformat.validate(notebook)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    cells = [cell for cell in read_notebook(path)["cells"] if cell["cell_type"] == "code"]

    assert [cell["id"] for cell in cells if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_notebook_knows_nothing_of_nachlass_but_the_variable(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("NACHLASS_STAGE_FILE", "")

    assert "nachlass" not in text.lower()


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_a_list_names_every_notebook_in_order(example: Path) -> None:
    notebooks = sorted(str(path.relative_to(example)) for path in example.glob("**/*.ipynb"))

    if len(notebooks) > 1:
        assert listed_notebooks(example) == notebooks
    else:
        assert listed_notebooks(example) == [""]


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_detect_passes(example: Path, tmp_path: Path) -> None:
    environ = {"PATH": "/usr/bin:/bin", "CNB_BUILD_PLAN_PATH": str(tmp_path / "plan.toml"), **build_variables(example)}

    result = subprocess.run(
        [ROOT / "bin" / "detect"], cwd=example, env=environ, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, ORDER, "")


@pytest.mark.parametrize("generator", GENERATORS, ids=name_of)
def test_generator_makes_the_committed_data_byte_for_byte(generator: Path, tmp_path: Path) -> None:
    shutil.copy(generator, tmp_path)

    subprocess.run([sys.executable, "generate.py"], cwd=tmp_path, check=True)

    (made,) = (path for path in tmp_path.iterdir() if path.name != "generate.py")
    assert made.read_bytes() == (generator.parent / made.name).read_bytes()


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_requirements_are_what_is_imported_and_no_more(example: Path) -> None:
    modules = [path for path in example.glob("**/*.py") if path.name != "generate.py"]
    own = {path.name for path in example.iterdir() if path.is_dir()}
    sources = [*map(code_of, example.glob("**/*.ipynb")), *(path.read_text() for path in modules)]

    imported = imported_modules(sources) - set(sys.stdlib_module_names) - own
    lines = (example / "requirements.txt").read_text().splitlines()
    required = {Requirement(line).name for line in lines}

    assert required == {DISTRIBUTION_OF.get(name, name) for name in imported}


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_requirements_leave_every_supported_python_a_choice(example: Path) -> None:
    for line in (example / "requirements.txt").read_text().splitlines():
        operators = {part.operator for part in Requirement(line).specifier}
        assert operators in ({">="}, {">=", "<"}), line


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_readme_names_files_that_exist(example: Path) -> None:
    text = (example / "README.md").read_text()
    ignored = (example / ".gitignore").read_text().split()
    names = re.findall(r"`([\w./-]+(?:\.(?:ipynb|txt|csv|toml|py|npz|json)|/))`", text)

    missing = [name for name in names if not (example / name).exists() and f"notebooks/{name}" not in ignored]

    assert names
    assert set(missing) <= set(ignored)


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_readme_asks_in_valid_json(example: Path) -> None:
    text = (example / "README.md").read_text()

    questions = re.findall(r"curl[^']*(?:'Content-Type: application/json'[^']*)?'(?:json_args=)?(\[[^']*\])'", text)

    assert questions
    assert all(isinstance(json.loads(question), list) for question in questions)


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_example_is_small(example: Path) -> None:
    kinds = {".ipynb", ".csv", ".txt", ".py", ".md", ".toml"}
    sizes = {str(path): path.stat().st_size for path in example.rglob("*") if path.suffix in kinds}

    assert sum(sizes.values()) < 1_000_000, sizes
