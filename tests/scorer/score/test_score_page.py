"""What docs/score.md shows runs as it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from scorer.score.stopping import Status
from tests.scorer.image import Image
from tests.scorer.score.scoring import command, score
from tests.support.pythons import ROOT

PAGE = (ROOT / "docs" / "score.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SESSIONS = [block for block in BLOCKS if block.startswith("$ ")]
COMMANDS = [block for block in BLOCKS if block.startswith("nachlass ")]
HEADER = "listing,area_m2,rooms,built,garden_m2,district,heating"
INPUT = f"{HEADER}\nH1,120,4,1990,200,harbour,gas\nH2,65,,,,mills,\n"


def shell(image: Image, directory: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run commands of the page, `nachlass` and `docker` being the process that they would start."""
    process = shlex.join(command(image))
    # What they have before the words of the process: DIR, and options of docker; /data is where it is mounted.
    functions = f"""
        process() {{ {process} "$@"; }}
        nachlass() {{ [ "$1 $2" = "score examples/houses" ] && shift 2 && process "$@"; }}
        docker() {{
            while [ "$1" != score ]; do shift; done
            shift
            [ $# = 0 ] || set -- "${{1#/data/}}" "$2" "${{3#/data/}}"
            process "$@"
        }}
    """
    return subprocess.run(
        ["sh", "-ec", functions + script],
        cwd=directory,
        env=image.env(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "houses.csv").write_text(INPUT)
    return tmp_path


def test_every_block_is_run_or_is_a_row() -> None:
    assert len(BLOCKS) == len(SESSIONS) + len(COMMANDS) + 1
    assert len(SESSIONS) >= 2
    assert len(COMMANDS) >= 3


def test_commands_of_the_page_predict(priced_image: Image, desk: Path) -> None:
    for block in COMMANDS:
        done = shell(priced_image, desk, block)
        assert done.returncode == 0, done.stderr
        # Each command says how it ended, and what is said of that is right.
        assert done.stderr.count("2 rows, 0 bad, ") == len(re.findall("^(?:nachlass|docker) ", block, re.MULTILINE))
        assert done.stdout in ("", "all rows are predicted\n")
    predicted = (desk / "predicted.csv").read_text().splitlines()
    assert predicted[0] == f"{HEADER},prediction"
    assert len(predicted) == 3
    assert (desk / "both.csv").read_text().splitlines()[0].endswith(",prediction,second_prediction")


def test_sessions_of_the_page_print_what_they_show(priced_image: Image, desk: Path) -> None:
    for session in SESSIONS:
        for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            assert shell(priced_image, desk, line).stdout == shown, line


def test_bad_row_is_kept_as_the_page_shows(priced_image: Image, desk: Path) -> None:
    (shown,) = (json.loads(block) for block in BLOCKS if block.startswith("{"))
    rows = "area_m2,rooms,built,garden_m2,district,heating\n120,4,1990,200,harbour,gas\n65,three,,,mills,\n"
    assert score(priced_image, "--errors", "bad.jsonl", rows=rows, cwd=desk).status == 1
    assert json.loads((desk / "bad.jsonl").read_text()) == shown


def test_page_has_every_status_and_every_option(line_image: Image) -> None:
    section = PAGE.partition("## Exit statuses")[2].partition("```")[0]
    cells = re.findall(r"^\| ([0-9, ]+) \|", section, re.MULTILINE)
    documented = {int(number) for cell in cells for number in cell.split(",")}
    assert documented == {*Status, 143}
    offered = set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", score(line_image, "--help").out.decode(), re.MULTILINE))
    table = PAGE.partition("## Options")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(--[a-z-]+)", table)) == offered - {"--help"}
