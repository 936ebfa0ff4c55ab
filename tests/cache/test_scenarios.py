"""What is run and what is reused after a change: the table of scenarios, with real kernels.

In conservative mode a notebook may run needlessly, but is never reused wrongly: there "reused" is a wish, "run" an
order. Otherwise a change concerns nobody besides: so each scenario has a directory of its own in one repository, and
one build answers them all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab, Outcome
from tests.cache.scenarios import FEATURES, FILES, MODEL, SCENARIOS, F, M, Scenario, two_notebooks
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


# --- The table ------------------------------------------------------------------------------------------------------

OF_ALL = "variable"
"""The one scenario that concerns every notebook that reads the variable."""
BESIDE = {name: scenario for name, scenario in SCENARIOS.items() if name != OF_ALL}
WITHOUT_STAGE = (*MODEL[:4], "with open('model.pkl', 'wb') as file:\n    pickle.dump(model, file)")
WITHOUT_A_LIBRARY = (MODEL[0], "", MODEL[2], "model = dict(zip(y, X.tolist()))", WITHOUT_STAGE[4])
"""Where nothing depends on scikit-learn, nothing has to wait until it is imported."""


def place(name: str) -> str:
    return re.sub("[^A-Za-z]+", "-", name)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A lab with each scenario in a directory of its own, and the build after all of them."""

    lab: Lab
    changed: Outcome


@pytest.fixture(scope="module")
def table(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Table:
    root = two_notebooks(tmp_path_factory.mktemp("r") / "r")
    for name in BESIDE:
        model = WITHOUT_STAGE if "package" in name else WITHOUT_A_LIBRARY
        write_repository(root / place(name), {F: FEATURES, M: model}, files=FILES)
    listed = [*(f"{place(name)}/{notebook}" for name in BESIDE for notebook in (F, M)), F, M]
    lab = make_lab(root, {"NACHLASS_NOTEBOOKS": ",".join(listed)})
    for scenario in BESIDE.values():
        lab.phases.set_env(dict(scenario.env))

    def change(root: Path) -> None:
        for name, scenario in BESIDE.items():
            scenario.change(root / place(name))

    return Table(lab=lab, changed=lab.build(change))


def assert_answered(scenario: Scenario, outcome: Outcome, directory: str = "") -> None:
    decisions = [outcome.decisions[f"{directory}{notebook}"] for notebook in (F, M)]
    assert [decision.what for decision in decisions] == [scenario.features, scenario.model], outcome.built.output
    reasons = [decision.why for decision in decisions if decision.what == "run"]
    assert not scenario.why or any(scenario.why in reason for reason in reasons), reasons


@pytest.mark.parametrize("name", BESIDE)
def test_change_is_answered_by_the_fewest_runs(table: Table, name: str) -> None:
    assert_answered(BESIDE[name], table.changed, f"{place(name)}/")


def test_changes_beside_a_model_keep_it(table: Table) -> None:
    assert table.changed.built.exit_code == 0, table.changed.built.output
    assert (table.changed.what[F], table.changed.what[M]) == ("reused", "reused")
    assert_serves(table.lab)


def assert_serves(lab: Lab) -> None:
    with lab.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [5.0, 5.0]]) == ["low", "high"]


DAMAGED = ("", "{", "0" * 64 + "\n{}\n")


def damage_traces(lab: Lab, beginning: str, text: str) -> None:
    """Write the text over the traces of notebooks whose names begin so."""
    traces = [*(lab.phases.store.kept / "stage-store/traces").glob(f"{quote(beginning, safe='')}*/*.json")]
    assert traces
    for trace in traces:
        trace.unlink()
        trace.write_text(text)


def test_damaged_trace_costs_a_run_of_its_notebook(table: Table) -> None:
    table.lab.reset()
    damaged = dict(zip(map(place, BESIDE), DAMAGED, strict=False))
    for directory, text in damaged.items():
        damage_traces(table.lab, f"{directory}/", text)
    outcome = table.lab.build()
    assert outcome.built.exit_code == 0, outcome.built.output
    assert len(damaged) == len(DAMAGED)
    assert {notebook for notebook, what in outcome.what.items() if what == "run"} == {
        f"{directory}/{notebook}" for directory in damaged for notebook in (F, M)
    }


# --- One at a time --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    # There any change of a file is one of all: so one of each kind, and what only Jupyter changes.
    "name",
    ["data file deleted", "module of both", "saved in Jupyter, with new markdown", "training data", "unchanged"],
)
def test_nothing_is_reused_wrongly_where_the_whole_repository_counts(lab_of: Callable[[str], Lab], name: str) -> None:
    lab, scenario = lab_of("conservative"), SCENARIOS[name]
    lab.reset()
    outcome = lab.build(scenario.change)
    assert outcome.built.exit_code == 0, outcome.built.output
    expected = {F: scenario.features, M: scenario.model}
    assert [n for n, what in expected.items() if what == "run" and outcome.what[n] != "run"] == []
    if name in ALWAYS_REUSED:
        assert outcome.what == expected
        assert_serves(lab)


def test_first_build_runs_everything(lab: Lab) -> None:
    assert {decision.why for decision in lab.cold.decisions.values()} == {"there is no earlier run"}


def test_variable_is_a_dependency_and_its_earlier_value_is_still_known(lab: Lab, lab_of: Callable[[str], Lab]) -> None:
    lab.reset()
    # Written so that it can be told from other numbers of a trace.
    value = {"TFIDF_BUCKETS": "0000000002"}
    lab.phases.set_env(value)
    outcome = lab.build()
    assert outcome.what == {F: "run", M: "run"}, outcome.built.output
    if lab is lab_of("trace"):
        assert_answered(SCENARIOS[OF_ALL], outcome)
    traces = (lab.phases.store.kept / "stage-store").rglob("*.json")
    assert not any(value["TFIDF_BUCKETS"] in trace.read_text() for trace in traces), "it could be a secret"
    (lab.phases.platform / "env/TFIDF_BUCKETS").unlink()
    assert lab.build().what == {F: "reused", M: "reused"}
    lab.phases.set_env(value)
    assert lab.build().what == {F: "reused", M: "reused"}


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


@pytest.mark.parametrize("texts", [DAMAGED[:2], DAMAGED[1:]])
def test_damaged_trace_costs_a_run(lab_of: Callable[[str], Lab], texts: tuple[str, str]) -> None:
    lab = lab_of("conservative")
    lab.reset()
    for notebook, text in zip((F, M), texts, strict=True):
        damage_traces(lab, notebook, text)
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
