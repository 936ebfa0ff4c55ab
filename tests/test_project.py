"""What holds the repository together besides its code: versions, finished text, files that belong together."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nachlass_bp.version import version
from tests.support.order import LONGEST_FIRST

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("bin", "nachlass_bp", "nachlass_cli", "scorer")


def files_of(*directories: str, suffix: str = "") -> list[Path]:
    every = (path for directory in directories for path in (ROOT / directory).rglob(f"*{suffix}"))
    return sorted(path for path in every if path.is_file() and "__pycache__" not in path.parts)


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / name).read_text(encoding="utf-8"))


def test_package_and_buildpack_have_one_version_and_the_changelog_knows_it() -> None:
    released = read_toml("pyproject.toml")["project"]["version"]
    assert read_toml("buildpack.toml")["buildpack"]["version"] == released
    assert version(ROOT) == released
    assert re.search(rf"\b{re.escape(released)}\b", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def test_composite_has_the_projects_version_and_nachlass_of_that_version() -> None:
    released = read_toml("pyproject.toml")["project"]["version"]
    composite = read_toml("builders/paketo/buildpack.toml")
    (order,) = composite["order"]
    versions = {member["id"]: member["version"] for member in order["group"]}
    assert composite["buildpack"]["version"] == released
    assert versions["nachlass/nachlass"] == released


def test_builder_and_composite_have_the_same_buildpacks_of_paketo() -> None:
    ((of_builder,), (of_composite,)) = (
        read_toml(file)["order"] for file in ("builder.toml", "builders/paketo/buildpack.toml")
    )
    members = [
        [(each["id"], each.get("optional", False)) for each in one["group"]] for one in (of_builder, of_composite)
    ]
    assert members[0] == members[1]
    pulled = [
        {each["uri"] for each in read_toml(file)[table] if each["uri"].startswith("docker:")}
        for file, table in (("builder.toml", "buildpacks"), ("builders/paketo/package.toml", "dependencies"))
    ]
    assert pulled[0] == pulled[1]


@pytest.mark.parametrize("file", ["builder.toml", "builders/heroku/builder.toml", "builders/debian/builder.toml"])
def test_builder_takes_nachlass_as_it_is_packaged_here(file: str) -> None:
    found = read_toml(file)
    (ours,) = (each["uri"] for each in found["buildpacks"] if not each["uri"].startswith("docker:"))
    assert (ROOT / file).parent.joinpath(ours).resolve() == ROOT / "dist/nachlass.cnb"
    named = [each for order in found["order"] for each in order["group"] if each["id"] == "nachlass/nachlass"]
    assert [each.get("version") for each in named] == [None], "there is one version, and this is the one"
    images = [found["build"]["image"], *(each["image"] for each in found["run"]["images"])]
    if "stack" in found:
        assert images == [found["stack"]["build-image"], found["stack"]["run-image"]]


@pytest.mark.parametrize("unfinished", ["TODO", "FIXME", "XXX", "NotImplementedError"])
def test_product_has_no_unfinished_text(unfinished: str) -> None:
    found = files_of(*PRODUCT)
    assert found
    word = re.compile(rf"\b{unfinished}\b")
    assert [path for path in found if word.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "program", [*files_of("bin"), *files_of("scripts", suffix=".sh"), ROOT / ".ci/run"], ids=lambda path: path.name
)
def test_program_can_be_started(program: Path) -> None:
    assert program.read_bytes().startswith(b"#!")
    assert os.access(program, os.X_OK)


def undocumented(path: Path) -> Iterator[str]:
    """Yield the public functions, classes and methods of a file that say nothing about themselves."""
    definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    scopes: list[ast.Module | ast.ClassDef] = [tree]
    scopes += [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    for scope in scopes:
        for node in scope.body:
            if isinstance(node, definition) and node.name[0] != "_" and not ast.get_docstring(node):
                yield f"{path.relative_to(ROOT)}: {node.name}"


def test_everything_public_in_the_product_says_what_it_is() -> None:
    found = files_of(*PRODUCT, suffix=".py")
    assert found
    assert [name for path in found for name in undocumented(path)] == []


def test_no_golden_text_of_a_build_error_is_left_over() -> None:
    raised = re.findall(r'^    reference = "(.+)"$', (ROOT / "nachlass_bp/errors.py").read_text("utf-8"), re.MULTILINE)
    # The last argument of `fail`.
    raised += re.findall(r'^ +"([a-z-]+)"$', (ROOT / "bin/build").read_text("utf-8"), re.MULTILINE)
    assert {path.stem for path in files_of("tests/golden/errors")} <= set(raised)


def test_every_dependency_is_defended_in_the_decisions() -> None:
    lines = [line for path in (ROOT / "locks").glob("*.in") for line in path.read_text(encoding="utf-8").splitlines()]
    lines += read_toml("pyproject.toml")["project"]["dependencies"]
    names = {match[0] for line in lines if (match := re.match(r"[A-Za-z][\w.-]*", line))}
    page = (ROOT / "docs/decisions/0002-dependencies.md").read_text(encoding="utf-8")
    defended = set(re.findall(r"`([\w.-]+)`", page))
    assert {"pathspec", "nbclient", "falcon", "cloudpickle", "ruff"} <= names
    assert names - defended == set()


def test_every_decision_is_in_the_list_of_decisions() -> None:
    listed = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    pages = [path.name for path in files_of("docs/decisions") if path.name != "README.md"]
    assert [name for name in pages if f"({name})" not in listed] == []


@pytest.mark.parametrize("notebook", files_of("examples", suffix=".ipynb"), ids=lambda path: path.stem)
def test_example_is_committed_without_outputs(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


def test_files_that_tests_begin_with_are_there() -> None:
    assert [name for name in LONGEST_FIRST if not (ROOT / "tests" / name).is_file()] == []
