"""Bad input is a 4xx with the place that is wrong; never a 5xx, never a traceback, never a 200."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scorer.test_shapes import ROW
from tests.support.service import Response, Service

FORM = "application/x-www-form-urlencoded"


def _refused(answer: Response, *, status: int = 400) -> dict[str, str]:
    assert answer.status == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "Traceback" not in answer.text
    body: dict[str, str] = answer.json()
    assert body["error"]
    assert body["code"]
    return body


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ([1, 2, 3], ""),
        ([[1, 2, 3]], "/0"),
        ([[1, 2, 3, 4], [1, 2, 3, 4, 5]], "/1"),
        ([[1, 2, 3, 4], [1, 2, "3", 4]], "/1/2"),
        ([1, 2, "3", 4], "/2"),
        ([[1, 2, True, 4]], "/0/2"),
        ([[1, 2, [3], 4]], "/0/2"),
        ([[1, 2, {"a": 3}, 4]], "/0/2"),
        ([[1, 2, 3, 4], {"a": 1}], "/1"),
        ([{"a": 1, "b": 2, "c": 3, "d": "x"}], "/0/d"),
        ([{"a": 1, "b": 2}], "/0"),
        ([{"a": 1, "b": 2, "c": 3, "d/e~": 4}, {"a": 1, "b": 2, "c": 3}], "/1/d~1e~0"),
        ({"a": {"0": 1}, "b": {"0": 2}, "c": {"0": 3}, "d": {"0": "x"}}, "/d/0"),
        ({"a": {"0": 1}, "b": {"0": 2}, "c": {"0": 3}, "d": {"1": 3}}, "/d"),
        ({"data": [[1, 2, 3, "x"]]}, "/data/0/3"),
        ({"data": [1]}, "/data/0"),
        ([[1, 2, None, 4]], "/0/2"),
        ("text", ""),
        (None, ""),
        (7, ""),
        ([], ""),
        ({}, ""),
        ([[]], "/0"),
        ([{}], "/0"),
    ],
)
def test_bad_arrays_are_refused_with_the_place_that_is_wrong(flowers: Service, value: Any, pointer: str) -> None:
    body = _refused(flowers.post("/predict", json_body=value))
    assert body["pointer"] == pointer, body


@pytest.mark.parametrize(
    ("change", "pointer", "words"),
    [
        ({"rooms": 5.5}, "/0/rooms", "'rooms': Expected an integer, got 5.5"),
        ({"rooms": "5"}, "/0/rooms", "Expected an integer, got '5'."),
        ({"area": "120"}, "/0/area", "Expected a number, got '120'."),
        ({"town": 5}, "/0/town", "Expected a string, got a number"),
        ({"garden": 1}, "/0/garden", "Expected true or false, got a number"),
        ({"garden": "ja"}, "/0/garden", "'garden': Expected true or false, got 'ja'."),
        ({"rooms": 3.0000001}, "/0/rooms", "Expected an integer, got 3.0000001."),
        ({"area": [1]}, "/0/area", "Expected a number, got an array"),
    ],
)
def test_bad_cells_of_a_frame_name_their_column(
    houses: Service, change: dict[str, Any], pointer: str, words: str
) -> None:
    body = _refused(houses.post("/predict", json_body=[{**ROW, **change}]))
    assert body["pointer"] == pointer
    assert words in body["error"]


def test_a_missing_column_is_named(houses: Service) -> None:
    body = _refused(houses.post("/predict", json_body=[ROW, {"rooms": 5}]))
    assert (body["pointer"], body["code"]) == ("/1/area", "missing-column")


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        ([ROW, {"area": 5}], "/1/rooms"),
        ({"area": 5}, "/rooms"),
        ({"area": [5]}, "/rooms"),
        ({"area": {"0": 5}}, "/rooms"),
        ({"columns": ["area"], "data": [[5]]}, "/columns"),
        ({"r1": {"area": 5}}, "/r1/rooms"),
    ],
    ids=["records", "record", "columns", "nested", "split", "index"],
)
def test_all_missing_columns_are_named_at_once(houses: Service, value: Any, pointer: str) -> None:
    body = _refused(houses.post("/predict", json_body=value))
    assert body == {
        "error": "Columns 'rooms', 'town', 'garden' are missing.",
        "code": "missing-column",
        "pointer": pointer,
    }


def test_a_missing_column_is_named_where_the_request_has_it(houses: Service) -> None:
    body = _refused(houses.post("/predict", json_body={"r1": ROW, "r/2": {"rooms": 5}}))
    assert (body["pointer"], body["code"]) == ("/r~12/area", "missing-column")


def test_a_category_that_the_encoder_refuses_is_a_bad_request(houses: Service) -> None:
    body = _refused(houses.post("/predict", json_body=[{**ROW, "town": "Atlantis"}]))
    assert "Atlantis" in body["error"]
    assert "\n" not in body["error"]


@pytest.mark.parametrize("value", [[1], [None], ["a", None], [["a", "b"]], [{"a": "x", "b": "y"}], 5, [[["a"]]], {}])
def test_what_is_not_a_text_is_refused(spam: Service, value: Any) -> None:
    _refused(spam.post("/predict", json_body=value))


@pytest.mark.parametrize(
    ("body", "literal"),
    [
        ('["ä😀", NaN]', "NaN"),
        ("-Infinity", "-Infinity"),
        ('{"a": [1, \n Infinity', "Infinity"),
        ('["NaN", 1', None),
        ('["\\NaN"]', None),
        ("[1, nan]", None),
    ],
    ids=["behind-wide-characters", "alone", "cut-off", "in-a-text", "behind-an-escape", "in-small-letters"],
)
def test_advice_is_given_where_the_literal_is_at_fault(flowers: Service, body: str, literal: str | None) -> None:
    answer = flowers.request("POST", "/predict", body.encode().decode("latin-1"), {"Content-Type": "application/json"})
    told = _refused(answer)["error"]
    if literal is None:
        assert told.startswith("The input is not JSON: ")
    else:
        assert told == f"{literal} is not JSON: send null for a missing value."


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_literals_that_json_lacks_are_refused_with_advice(flowers: Service, literal: str) -> None:
    body = _refused(flowers.request("POST", "/predict", f"[[1,2,3,{literal}]]", {"Content-Type": "application/json"}))
    assert body["error"] == f"{literal} is not JSON: send null for a missing value."


@pytest.mark.parametrize("body", ["", " ", "[", "[1,]", "{'a': 1}", "[[1,2,3,1e999]]", "[" * 100_000, "/etc/passwd"])
def test_what_is_not_json_is_refused(flowers: Service, body: str) -> None:
    _refused(flowers.request("POST", "/predict", body, {"Content-Type": "application/json"}))
    _refused(flowers.request("POST", "/predict", f"json_args={body}", {"Content-Type": FORM}))


def test_pickles_are_refused_with_advice(flowers: Service) -> None:
    body = _refused(flowers.post("/predict", form={"args": "gASVBQAAAAAAAABdlC4="}))
    assert body["code"] == "pickle-refused"
    assert "json_args" in body["error"]


def test_a_form_that_holds_json_is_told_its_content_type(spam: Service) -> None:
    body = _refused(spam.request("POST", "/predict", '["a"]', {"Content-Type": FORM}))
    assert "Content-Type: application/json" in body["error"]


def test_unknown_paths_methods_and_media_types_are_answered_in_json(spam: Service) -> None:
    assert "/nowhere" in _refused(spam.get("/nowhere"), status=404)["error"]
    assert "POST" in _refused(spam.get("/predict"), status=405)["error"]
    assert spam.get("/predict").headers["allow"].startswith("POST")
    assert (
        "text/csv" in _refused(spam.request("POST", "/predict", "a", {"Content-Type": "text/csv"}), status=415)["error"]
    )
    _refused(spam.request("POST", "/predict", "[]"), status=415)
    latin = {"Content-Type": "application/json; charset=latin-1"}
    assert _refused(spam.request("POST", "/predict", "[]", latin), status=415)["error"] == "Send UTF-8."


def test_a_malformed_multipart_form_is_refused(spam: Service) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x"):
        _refused(spam.request("POST", "/predict", "--y\r\nnothing", {"Content-Type": content_type}))
