from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nachlass_bp.parameters import parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "notebooks.md"

# Runs the page's blocks one after the other, as cells; after a block that saves, the stage must load and predict.
RUN_BLOCKS = """
import json, os, sys
import joblib

stage_file = os.environ["NACHLASS_STAGE_FILE"]
names, saved = {}, 0
for block in json.load(sys.stdin):
    exec(block, names)
    if "NACHLASS_STAGE_FILE" in block:
        stage = joblib.load(stage_file)
        assert list(stage.predict([[5.1, 3.5, 1.4, 0.2]])) == [0]
        os.remove(stage_file)
        saved += 1
assert stage.predict(names["nachlass_sample"]).shape == (3,)
print(saved)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_python_of_the_page_saves_stages_that_predict(tmp_path: Path) -> None:

    result = subprocess.run(
        [sys.executable, "-c", RUN_BLOCKS],
        cwd=tmp_path,
        env={**os.environ, "NACHLASS_STAGE_FILE": str(tmp_path / "stage")},
        input=json.dumps(blocks("python")),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.stdout, result.stderr) == ("3\n", "")


def lists_notebooks(text: str) -> bool:
    return "[tool.nachlass.parameters]" not in text


@pytest.mark.parametrize("text", [text for text in blocks("toml") if lists_notebooks(text)])
def test_each_way_to_list_notebooks_passes_detect(text: str, tmp_path: Path) -> None:
    table = tomllib.loads(text)
    environ = {"PATH": "/usr/bin:/bin", "CNB_BUILD_PLAN_PATH": os.devnull}
    if "tool" in table:
        (tmp_path / "pyproject.toml").write_text(text)
    else:
        environ |= {entry["name"]: entry["value"] for entry in table["io"]["buildpacks"]["build"]["env"]}

    result = subprocess.run([ROOT / "bin" / "detect"], cwd=tmp_path, env=environ, check=False)

    assert result.returncode == 0


def test_the_parameters_of_the_page_are_those_of_their_notebooks() -> None:
    text = next(text for text in blocks("toml") if not lists_notebooks(text))

    parameters = parse(tomllib.loads(text)["tool"]["nachlass"]["parameters"])

    assert [parse(each) for each in blocks("json")] == [parameters]
    assert parameters.of("01-features.ipynb") == {"sample_size": 5000}
    assert parameters.of("02-model.ipynb") == {"sample_size": 5000, "C": 10.0, "words": ["buy", "perfect"]}


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#([\w-]+))?\)", PAGE.read_text(encoding="utf-8"))

    assert links
    for target, anchor in links:
        page = PAGE.parent / target
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {heading.lower().replace(" ", "-") for heading in headings}, (target, anchor)
