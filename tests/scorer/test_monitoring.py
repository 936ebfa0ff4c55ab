"""The dashboard and the rules, in a real Prometheus that scrapes services which are asked."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.scorer import models
from tests.scorer.conftest import NewImage, Serve, built
from tests.scorer.homes import as_rows, home_stages, homes
from tests.support.facilities import prometheus_program, require
from tests.support.pythons import ROOT
from tests.support.service import Service, free_port, stop

FILES = ROOT / "deploy/monitoring"
DASHBOARD: dict[str, Any] = json.loads((FILES / "dashboard.json").read_text())
TARGETS = {
    f"{panel['title']}-{target['refId']}": str(target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
}
VARIABLES = {
    "prefix": "nachlass",
    "job": ".*",
    "instance": ".*",
    "column": "town",
    "window": "1m",
    "least_rows": "100",
    "__rate_interval": "1m",
}
WITHOUT_SUCH_ANSWERS = {"NachlassErrors", "NachlassQueueFull"}
"""No request of the test is answered by 5xx."""
OF_WHAT_IS_AMISS = {"NachlassDown", "NachlassNoPredictions"}
"""Rules that are more than a number with a limit."""


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """A server on this machine."""

    port: int
    drive: Callable[[], None]

    def ask(self, path: str, **query: str) -> Any:
        """Return the data of an answer of its API; an error there fails the test."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with contextlib.closing(urllib.request.urlopen(url, timeout=30)) as answer:
            return json.load(answer)["data"]

    def once_there(self, expression: str) -> list[Any]:
        """Return the result of an expression when it has one; the services are asked meanwhile."""
        deadline = time.monotonic() + 40
        while True:
            result: list[Any] = self.ask("query", query=expression)["result"]
            if any(sample["value"][1] != "NaN" for sample in result):
                return result
            assert time.monotonic() < deadline, expression
            self.drive()
            time.sleep(0.3)


@pytest.fixture(scope="module")
def prometheus(new_image: NewImage, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    require("prometheus")
    home_image = built(new_image(), home_stages(homes()), homes())
    flowers = [[float(cell) for cell in row] for row in models.FLOWERS] * 20
    flower_image = built(new_image(), models.flower_stages(), flowers)
    with serve(home_image, NACHLASS_WORKERS="2") as home, serve(flower_image) as flower:

        def drive() -> None:
            rows = as_rows(homes().iloc[:200])
            home.predict([{**rows[0], "rooms": 99, "town": "Rom", "heating": "gas"}, *rows])
            home.post("/predict", json_body=[{"rooms": 1}])
            home.post("/v1/models/a-model:predict", json_body={"instances": rows[:1]})
            flower.predict(flowers)

        drive()
        with _running({"homes": home, "flowers": flower}, tmp_path_factory.mktemp("prometheus")) as port:
            yield Prometheus(port=port, drive=drive)


@contextlib.contextmanager
def _running(jobs: Mapping[str, Service], directory: Path) -> Iterator[int]:
    port = free_port()
    scraped = [
        {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{service.port}"]}]}
        for name, service in jobs.items()
    ]
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(FILES / "alerts.yaml")],
        "scrape_configs": scraped,
    }
    file = directory / "prometheus.json"  # JSON is YAML.
    file.write_text(json.dumps(configuration))
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                str(prometheus_program("prometheus")),
                f"--config.file={file}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            assert process.poll() is None, (directory / "log").read_text()
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5):
                break
            assert time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.1)
        yield port
    finally:
        stop(process)


def filled(expression: str) -> str:
    """Return an expression of the dashboard with a value for each variable, as Grafana sends it."""
    return re.sub(r"\$\{?(\w+)\}?", lambda found: VARIABLES[found[1]], expression)


@pytest.mark.parametrize("target", TARGETS)
def test_each_panel_of_the_dashboard_has_data(prometheus: Prometheus, target: str) -> None:
    assert prometheus.once_there(filled(TARGETS[target]))


def test_the_choices_of_the_dashboard_have_values(prometheus: Prometheus) -> None:
    asked = [variable["definition"] for variable in DASHBOARD["templating"]["list"] if variable["type"] == "query"]
    assert asked
    for definition in asked:
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(definition)).groups()  # type: ignore[union-attr]
        assert prometheus.ask(f"label/{label}/values", **{"match[]": selector}), definition


def test_each_rule_is_evaluated_without_error(prometheus: Prometheus) -> None:
    prometheus.once_there("nachlass:column_psi:1h")
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert rules
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, rules
    for rule in rules:
        prometheus.ask("query", query=rule["query"])
        if rule["type"] == "recording":
            assert prometheus.once_there(rule["name"])
        elif rule["name"] not in WITHOUT_SUCH_ANSWERS | OF_WHAT_IS_AMISS:
            number, limit = re.fullmatch(r"(.*) > [\d.]+", rule["query"], re.DOTALL), rule["query"]
            assert number, limit
            assert prometheus.once_there(number[1])


def test_drift_of_the_last_hour_is_what_the_service_says(prometheus: Prometheus) -> None:
    windowed = prometheus.once_there(filled(TARGETS["Drift by column-A"]))
    assert {sample["metric"]["column"] for sample in windowed} >= {"rooms", "area", "town", "owner"}
    assert all(0 <= float(sample["value"][1]) < 1 for sample in windowed if sample["metric"]["job"] == "homes")


@pytest.mark.parametrize(
    "command", ["check rules deploy/monitoring/alerts.yaml", "test rules tests/scorer/alerts_test.yaml"]
)
def test_promtool_accepts_the_rules_and_what_they_do(command: str) -> None:
    require("prometheus")
    program = str(prometheus_program("promtool"))
    found = subprocess.run([program, *command.split()], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_each_alert_says_what_happened_why_it_matters_and_what_to_do() -> None:
    text = (FILES / "alerts.yaml").read_text()
    alerts = re.findall(r"- alert: (\w+)(.*?)(?=\n      - |\Z)", text, re.DOTALL)
    assert len(alerts) == text.count("- alert:")
    readme = (FILES / "README.md").read_text()
    for name, body in alerts:
        assert f"`{name}`" in readme
        assert "summary:" in body
        assert body.partition("description:")[2].count(". ") >= 1, name
