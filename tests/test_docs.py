"""The documentation is part of the product: what it names is there, and what it shows works."""

from __future__ import annotations

import ast
import os
import pickle
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression

from nachlass_bp import config, context, pip
from nachlass_bp.config import Configuration
from nachlass_bp.errors import SettingInvalidError
from nachlass_bp.runner.kernel import kernel_environment
from nachlass_cli import arguments
from nachlass_cli.environment import SETTINGS, phase_variables
from nachlass_cli.workspace import Workspace
from scorer import settings
from scorer.settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)
MESSAGES = sorted([*(ROOT / "tests/golden/errors").glob("*.txt"), *(ROOT / "tests/cli/golden").glob("*.txt")])
PRODUCT = ("bin", "nachlass_bp", "nachlass_cli", "scorer")


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


every_page = pytest.mark.parametrize("page", PAGES, ids=page_id)


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page; `language` is what stands behind the fence, if anything."""

    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    return [Block(language=language, text=text) for language, text in found if language in languages]


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> list[str]:
    return re.findall(r"^#+ (.+?) *$", prose(page), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return what `#…` of a link to the page may be, as GitHub makes it of the headings."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)}


def section(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next one of the same rank or a higher one."""
    found = re.search(rf"^(#+) {re.escape(heading)}$", text_of(page), re.MULTILINE)
    assert found, heading
    rest = text_of(page)[found.end() :]
    return re.split(rf"^#{{1,{len(found[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def rows(markdown: str) -> list[list[str]]:
    """Return the cells of the tables' rows."""
    lines = [line for line in markdown.splitlines() if line.startswith("|") and not line.startswith(("|---", "| |"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


CONFIGURATION = ROOT / "docs/configuration.md"
ERRORS = ROOT / "docs/errors.md"


# --- Links and examples ---------------------------------------------------------------------------------------------


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{target} leads nowhere"
        if anchor:
            assert anchor in anchors(file), f"{target} has no such heading"


def commands(text: str, program: str) -> Iterator[str]:
    """Yield the lines of shell text that start `program`, continuation lines joined."""
    for line in text.replace("\\\n", " ").splitlines():
        if match := re.match(rf"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*({program}(?: .*)?)$", line):
            yield match[1]


@every_page
def test_commands_of_a_page_parse(page: Path) -> None:
    for block in blocks(page, "", "sh", "shell", "console"):
        for command in commands(block.text, "nachlass"):
            assert_parses(command)


@pytest.mark.parametrize("message", MESSAGES, ids=page_id)
def test_commands_of_a_message_parse(message: Path) -> None:
    indented = "\n".join(line for line in text_of(message).splitlines() if line.startswith("  "))
    for command in commands(indented, "nachlass"):
        assert_parses(command)


def assert_parses(command: str) -> None:
    try:
        arguments.parse(shlex.split(command, comments=True)[1:])
    except SystemExit as ended:
        assert not ended.code, command  # noqa: PT017 - --version ends with 0


@every_page
def test_make_targets_of_a_page_exist(page: Path) -> None:
    makefile = text_of(ROOT / "Makefile")
    shown = [command for block in blocks(page, "", "sh", "console") for command in commands(block.text, "make")]
    shown += re.findall(r"`(make [^`]+)`", prose(page))
    for command in shown:
        for word in shlex.split(command, comments=True)[1:]:
            if "=" not in word:
                assert re.search(rf"^{re.escape(word)}:", makefile, re.MULTILINE), command


@every_page
def test_toml_of_a_page_is_toml(page: Path) -> None:
    for block in blocks(page, "toml"):
        tomllib.loads(block.text)


@every_page
def test_python_of_a_page_is_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block.text)


def test_cell_that_the_readme_shows_saves_a_stage_that_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = tmp_path / "stage.sav"
    monkeypatch.setenv("NACHLASS_STAGE_FILE", str(stage))
    (block,) = blocks(ROOT / "README.md", "python")
    model = LogisticRegression().fit([[0.0], [1.0]], ["ham", "spam"])
    exec(compile(block.text, "README.md", "exec"), {"model": model})
    assert pickle.loads(stage.read_bytes()).predict([[2.0]]).tolist() == ["spam"]


# --- docs/configuration.md ------------------------------------------------------------------------------------------


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:NACHLASS|S2I)_[A-Z0-9_]*[A-Z0-9]\b", text))


def product_text() -> str:
    files = [path for directory in PRODUCT for path in (ROOT / directory).rglob("*")]
    return "\n".join(text_of(path) for path in files if path.is_file() and "__pycache__" not in path.parts)


def test_configuration_has_every_variable_that_the_code_has_and_no_other() -> None:
    assert names_in(text_of(CONFIGURATION)) == names_in(product_text())


def read_build_configuration(directory: Path, variables: dict[str, str], pyproject: str = "") -> Configuration:
    (directory / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    environ = {"CNB_LAYERS_DIR": "/layers", "CNB_PLATFORM_DIR": "/platform", **variables}
    return config.read(context.from_environ(environ, [], directory))


def build_rows() -> list[list[str]]:
    found = rows(section(CONFIGURATION, "Build"))
    return [row for row in found if len(row) == 5 and code(row[0]) and code(row[0]) != ["NACHLASS_SYSTEM_PYTHON"]]


def test_command_knows_every_setting_of_the_build_that_a_shell_may_hold() -> None:
    assert sorted(SETTINGS) == sorted(code(row[0])[0] for row in build_rows())


@pytest.mark.parametrize("row", build_rows(), ids=lambda row: code(row[0])[0])
def test_row_of_the_build_has_a_value_that_works_and_the_true_default(tmp_path: Path, row: list[str]) -> None:
    (variable,), (example,) = code(row[0]), code(row[4])
    unset = read_build_configuration(tmp_path, {})
    values = vars_of(read_build_configuration(tmp_path, {variable: example}))
    assert variable in {setting.source for setting in values.values()}
    if default := code(row[2]):
        assert values_of(read_build_configuration(tmp_path, {variable: default[0]})) == values_of(unset)


def vars_of(configuration: Configuration) -> dict[str, config.Setting[object]]:
    return {name: getattr(configuration, name) for name in Configuration.__dataclass_fields__}


def values_of(configuration: Configuration) -> dict[str, object]:
    return {name: setting.value for name, setting in vars_of(configuration).items()}


@pytest.mark.parametrize("row", [row for row in build_rows() if row[1]], ids=lambda row: code(row[1])[0])
def test_key_of_the_build_is_read(tmp_path: Path, row: list[str]) -> None:
    (key,) = code(row[1])
    with pytest.raises(SettingInvalidError) as refused:
        read_build_configuration(tmp_path, {}, f"[tool.nachlass]\n{key} = [[]]")
    assert refused.value.heading.startswith(f"[tool.nachlass] {key} has a value")
    assert refused.value.body.startswith("pyproject.toml says: ")
    example = tomllib.loads(refused.value.advice.partition("\n")[2].strip())
    assert list(example) == [key], "the example can be pasted below [tool.nachlass]"


def test_table_of_the_build_has_every_key_and_its_example_holds_them_all(tmp_path: Path) -> None:
    (block,) = blocks(CONFIGURATION, "toml")
    shown = tomllib.loads(block.text)["tool"]["nachlass"]
    assert set(shown) == {code(row[1])[0] for row in build_rows() if row[1]}
    settings_read = vars_of(read_build_configuration(tmp_path, {}, block.text))
    from_file = {name for name, setting in settings_read.items() if "pyproject.toml" in setting.source}
    assert from_file == set(settings_read) - {"home", "commit"}


def test_page_lists_the_settings_of_pip_that_build_and_command_pass_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {name for name in code(section(CONFIGURATION, "Package index")) if re.fullmatch(r"[a-z-]+", name)}
    assert listed == pip.ALLOWED_SETTINGS
    variables = {f"PIP_{name.upper().replace('-', '_')}" for name in listed}
    for name in (*variables, "PIP_USER", "PIP_CONSTRAINT", "PIP_CONFIG_FILE"):
        monkeypatch.setenv(name, "1")
    passed_on = {name for name in phase_variables(Workspace(root=tmp_path), tmp_path) if name.startswith("PIP_")}
    assert passed_on == {*variables, "PIP_CONFIG_FILE"}


def test_page_has_every_variable_that_the_kernel_gets() -> None:
    given = kernel_environment({"CNB_X": "", "MINE": ""}, {}, Path("/home"), Path("/scratch"))
    documented = code(section(CONFIGURATION, "Notebooks"))
    assert given.keys() - set(documented) == {"MINE"}
    for name, default in [(row[0], row[1]) for row in rows(section(CONFIGURATION, "Notebooks")) if code(row[1])]:
        if len(code(name)) == 1 and default == f"`{code(default)[0]}`":
            assert given[code(name)[0]] == code(default)[0]


def service_rows() -> list[list[str]]:
    ours = re.compile(r"PORT$|NACHLASS_|S2I_|AIP_|OTEL_")
    return [row for row in rows(section(CONFIGURATION, "Service")) if code(row[0]) and ours.match(code(row[0])[0])]


def read_service_settings(variables: dict[str, str]) -> Settings:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("a-token")
        file.flush()
        # The one place that is read together with the settings.
        found = {name: file.name if name == "NACHLASS_TOKEN_FILE" else value for name, value in variables.items()}
        return settings.from_environ({"NACHLASS_MANIFEST": "/manifest.json", **found})


@pytest.mark.parametrize("row", service_rows(), ids=lambda row: code(row[0])[0])
def test_row_of_the_service_has_a_value_that_works_and_the_true_default(row: list[str]) -> None:
    (variable,), (example,) = code(row[0]), code(row[3])
    assert read_service_settings({variable: example}) != read_service_settings({})
    if default := code(row[1]):
        assert read_service_settings({variable: default[0]}) == read_service_settings({})


def test_table_of_the_service_has_a_row_for_every_setting() -> None:
    changed = [read_service_settings({code(row[0])[0]: code(row[3])[0]}) for row in service_rows()]
    unset = read_service_settings({})
    fields = Settings.__dataclass_fields__
    assert {name for name in fields for each in changed if getattr(each, name) != getattr(unset, name)} == set(fields)


def help_of(*words: str) -> str:
    command = [sys.executable, "-m", "nachlass_cli", *words, "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=wide()).stdout


def wide() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200"}


def test_table_of_the_command_has_every_option_and_says_whose_it_is() -> None:
    documented: dict[str, set[str]] = {}
    for cells in rows(section(CONFIGURATION, "Command")):
        for option in code(cells[0]):
            if option.startswith("--"):
                documented[option] = set(re.split(r", ", cells[1]))
    offered: dict[str, set[str]] = {}
    commands_offered = {"build", "serve", "run", "cache ls", "cache explain", "cache prune"}
    for name in commands_offered:
        for option in re.findall(r"^  (?:-h, )?(--[a-z]+)", help_of(*name.split()), re.MULTILINE):
            offered.setdefault(option, set()).add(name)
    assert offered.pop("--help") == commands_offered
    assert documented == offered


# --- docs/errors.md -------------------------------------------------------------------------------------------------


def references(files: Sequence[str]) -> set[str]:
    text = "\n".join(text_of(ROOT / file) for file in files)
    of_classes = re.findall(r'^    reference = "([a-z-]+)"$', text, re.MULTILINE)
    # bin/build's: the last argument of `fail`.
    return {*of_classes, *re.findall(r'^ {4,8}"([a-z-]+)"$', text, re.MULTILINE)}


def test_errors_have_a_heading_for_every_reference_and_no_other() -> None:
    of_messages = [heading for heading in headings(ERRORS)[1:] if " " not in heading]
    assert len(of_messages) == len(set(of_messages))
    assert set(of_messages) == references(["nachlass_bp/errors.py", "nachlass_cli/errors.py", "bin/build"])


@pytest.mark.parametrize("reference", ["python-missing", "cell-failed", "port-in-use"])
def test_references_of_all_three_programs_are_found(reference: str) -> None:
    assert reference in references(["nachlass_bp/errors.py", "nachlass_cli/errors.py", "bin/build"])


def test_errors_have_every_exit_status_of_the_service() -> None:
    program = text_of(ROOT / "scorer/launcher.py") + text_of(ROOT / "scorer/server.py")
    raised = set(re.findall(r"^EX_\w+ = (\d+)$", program, re.MULTILINE))
    documented = {row[0] for row in rows(section(ERRORS, "When the service starts"))} - {"status"}
    assert raised
    assert documented == raised


def test_errors_have_every_code_of_the_services_answers() -> None:
    text = "\n".join(text_of(path) for path in (ROOT / "scorer").rglob("*.py"))
    used = set(re.findall(r'\bcode(?:: str)? ?= ?"([a-z-]+)"', text))
    used |= set(re.findall(r'message, code = .*"([a-z-]+)"$', text, re.MULTILINE))
    documented = [code(row[0])[0] for row in rows(section(ERRORS, "Answers of the service")) if code(row[0])]
    assert sorted(used) == sorted(documented)
