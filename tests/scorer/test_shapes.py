"""Every spelling of an input that the service has answered since 2019, and those that pandas writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.service import Service

SPAM, LEGITIMATE = "tasty dinner", "an obliged lord"


@pytest.mark.parametrize(
    "value",
    [
        [SPAM, LEGITIMATE],
        [[SPAM], [LEGITIMATE]],
        [{"t": SPAM}, {"t": LEGITIMATE}],
        {"t": {"0": SPAM, "1": LEGITIMATE}},
        {"t": [SPAM, LEGITIMATE]},
        {"0": SPAM, "1": LEGITIMATE},
        {"columns": ["t"], "index": [0, 1], "data": [[SPAM], [LEGITIMATE]]},
    ],
)
def test_two_texts_in_any_spelling_get_two_labels(spam: Service, value: Any) -> None:
    assert spam.predict(value) == ["spam", "legitimate"]
    assert spam.post("/predict", json_body=value).json() == ["spam", "legitimate"]


@pytest.mark.parametrize("value", [SPAM, [SPAM], [[SPAM]], {"0": SPAM}, {"t": SPAM}])
def test_one_text_in_any_spelling_gets_one_label(spam: Service, value: Any) -> None:
    assert spam.predict(value) == ["spam"]


@pytest.mark.parametrize("text", ["5", "2020-01-01", "", "null", "naïve — 日本語 😀", 'quo"te', "a&b=c+d%41"])
def test_texts_are_taken_literally(spam: Service, text: str) -> None:
    assert len(spam.predict([text, text])) == 2


@pytest.mark.parametrize(
    "value",
    [
        [5.1, 3.5, 1.4, 0.2],
        [[5.1, 3.5, 1.4, 0.2]],
        [{"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2}],
        {"a": {"0": 5.1}, "b": {"0": 3.5}, "c": {"0": 1.4}, "d": {"0": 0.2}},
        {"a": 5.1, "b": 3.5, "c": 1.4, "d": 0.2},
        {"columns": ["a", "b", "c", "d"], "data": [[5.1, 3.5, 1.4, 0.2]]},
    ],
)
def test_one_row_of_numbers_in_any_spelling_gets_one_label(flowers: Service, value: Any) -> None:
    assert flowers.predict(value) == ["setosa"]


def test_rows_of_numbers_get_a_label_each_and_integers_pass_for_floats(flowers: Service) -> None:
    assert flowers.predict([[5, 3, 1, 0], [6.3, 3.3, 6, 2.5]]) == ["setosa", "virginica"]


@pytest.mark.parametrize("value", [[1, 2], [[1], [2]], [{"x": 1}, {"x": 2}], {"x": {"0": 1, "1": 2}}, {"0": 1, "1": 2}])
def test_a_flat_list_for_a_model_of_one_value_is_rows(line: Service, value: Any) -> None:
    assert line.predict(value) == pytest.approx([2.0, 4.0])


def test_a_bare_number_for_a_model_of_one_value_is_a_row(line: Service) -> None:
    assert line.predict(3) == pytest.approx([6.0])


ROW: dict[str, Any] = {"rooms": 5, "area": 120.0, "town": "Jena", "garden": False}
FULL_ROW = [5, 120.0, "Jena", False, "B", 0.0]


@pytest.mark.parametrize(
    "value",
    [
        [ROW],
        ROW,
        [dict(reversed(ROW.items()))],
        [{**ROW, "owner": 7, "unheard of": None}],
        [{**ROW, "rooms": 5.0}],
        [list(ROW.values())],
        list(ROW.values()),
        FULL_ROW,
        [FULL_ROW],
        {name: {"0": cell} for name, cell in ROW.items()},
        {name: [cell] for name, cell in ROW.items()},
        {"0": ROW},
        {"columns": ["town", "area", "rooms", "garden"], "data": [["Jena", 120, 5, False]]},
    ],
)
def test_one_row_with_columns_in_any_spelling_gets_one_value(houses: Service, value: Any) -> None:
    assert houses.predict(value) == pytest.approx([180.0])


def test_null_is_a_missing_value_where_the_model_fills_them_in(houses: Service) -> None:
    rows = [{**ROW, "area": None}, {**ROW, "town": None}, {**ROW, "rooms": None}]
    assert all(isinstance(value, float) for value in houses.predict(rows))


def test_a_batch_is_answered_as_its_rows_are_alone(houses: Service) -> None:
    rows = [ROW, {**ROW, "area": None}, {**ROW, "rooms": 2}]
    assert houses.predict(rows) == pytest.approx([houses.predict([row])[0] for row in rows])


def test_the_example_in_the_metadata_predicts(spam: Service, flowers: Service, houses: Service, line: Service) -> None:
    for service in (spam, flowers, houses, line):
        example = service.get("/metadata").json()["example"]
        assert example is not None
        assert len(service.predict(example)) == 1, json.dumps(example)
