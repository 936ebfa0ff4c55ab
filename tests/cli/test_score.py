"""`score`: the built process, where the person is, with the person's words and streams."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.cli.harness import Nachlass


def test_words_rows_and_status_are_the_processes_own(nachlass: Nachlass, repository: Path) -> None:
    nachlass("build", repository)
    words = ["in.csv", "--to", "jsonl", "--help", "-"]
    process = nachlass.start("score", repository, *words, extra={"NACHLASS_CHOICE": "mine"}, stdin=subprocess.PIPE)
    out, err = process.communicate("1,2\n")
    assert (process.returncode, err) == (3, "")
    seen = json.loads(out)
    assert (seen["argv"], seen["stdin"]) == (["score", *words], "1,2\n")
    assert seen["cwd"] == str(nachlass.home)
    assert (seen["env"]["NACHLASS_MANIFEST"], seen["env"]["NACHLASS_CHOICE"]) == ("from-the-layer", "mine")
    assert seen["env"]["NACHLASS_REPOSITORY"] == str(repository)
    assert not {"PORT", "PYTHONPATH"} & seen["env"].keys()


def test_failure_before_it_is_not_the_status_of_bad_rows(nachlass: Nachlass, repository: Path) -> None:
    finished = nachlass("score", repository)
    assert (finished.status, finished.out) == (69, "")
    assert f"[Error: Nothing has been built for '{repository}']" in finished.err


def test_help_says_where_the_options_are(nachlass: Nachlass) -> None:
    finished = nachlass("score", "--help")
    assert finished.status == 0
    assert "nachlass score DIR --help" in finished.out
