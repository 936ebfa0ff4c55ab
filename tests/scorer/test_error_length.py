"""A refusal quotes what it refuses, and is short nevertheless."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from tests.scorer.conftest import NewImage, Serve, built
from tests.scorer.image import Image
from tests.scorer.score.scoring import objects, score
from tests.scorer.test_protocols import send
from tests.scorer.test_shapes import ROW
from tests.support.service import Service

MOST_BYTES = 2000
LONG = "ä" * 1_000_000
FLOWER = {"a": 1, "b": 2, "c": 3, LONG: 4}
PATH = "x" * 12_000


@pytest.fixture(scope="module")
def sorts(new_image: NewImage, serve: Serve) -> Iterator[Service]:
    """Serve a model with a column of categories."""
    frame = pd.DataFrame({"sort": pd.Categorical(["red", "blue", "red"])})
    encoder = ColumnTransformer([("sort", OneHotEncoder(), ["sort"])]).fit(frame)
    stages = [encoder, DecisionTreeClassifier().fit(encoder.transform(frame), ["a", "b", "a"])]
    with serve(built(new_image(), stages, frame)) as service:
        yield service


def test_category_of_megabytes_is_quoted_by_its_beginning(sorts: Service) -> None:
    assert sorts.predict([{"sort": "blue"}]) == ["b"]
    status, _, body = send(sorts, "/predict", [{"sort": "red"}, {"sort": LONG}])
    told = json.loads(body)
    assert (status, told["code"], told["pointer"]) == (400, "wrong-value", "/1/sort")
    assert told["error"] == f"Column 'sort': Expected one of the categories blue, red; got '{'ä' * 100}'…."


@pytest.mark.parametrize(
    "value",
    [
        [{**ROW, "garden": LONG}],
        [{**ROW, "rooms": LONG}],
        [{**ROW, "town": LONG}],
        {LONG: [1], **{name: [value] for name, value in ROW.items()}, "town": [1, 2]},
        {LONG: {"rooms": "x", "area": 1, "town": "Ulm", "garden": True}},
    ],
    ids=["boolean", "integer", "category-of-the-encoder", "columns", "row-by-a-long-name"],
)
def test_refusal_of_a_long_value_is_short(houses: Service, value: object) -> None:
    status, _, body = send(houses, "/predict", value)
    assert status == 400
    assert len(body) < MOST_BYTES


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ([FLOWER, {"a": 1, "b": 2, "c": 3}], "/1"),
        ([FLOWER, {**FLOWER, LONG: "x"}], "/1"),
        ({"a": {"0": 1}, "b": {"0": 2}, "c": {"0": 3}, LONG: {"1": 4}}, ""),
    ],
    ids=["missing", "wrong", "other-rows"],
)
def test_pointer_to_a_long_name_is_that_of_what_has_it(flowers: Service, value: object, pointer: str) -> None:
    status, _, body = send(flowers, "/predict", value)
    assert (status, json.loads(body)["pointer"]) == (400, pointer)
    assert len(body) < MOST_BYTES


def test_column_of_a_long_name_that_a_strict_service_refuses_is_told_in_short(house_image: Image, serve: Serve) -> None:
    with serve(house_image, NACHLASS_STRICT="1") as service:
        status, _, body = send(service, "/predict", [{**ROW, LONG: 1}])
        assert (status, json.loads(body)["code"], json.loads(body)["pointer"]) == (400, "unknown-column", "/0")
        assert len(body) < MOST_BYTES


@pytest.mark.parametrize(
    "path",
    [
        f"/{PATH}",
        f"/predict?probabilities={PATH}",
        f"/v1/models/{PATH}:predict",
        f"/v2/models/{PATH}/infer",
        f"/v2/models/a-model/versions/{PATH}/infer",
    ],
    ids=["path", "query", "v1-model", "v2-model", "v2-version"],
)
def test_refusal_of_a_long_address_is_short(spam: Service, path: str) -> None:
    status, _, body = send(spam, path, ["tasty"])
    assert 400 <= status < 500
    assert len(body) < MOST_BYTES


@pytest.mark.parametrize("path", ["/predict", "/invocations", "/score", "/v2/models/a-model/infer"])
@pytest.mark.parametrize("header", ["Content-Type", "Accept"])
def test_refusal_of_a_long_header_is_short(spam: Service, path: str, header: str) -> None:
    answer = spam.request("POST", path, '["tasty"]', {"Content-Type": "application/json", header: f"text/{PATH}"})
    assert 400 <= answer.status < 500 or (path == "/score" and header == "Content-Type")
    assert len(answer.text) < MOST_BYTES


@pytest.mark.parametrize(
    "body",
    [f"rooms,area,town,garden\n{LONG},1,Ulm,true\n", f"rooms,area,town,garden\n1,1,Ulm,{LONG}\n", f"{LONG},1\n1,2\n"],
    ids=["number", "boolean", "header"],
)
def test_refusal_of_a_long_cell_is_short(houses: Service, body: str) -> None:
    status, _, answer = send(houses, "/invocations", body.encode(), "text/csv")
    assert status == 400
    assert len(answer) < MOST_BYTES


def test_names_of_a_file_with_other_columns_are_told_in_short(house_image: Image, tmp_path: Path) -> None:
    names = ",".join(["rooms", LONG[:100_000], *(f"column_{i}" for i in range(1000))])
    scored = score(house_image, rows=f"{names}\n", cwd=tmp_path)
    assert scored.status == 66
    assert "column_17 and 982 more" in scored.err
    assert len(scored.err) < MOST_BYTES
    scored = score(
        house_image, "--errors", "bad.jsonl", rows=f"rooms,area,town,garden\n{'x' * 200},,Ulm,true\n", cwd=tmp_path
    )
    (bad,) = objects((tmp_path / "bad.jsonl").read_bytes())
    assert bad["error"] == f"Column 'rooms': Expected a number, got '{'x' * 100}'…."
