"""Clients that others wrote, as they are on the package index, ask a running service and understand its answers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.facilities import require
from tests.support.pythons import ROOT, installed_lock, this_python
from tests.support.service import Service

MODEL = "a-model"
FLOWERS = [[6.3, 3.3, 6.0, 2.5], [5.1, 3.5, 1.4, 0.2]]
TEXTS = ["dinner was tasty", "my lörd"]
HOUSES: dict[str, list[Any]] = {
    "rooms": [3, 5],
    "area": [70.5, None],
    "town": ["Ulm", "Jena"],
    "garden": [True, False],
}
HOUSE_ROWS = [dict(zip(HOUSES, cells, strict=True)) for cells in zip(*HOUSES.values(), strict=True)]

Asked = Mapping[str, Any]


@pytest.fixture(scope="module")
def asked(flowers: Service, houses: Service, spam: Service) -> Asked:
    """Return what each client's program is given: ports, and what to ask."""
    return {
        "model": MODEL,
        "flowers": {"port": flowers.port, "rows": FLOWERS},
        "houses": {"port": houses.port, "rows": HOUSE_ROWS, "columns": HOUSES},
        "spam": {"port": spam.port, "rows": TEXTS},
    }


def answers_of(client: str, asked: Asked) -> Any:
    require("clients")
    done = subprocess.run(
        [this_python().executable, ROOT / "tests/clients" / f"ask_{client}.py", json.dumps(asked)],
        env={"PYTHONPATH": str(installed_lock(this_python(), "clients")), "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def predicted(service: Service, rows: object, path: str = "/predict") -> Any:
    """Return what the service's own protocol answers, to hold the clients' answers against."""
    answer = service.post(path, json_body=rows)
    assert answer.status == 200, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def expected(flowers: Service, houses: Service, spam: Service) -> Mapping[str, list[Any]]:
    with_probabilities = predicted(flowers, FLOWERS, "/predict?probabilities=true")
    return {
        "flowers": predicted(flowers, FLOWERS),
        "houses": predicted(houses, HOUSE_ROWS),
        "spam": predicted(spam, TEXTS),
        "probabilities": [list(each["probabilities"].values()) for each in with_probabilities],
    }


def test_triton_s_client_understands_tensors_metadata_health_and_refusals(
    asked: Asked, expected: Mapping[str, list[Any]]
) -> None:
    answers = answers_of("triton", asked)
    assert answers["health"] == [True, True, True, True, False]
    assert answers["server"]["extensions"] == ["binary_tensor_data"]
    assert answers["metadata"]["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert set(answers["flowers"]) == {"binary", "json", "mixed", "default", "single", "version"}
    assert all(labels == expected["flowers"] for labels in answers["flowers"].values())
    assert answers["probabilities"] == expected["probabilities"]
    assert answers["id"] == "7"
    assert answers["houses"] == expected["houses"]
    assert answers["spam"] == [expected["spam"], expected["spam"]]
    assert answers["refusals"] == [
        ["400", "Expected 4 values, got 2."],
        ["404", "There is no model 'another'; this is 'a-model'."],
        ["400", "The model's outputs are predict, predict_proba, decision_function."],
    ]


def test_kserve_s_client_understands_both_of_its_protocols(asked: Asked, expected: Mapping[str, list[Any]]) -> None:
    answers = answers_of("kserve", asked)
    assert answers["health"] == [True, True, True, True, True, False]
    assert answers["first"] == [{"predictions": expected[name]} for name in ("flowers", "houses", "spam")]
    flowers, houses, texts = ([[value] for value in expected[name]] for name in ("flowers", "houses", "spam"))
    assert answers["json"] == answers["binary"] == {"id": "7", "predict": flowers}
    assert answers["probabilities"] == {"id": "7", "predict": flowers, "predict_proba": expected["probabilities"]}
    assert answers["houses"] == {"id": "7", "predict": houses}
    assert answers["spam"] == {"id": "7", "predict": texts}
    told = [(status, message.partition(", '")[0]) for status, message in answers["refusals"]]
    assert told == [
        (400, "Expected 4 values, got 2."),
        (404, "There is no model 'another'; this is 'a-model'."),
        (400, "Expected 4 values, got 1."),
    ]


def test_mlflow_s_client_sends_frames_and_arrays(
    asked: Asked, expected: Mapping[str, list[Any]], flowers: Service
) -> None:
    answers = answers_of("mlflow", asked)
    assert answers["version"] == flowers.get("/version").text
    assert answers["array"] == answers["unnamed frame"] == expected["flowers"]
    assert answers["frame"] == answers["further columns"] == answers["index"] == expected["houses"]
    assert answers["texts"] == answers["series"] == expected["spam"]
    for refusal, message in zip(
        answers["refusals"],
        [
            "Column 'rooms' is missing.",
            "Column 'rooms': Expected an integer, got 'three'.",
            "NaN is not JSON: send null for a missing value.",
            "Expected 4 values, got 2.",
        ],
        strict=True,
    ):
        body = json.loads(refusal.partition("response: ")[2].removesuffix(")"))
        assert body == {"error_code": "BAD_REQUEST", "message": message}


def test_requests_sends_forms_json_files_and_chunks(asked: Asked, expected: Mapping[str, list[Any]]) -> None:
    answers = answers_of("requests", asked)
    assert answers["form"] == answers["upload"] == answers["json"] == answers["chunks"] == expected["spam"]
    assert 'nachlass_predictions_total{value="spam"}' in answers["metrics"]
    assert answers["houses"] == answers["azure"] == expected["houses"]
    assert [float(line) for line in answers["csv"].splitlines()] == expected["houses"]
    assert [list(each["probabilities"].values()) for each in answers["probabilities"]] == expected["probabilities"]
    told = {"error": "Columns 'area', 'town', 'garden' are missing.", "code": "missing-column", "pointer": "/0/area"}
    assert answers["refusal"] == [400, told]
    assert answers["after"] == {"status": "ready"}


def curl(*arguments: str) -> str:
    require("curl")
    done = subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_curl_sends_a_form_as_it_did_in_2019(spam: Service, expected: Mapping[str, list[Any]]) -> None:
    base = f"http://127.0.0.1:{spam.port}"
    form = ["--data-urlencode", f"json_args={json.dumps(TEXTS, ensure_ascii=False)}"]
    assert json.loads(curl(*form, f"{base}/predict")) == expected["spam"]
    # Its instructions asked for the metrics with a form, too.
    assert "nachlass_predictions_total" in curl("--request", "GET", *form, f"{base}/metrics")
    assert "nachlass_predictions_total" in curl(*form, f"{base}/metrics")


def test_curl_asks_before_it_sends_a_long_file(
    spam: Service, expected: Mapping[str, list[Any]], tmp_path: Path
) -> None:
    many = TEXTS * 1000
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps(many), encoding="utf-8")
    headers = ["--header", "Content-Type: application/json", "--header", "Expect: 100-continue"]
    answer = curl(*headers, "--data-binary", f"@{rows}", f"http://127.0.0.1:{spam.port}/predict")
    assert json.loads(answer) == expected["spam"] * 1000
