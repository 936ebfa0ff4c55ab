"""What a build asks of a run besides that nothing which it used has changed; and what stands in a store by malice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.cache.scenarios import edit
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

N = "x.ipynb"
Z = "z.ipynb"
"""Trains the model, and is reused wherever it can be."""
ODD = "data/a\nforged line\x1b[2J"
SHOWN = r"data/a\nforged line\x1b[2J"


@pytest.fixture(scope="module")
def module_lab(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    notebooks = {N: (f"kind = 1\nprint(open({ODD!r}).read(), kind)",), Z: LOGISTIC_REGRESSION}
    files = {ODD: "1\n", "README.md": "# One\n"}
    repository = write_repository(tmp_path_factory.mktemp("r") / "r", notebooks, files=files)
    return make_lab(repository, {"NACHLASS_NOTEBOOKS": f"{N},{Z}"})


@pytest.fixture
def lab(module_lab: Lab) -> Lab:
    module_lab.reset()
    return module_lab


def declare(*patterns: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        notebook = nbformat.read(root / N, as_version=4)  # type: ignore[no-untyped-call]
        notebook.metadata["nachlass"] = {"deps": list(patterns)}
        nbformat.write(notebook, root / N)  # type: ignore[no-untyped-call]

    return change


def test_traced_run_is_not_enough_where_the_whole_repository_counts(lab: Lab) -> None:
    lab.phases.set_env({"NACHLASS_CACHE": "conservative"})
    first = lab.build(edit("README.md", "# Two\n"))
    assert first.what[N] == "run", first.built.output
    assert first.decisions[N].why.startswith("NACHLASS_CACHE=conservative asks for the whole repository")
    assert lab.build().what == {N: "reused", Z: "reused"}
    lab.phases.set_env({"NACHLASS_CACHE": "trace"})
    # The run that saw the whole repository is the last one, but the traced one has nothing against it.
    assert lab.build(edit("README.md", "# Three\n")).what == {N: "reused", Z: "reused"}


def test_reason_names_what_differs_from_the_run_that_was_used_last(lab: Lab) -> None:
    lab.phases.set_env({"NACHLASS_PARAMETERS": json.dumps({N: {"kind": 2}})})
    assert lab.build(edit(ODD, "2\n")).what == {N: "run", Z: "reused"}
    (lab.phases.platform / "env/NACHLASS_PARAMETERS").unlink()
    assert lab.build(edit(ODD, "1\n")).what == {N: "reused", Z: "reused"}
    outcome = lab.build(edit(ODD, "2\n"))
    assert outcome.decisions[N].why == f"{SHOWN} changed", "nobody has set a parameter since"
    assert not [line for line in outcome.built.output.splitlines() if line.startswith("forged")]


def test_setting_that_keeps_the_network_away_is_named(lab: Lab) -> None:
    lab.phases.set_env({"NACHLASS_OFFLINE": "1"})
    assert lab.build().decisions[N].why == "NACHLASS_OFFLINE changed"


def test_patterns_that_are_declared_later_count_at_once(lab: Lab) -> None:
    outcome = lab.build(declare("data/*.csv"))
    assert (outcome.what, outcome.decisions[N].why) == ({N: "run", Z: "reused"}, "its declared dependencies changed")
    assert lab.build().what == {N: "reused", Z: "reused"}
    assert lab.build(edit("data/new.csv", "1\n")).what == {N: "run", Z: "reused"}


@pytest.mark.parametrize("blob", ["executed", "outputs"])
def test_record_that_somebody_else_wrote_harms_nothing(lab: Lab, tmp_path: Path, blob: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("here\n")
    (file,) = (lab.phases.store.kept / "stage-store/traces" / N).iterdir()
    trace: dict[str, Any] = json.loads(file.read_text().partition("\n")[2])
    if blob == "executed":
        trace["executed"] = f"xx{victim}"
    else:
        trace["outputs"] = {f"{'../' * 20}{str(victim)[1:]}": {"entry": f"f:{trace['executed']}", "size_bytes": 1}}
    body = json.dumps(trace)
    file.unlink()
    file.write_text(f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n")

    outcome = lab.build()
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.decisions[N].why.startswith("the record of its last run can't be used: it is damaged (")
    assert victim.read_text() == "here\n"
    assert lab.build().what == {N: "reused", Z: "reused"}
