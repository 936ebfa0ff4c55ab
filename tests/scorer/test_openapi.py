"""The service's description of itself: valid, right about the model, and true whatever is sent."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pandas as pd
import pytest
import schemathesis
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from scorer import manifest as manifests
from scorer import openapi
from scorer.manifest import Column, ColumnKind, Input, Model
from scorer.protocols.mlflow import NPY
from scorer.protocols.names import Names
from tests.scorer.conftest import NewImage, Serve, built
from tests.scorer.image import Image
from tests.support.service import Service

EXAMPLES = int(os.environ.get("NACHLASS_TEST_EXAMPLES", "40"))
SERVICES = ("spam", "flowers", "houses", "line")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Service:
    found: Service = request.getfixturevalue(request.param)
    return found


def schema(document: Any, name: str) -> Draft202012Validator:
    """Return a validator for one of the document's schemas; those that it refers to come along."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


def test_the_document_is_valid_and_true_of_the_model_s_example(service: Service) -> None:
    document = service.get("/openapi.json").json()
    validate(document)
    example = service.get("/metadata").json()["example"]
    schema(document, "Row").validate(example)
    schema(document, "Rows").validate([example])
    (prediction,) = service.post("/predict", json_body=[example]).json()
    schema(document, "Prediction").validate(prediction)
    assert document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"] == [example]


def test_columns_and_labels_are_the_model_s(houses: Service, flowers: Service, spam: Service) -> None:
    row = houses.get("/openapi.json").json()["components"]["schemas"]["Row"]
    assert row["required"] == ["rooms", "area", "town", "garden"]
    assert set(row["properties"]) == {"rooms", "area", "town", "garden", "owner", "price"}
    assert row["properties"]["town"] == {"type": ["string", "null"], "examples": ["Jena", "Ulm"]}
    assert row["properties"]["area"] == {"type": ["number", "null"]}
    assert flowers.get("/openapi.json").json()["components"]["schemas"]["Row"]["maxItems"] == 4
    labels = spam.get("/openapi.json").json()["components"]["schemas"]["Prediction"]
    assert labels == {"enum": ["legitimate", "spam"]}


@pytest.mark.parametrize(
    ("wrong", "name"),
    [([[1.0, 2.0]], "Rows"), ([{"rooms": 3}], "Rows"), ("text", "Rows"), ({"rooms": "three"}, "Row")],
    ids=["width", "missing", "kind", "cell"],
)
def test_what_the_service_refuses_is_not_in_the_schema(houses: Service, wrong: object, name: str) -> None:
    assert houses.post("/predict", json_body=wrong).status == 400
    assert not schema(houses.get("/openapi.json").json(), name).is_valid(wrong)


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BYTES = ("text/csv", "application/x-npy")


@schemathesis.serializer(*BYTES)
def as_bytes(_context: Any, value: Any) -> bytes:
    """What schemathesis has no form for is sent as it comes: as text, or as anything else."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode()


def send_anything(service: Service, found: Any, examples: int) -> None:
    """Send requests of one operation that its description allows, and hold the answers against it."""
    operation = found.ok()

    @hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(hypothesis.HealthCheck)
    )
    @hypothesis.given(case=operation.as_strategy())
    def send(case: Any) -> None:
        case.call_and_validate(base_url=f"http://127.0.0.1:{service.port}", checks=CHECKS)

    send()


def test_nothing_that_is_sent_is_answered_by_5xx_or_against_the_description(service: Service) -> None:
    described = schemathesis.openapi.from_dict(service.get("/openapi.json").json())
    (found,) = described.include(path="/predict").get_all_operations()
    send_anything(service, found, EXAMPLES)


@pytest.mark.parametrize("name", ["spam", "houses"])
def test_every_path_answers_as_it_is_described(name: str, request: pytest.FixtureRequest) -> None:
    service: Service = request.getfixturevalue(name)
    described = schemathesis.openapi.from_dict(service.get("/openapi.json").json())
    found: list[Any] = list(described.exclude(path="/predict").get_all_operations())
    assert {each.ok().path for each in found} >= {"/v2/models/{model}/infer", "/invocations", "/score", "/"}
    for each in found:
        send_anything(service, each, EXAMPLES // 4 if each.ok().method.upper() == "POST" else 1)


SCORED = {
    "/v1/models/{model}:predict": "ErrorText",
    "/v2/models/{model}/infer": "ErrorText",
    "/v2/models/{model}/versions/{version}/infer": "ErrorText",
    "/invocations": "MLflowError",
    "/score": "ErrorText",
    "/vertex": "ErrorText",
}


@pytest.fixture(scope="module")
def routed(spam_image: Image, serve: Serve) -> Iterator[Service]:
    names = {"NACHLASS_MODEL_NAME": "mail,old-mail", "AIP_PREDICT_ROUTE": "/vertex", "AIP_HEALTH_ROUTE": "/up"}
    with serve(spam_image, **names) as service:
        yield service


def path_of(document: Any, template: str) -> str:
    """Return a path with the first value that is described for each of its parameters."""
    for parameter in document["paths"][template].get("parameters", ()):
        template = template.replace(f"{{{parameter['name']}}}", parameter["schema"]["enum"][0])
    return template


@pytest.mark.parametrize("template", SCORED)
@pytest.mark.parametrize("name", ["routed", "flowers", "houses"])
def test_the_example_of_each_protocol_is_answered_as_described(
    template: str, name: str, request: pytest.FixtureRequest
) -> None:
    service: Service = request.getfixturevalue(name)
    document = service.get("/openapi.json").json()
    if template == "/vertex" and name != "routed":
        assert template not in document["paths"]
        return
    operation = document["paths"][template]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    within({"schema": body["schema"]}, document).validate(body["example"])
    answer = service.post(path_of(document, template), json_body=body["example"])
    assert answer.status == 200, answer.text
    within(operation["responses"]["200"]["content"]["application/json"], document).validate(answer.json())
    refused = service.post(path_of(document, template), json_body=5)
    assert refused.status == 400
    schema(document, SCORED[template]).validate(refused.json())
    assert operation["responses"]["400"]["content"]["application/json"]["schema"]["$ref"].endswith(SCORED[template])


def within(content: Any, document: Any) -> Draft202012Validator:
    return Draft202012Validator({**content["schema"], "components": document["components"]})


def test_names_versions_and_tensors_are_the_model_s(routed: Service, houses: Service) -> None:
    document = routed.get("/openapi.json").json()
    validate(document)
    assert document["paths"]["/v1/models/{model}"]["parameters"][0]["schema"] == {"enum": ["mail", "old-mail"]}
    assert "/up" in document["paths"]
    metadata = routed.get("/v2/models/mail").json()
    schema(document, "ModelMetadata").validate(metadata)
    tensor = schema(document, "InputTensor")
    assert tensor.is_valid({"name": "text", "datatype": "BYTES", "shape": [2, 1], "data": ["a", "b"]})
    assert not tensor.is_valid({"name": "text", "datatype": "FP64", "shape": [2, 1], "data": [1.0, 2.0]})
    assert not tensor.is_valid({"name": "text", "datatype": "BYTES", "shape": [2, 2], "data": ["a"] * 4})
    column = schema(houses.get("/openapi.json").json(), "InputTensor")
    assert column.is_valid({"name": "rooms", "datatype": "INT64", "shape": [2], "data": [1, 2]})
    assert not column.is_valid({"name": "rooms", "datatype": "BYTES", "shape": [2], "data": ["1", "2"]})
    assert not column.is_valid({"name": "owner", "datatype": "BYTES", "shape": [2], "data": ["1", "2"]})


def test_the_document_of_a_thousand_columns_is_not_long(image: Image) -> None:
    image.write_stages([b"nothing loads it"])
    kinds: list[ColumnKind] = ["number", "integer", "boolean", "string"]
    columns = tuple(
        Column(name=f"a column of this table, number {i}", kind=kinds[i % 4], nullable=i % 3 == 0) for i in range(1000)
    )
    spec = Input(kind="frame", width=1000, columns=columns)
    example = {column.name: None for column in columns}
    model = Model(task="regressor", classes=(), input=spec, sample_shape=(2, 1000), example=example)
    document = openapi.document(
        dataclasses.replace(manifests.read(image.manifest_file), model=model),
        Names(name="a-model", aliases=frozenset(), version="1"),
        is_strict=False,
        has_notebooks=True,
        binary=(NPY,),
        routes={},
    )
    assert len(json.dumps(document)) < 450_000
    validate(document)


# --- outputs ---


def test_an_outlier_detector_answers_and_counts_its_two_labels(new_image: NewImage, serve: Serve) -> None:
    points = np.array([[0.0, 0.1], [0.1, 0.0], [0.0, 0.0], [9.0, 9.0]])
    with serve(built(new_image(), [IsolationForest(random_state=0).fit(points)], points)) as service:
        assert service.get("/metadata").json()["task"] == "outlier_detector"
        assert service.get("/openapi.json").json()["components"]["schemas"]["Prediction"] == {"enum": [1, -1]}
        assert service.predict([[0.0, 0.0], [99.0, 99.0]]) == [1, -1]
        text = service.get("/metrics").text
        assert 'nachlass_predictions_total{value="-1"} 1.0' in text


def test_several_outputs_are_described(new_image: NewImage, serve: Serve) -> None:
    points = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    labels = np.array([["a", "x"], ["b", "y"], ["a", "y"], ["b", "x"]])
    with serve(built(new_image(), [DecisionTreeClassifier().fit(points, labels)], points)) as service:
        prediction = schema(service.get("/openapi.json").json(), "Prediction")
        assert service.predict([[1.0, 1.0]]) == [["b", "y"]]
        assert prediction.is_valid(["b", "y"])
        assert not prediction.is_valid("b")
        assert not prediction.is_valid(["b", "y", "x"])


# --- ranges and columns that nobody knows ---


@pytest.fixture(scope="module")
def typed(new_image: NewImage) -> Image:
    frame = pd.DataFrame(
        {
            "small": np.array([1, 2, 3, 4], dtype=np.int8),
            "long": np.array([1, 2, 3, 4], dtype=np.int64),
            "wide": np.array([2**60, 2, 3, 4], dtype=np.int64),
            "single": np.array([0.5, 1.5, 2.5, 3.5], dtype=np.float32),
        }
    )
    return built(new_image(), [LinearRegression().fit(frame, [1, 2, 3, 4])], frame)


@pytest.fixture(scope="module")
def typed_service(typed: Image, serve: Serve) -> Iterator[Service]:
    with serve(typed) as service:
        yield service


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [("small", 127, 128), ("long", 2**53, 2**53 + 1), ("wide", 2**60, 2**63), ("single", 3.4e38, 3.5e38)],
)
def test_a_number_outside_its_column_s_range_is_refused(
    typed_service: Service, column: str, good: float, bad: float
) -> None:
    row = {"small": 1, "long": 1, "wide": 2**60, "single": 0.5}
    assert typed_service.post("/predict", json_body=[{**row, column: good}]).status == 200
    answer = typed_service.post("/predict", json_body=[row, {**row, column: bad}])
    assert (answer.status, answer.json()["code"], answer.json()["pointer"]) == (400, "wrong-value", f"/1/{column}")
    described = schema(typed_service.get("/openapi.json").json(), "Row")
    assert described.is_valid({**row, column: good})
    assert not described.is_valid({**row, column: bad})


EXTRA = [
    ([{"town": "Ulm", "shoe": 1}, {"town": "Jena", "hat/1": 2, "shoe": 2}], "/0/shoe"),
    ({"town": "Ulm", "hat/1": 1, "shoe": 1}, "/hat~11"),
    ({"shoe": [1], "town": ["Ulm"], "hat": [1]}, "/shoe"),
    ({"columns": ["town", "shoe", "hat"], "data": [["Ulm", 1, 2]]}, "/columns/1"),
    ({"first": {"town": "Ulm", "shoe": 1, "hat": 1}}, "/first/shoe"),
]


@pytest.fixture(scope="module")
def towns(new_image: NewImage) -> Image:
    frame = pd.DataFrame({"town": ["Ulm", "Jena"]})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression()).fit(frame, [1, 2])
    return built(new_image(), [model], frame)


@pytest.fixture(scope="module")
def lenient(towns: Image, serve: Serve) -> Iterator[Service]:
    with serve(towns) as service:
        yield service


@pytest.fixture(scope="module")
def strict(towns: Image, serve: Serve) -> Iterator[Service]:
    with serve(towns, NACHLASS_STRICT="1") as service:
        yield service


@pytest.mark.parametrize(("rows", "pointer"), EXTRA, ids=["records", "record", "columns", "split", "nested"])
def test_extra_columns_are_ignored_and_counted_or_refused(
    lenient: Service, strict: Service, rows: object, pointer: str
) -> None:
    def counted() -> float:
        found = re.search(r"^nachlass_extra_columns_total (\S+)$", lenient.get("/metrics").text, re.MULTILINE)
        assert found
        return float(found[1])

    before = counted()
    assert lenient.post("/predict", json_body=rows).status == 200
    assert counted() - before == 2
    answer = strict.post("/predict", json_body=rows)
    assert (answer.status, answer.json()["code"], answer.json()["pointer"]) == (400, "unknown-column", pointer)


def test_a_strict_service_says_so(strict: Service) -> None:
    row = schema(strict.get("/openapi.json").json(), "Row")
    assert row.is_valid({"town": "Ulm"})
    assert not row.is_valid({"town": "Ulm", "shoe": 1})


def test_of_a_key_that_comes_twice_the_last_wins(lenient: Service) -> None:
    body = '[{"town": "Ulm", "town": "Jena"}]'
    answer = lenient.request("POST", "/predict", body, {"Content-Type": "application/json"})
    assert answer.json() == pytest.approx([2.0])
