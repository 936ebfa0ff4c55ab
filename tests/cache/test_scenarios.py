"""What is run and what is reused after a change: the table of scenarios, with real kernels.

In conservative mode a notebook may run needlessly, but is never reused wrongly: there "reused" is a wish, "run" an
order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.cache.scenarios import FILES, MODEL, SCENARIOS, F, M, edit, two_notebooks
from tests.support.repositories import write_repository

MODES = ("trace", "conservative")
ALWAYS_REUSED = {"unchanged", "saved in Jupyter, with new markdown"}


@pytest.fixture(scope="module")
def lab_of(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lab]:
    """Return the one lab of each mode."""

    @functools.cache
    def make(mode: str) -> Lab:
        env = {"NACHLASS_NOTEBOOKS": f"{F},{M}", "NACHLASS_CACHE": mode}
        return make_lab(two_notebooks(tmp_path_factory.mktemp("r") / "r"), env)

    return make


@pytest.fixture(params=MODES)
def lab(request: pytest.FixtureRequest, lab_of: Callable[[str], Lab]) -> Lab:
    return lab_of(request.param)


def is_conservative(lab: Lab) -> bool:
    return (lab.phases.platform / "env/NACHLASS_CACHE").read_text() == "conservative"


# There any change of a file is one of all: so one of each kind, and what only Jupyter changes.
CONSERVATIVE = {*ALWAYS_REUSED, "module of both", "variable", "training data", "data file deleted"}


def cases() -> Iterator[object]:
    """Yield each mode with the scenarios that are answered in a way of their own there."""
    for mode in MODES:
        for name in SCENARIOS if mode == "trace" else sorted(CONSERVATIVE):
            yield pytest.param(mode, name, id=f"{mode}-{name}")


@pytest.mark.parametrize(("lab", "name"), list(cases()), indirect=["lab"])
def test_change_is_answered_by_the_fewest_runs(lab: Lab, name: str) -> None:
    scenario = SCENARIOS[name]
    lab.reset()
    lab.phases.set_env(dict(scenario.env))
    outcome = lab.build(scenario.change)

    assert outcome.built.exit_code == 0, outcome.built.output
    expected = {F: scenario.features, M: scenario.model}
    if is_conservative(lab):
        assert [n for n, what in expected.items() if what == "run" and outcome.what[n] != "run"] == []
        if name in ALWAYS_REUSED:
            assert outcome.what == expected
    else:
        assert outcome.what == expected, outcome.built.output
        reasons = [decision.why for decision in outcome.decisions.values() if decision.what == "run"]
        assert not scenario.why or any(scenario.why in reason for reason in reasons), reasons


def test_first_build_runs_everything(lab: Lab) -> None:
    assert {decision.why for decision in lab.cold.decisions.values()} == {"there is no earlier run"}


def test_earlier_state_is_still_known(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"TFIDF_BUCKETS": "2"})
    assert lab.build().what == {F: "run", M: "run"}
    (lab.phases.platform / "env/TFIDF_BUCKETS").unlink()
    assert lab.build().what == {F: "reused", M: "reused"}
    lab.phases.set_env({"TFIDF_BUCKETS": "2"})
    assert lab.build().what == {F: "reused", M: "reused"}


def test_reused_model_serves_as_the_trained_one_did(lab: Lab) -> None:
    lab.reset()
    outcome = lab.build(edit("README.md", "x"))
    assert outcome.built.exit_code == 0, outcome.built.output
    with lab.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [5.0, 5.0]]) == ["low", "high"]


def test_renamed_notebook_is_another_one(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"NACHLASS_NOTEBOOKS": f"{F},05-model.ipynb"})
    outcome = lab.build(lambda root: (root / M).rename(root / "05-model.ipynb"))
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what["05-model.ipynb"] == "run"


def test_package_upgrade_runs_everything(lab: Lab) -> None:
    lab.reset()
    before = lab.upgrade("threadpoolctl", "99.0")
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "run"}
    assert f"packages changed: threadpoolctl {before} → 99.0" in outcome.decisions[F].why


def test_damaged_blob_costs_a_run_and_never_a_wrong_stage(lab: Lab) -> None:
    lab.reset()
    for blob in (lab.phases.store.kept / "stage-store/blobs").glob("*/*"):
        data = blob.read_bytes()
        blob.unlink()
        blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    outcome = lab.build()
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what == {F: "run", M: "run"}
    assert "damaged" in outcome.decisions[M].why


@pytest.mark.parametrize("text", ["", "{", "0" * 64 + "\n{}\n"])
def test_damaged_trace_costs_a_run(lab: Lab, text: str) -> None:
    lab.reset()
    for trace in (lab.phases.store.kept / "stage-store/traces").glob("*/*.json"):
        trace.unlink()
        trace.write_text(text)
    outcome = lab.build()
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what == {F: "run", M: "run"}


def test_store_of_another_format_is_discarded(lab: Lab) -> None:
    lab.reset()
    marker = lab.phases.store.kept / "stage-store/format"
    marker.unlink()
    marker.write_text("0")
    outcome = lab.build()
    assert "Discarding the stage cache: it is of another format" in outcome.built.output
    assert outcome.what == {F: "run", M: "run"}


def test_cache_may_be_off(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"NACHLASS_CACHE": "off"})
    assert lab.build().what == {F: "run", M: "run"}


def test_some_notebooks_may_always_run(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"NACHLASS_ALWAYS_RUN": F})
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "reused"}
    assert outcome.decisions[F].why == "NACHLASS_ALWAYS_RUN names it"


def test_value_of_a_variable_is_nowhere_in_the_store(lab: Lab) -> None:
    lab.reset()
    lab.phases.set_env({"TFIDF_BUCKETS": "2000003"})
    assert lab.build().built.exit_code == 0
    traces = (lab.phases.store.kept / "stage-store").rglob("*.json")
    assert not any("2000003" in trace.read_text() for trace in traces)


def test_secret_is_a_dependency_of_who_reads_it(make_lab: LabMaker, tmp_path: Path) -> None:
    repository = write_repository(
        tmp_path / "r",
        {
            F: ("import os\nprint(len(os.environ['TOKEN']))",),
            M: (*MODEL[:2], "X, y = [[0, 1], [3, 4]], ['low', 'high']", *MODEL[3:]),
        },
        files=FILES,
    )
    binding = {"type": "nachlass", "TOKEN": "first-secret"}
    env = {"NACHLASS_NOTEBOOKS": f"{F},{M}"}
    phases_env = dict(env)
    lab = make_lab_with_binding(make_lab, repository, phases_env, binding)
    assert lab.build().what == {F: "reused", M: "reused"}
    (lab.phases.platform / "bindings/b/TOKEN").write_text("second-secret")
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "reused"}
    assert outcome.decisions[F].why == "variable TOKEN changed"
    store = lab.phases.store.kept / "stage-store"
    assert not [path for path in store.rglob("*") if path.is_file() and b"-secret" in path.read_bytes()]


def make_lab_with_binding(make_lab: LabMaker, repository: Path, env: dict[str, str], binding: dict[str, str]) -> Lab:
    """Build cold with a value from the environment in place of the binding, then let the binding bring it."""
    lab = make_lab(repository, {**env, "TOKEN": binding["TOKEN"]})
    (lab.phases.platform / "env/TOKEN").unlink()
    lab.phases.add_binding("b", binding)
    return lab
