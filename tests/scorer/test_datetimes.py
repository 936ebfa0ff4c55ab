"""Columns of dates and times: ISO 8601, and nothing else that pandas would make a guess of."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.decode import Decoder
from scorer.errors import RequestError
from scorer.inputs import Assembler
from scorer.manifest import Column, Input
from tests.scorer.conftest import NewImage, Serve, built
from tests.support.service import Service

# Predicts a text of what it is given.
ECHO = """
class Echo:
    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return [str(list(map(str, row))) for row in zip(*(X[name] for name in X.columns))]
"""
DAY, INSTANT = "2021-02-03", "2021-02-03T04:05:06Z"


@pytest.fixture(scope="module")
def times(new_image: NewImage, serve: Serve) -> Iterator[Service]:
    """Serve a model of a time without an offset, which may be missing, and one with."""
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["2020-01-01", None]).astype("datetime64[ns]"),
            "instant": pd.to_datetime(["2020-01-01T00:00:00Z", INSTANT]).astype("datetime64[ns, UTC]"),
        }
    )
    image = new_image()
    (image.app / "echo.py").write_text(ECHO)
    with serve(built(image, [b"cecho\nEcho\n)\x81."], frame)) as service:
        yield service


@pytest.mark.parametrize(
    ("day", "shown"),
    [
        ("2021-02-03", "2021-02-03 00:00:00"),
        ("2021-02-03T04:05", "2021-02-03 04:05:00"),
        ("2021-02-03 04:05:06", "2021-02-03 04:05:06"),
        ("2021-02-03T04:05:06.789", "2021-02-03 04:05:06.789000"),
        ("2021-02-03T04:05:06.123456789", "2021-02-03 04:05:06.123456789"),
        (None, "NaT"),
    ],
    ids=["date", "minutes", "space", "milliseconds", "nanoseconds", "null"],
)
def test_iso_8601_is_read(times: Service, day: str | None, shown: str) -> None:
    assert times.predict([{"day": day, "instant": INSTANT}]) == [str([shown, "2021-02-03 04:05:06+00:00"])]


@pytest.mark.parametrize(
    "instant",
    ["2021-02-03T04:05:06Z", "2021-02-03 05:05:06+01:00", "2021-02-03T09:35:06+0530", "2021-02-03T03:05:06.000-01"],
)
def test_offset_is_read(times: Service, instant: str) -> None:
    assert times.predict([{"day": DAY, "instant": instant}]) == ["['2021-02-03 00:00:00', '2021-02-03 04:05:06+00:00']"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "now",
            "today",
            "2020Q1",
            "05/01/2020",
            "13/01/2020",
            "",
            "NaT",
            "nan",
            "2020-02-30",
            "2020-13-01",
            "20200101",
        ),
        *("1", "2020-01-01T25:00", "2020-01-01T12:00:60", "2020-01-01 noon", "2020-01-01\n", "\u0662020-01-01"),
        pytest.param("x" * 200, id="long"),
    ],
)
def test_what_is_no_iso_8601_is_refused_with_the_value(times: Service, text: str) -> None:
    answer = times.post("/predict", json_body=[{"day": DAY, "instant": INSTANT}, {"day": text, "instant": INSTANT}])
    assert answer.status == 400, answer.text
    shown = f"{text[:100]!r}{'…' if len(text) > 100 else ''}"
    assert answer.json() == {
        "error": f"Column 'day': Expected a date and time as ISO 8601 text, got {shown}.",
        "code": "wrong-value",
        "pointer": "/1/day",
    }


@pytest.mark.parametrize(("column", "text"), [("day", "9999-01-01"), ("instant", "1600-01-01T00:00Z")])
def test_time_that_the_column_can_not_hold_is_told_by_its_row(times: Service, column: str, text: str) -> None:
    good = {"day": DAY, "instant": INSTANT}
    answer = times.post("/predict", json_body=[good, {**good, column: text}, good])
    assert (answer.status, answer.json()["pointer"]) == (400, f"/1/{column}")
    assert answer.json()["error"] == (
        f"Column '{column}': The time '{text}' is too early or too late for what the model was trained with "
        "(1677-09-21 to 2262-04-11)."
    )


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [("day", "2021-02-03T04:05Z", "without a UTC offset"), ("instant", "2021-02-03T04:05", "with a UTC offset")],
    ids=["with", "without"],
)
def test_offset_where_the_model_has_none_is_told_by_its_row(times: Service, column: str, text: str, words: str) -> None:
    good = {"day": DAY, "instant": INSTANT}
    answer = times.post("/predict", json_body=[good, {**good, column: text}])
    assert (answer.status, answer.json()["pointer"]) == (400, f"/1/{column}")
    assert f"{words}, as the model was trained with, got '{text}'." in answer.json()["error"]


def test_the_same_rows_as_csv_get_the_same_answers(times: Service) -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2021-02-03", None]), "instant": pd.to_datetime([INSTANT] * 2)})
    rows = json.loads(frame.to_json(orient="records", date_format="iso"))
    expected = times.predict([{**row, "day": row["day"] and row["day"].removesuffix("Z")} for row in rows])
    answer = times.request("POST", "/invocations", frame.to_csv(index=False), {"Content-Type": "text/csv"})
    assert answer.json() == {"predictions": expected}


UNITS = ["datetime64[ns]", "datetime64[us, UTC]", "datetime64[s]", "datetime64[ns, Europe/Berlin]"]


@pytest.mark.parametrize("dtype", UNITS)
@given(
    text=st.text("0123456789-+:.TZ QWnatow/", max_size=30)
    | st.datetimes().map(datetime.isoformat)
    | st.builds(
        lambda time, minutes: time.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(" "),
        st.datetimes(),
        st.integers(-1439, 1439),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_time_or_a_refusal(dtype: str, text: str) -> None:
    column = Column(name="t", kind="datetime", dtype=dtype)
    spec = Input(kind="frame", width=1, columns=(column,))
    with contextlib.suppress(RequestError):
        rows = Decoder(spec).decode([{"t": text}]).rows
        (value,) = Assembler(spec).assemble(rows)["t"]
        assert not pd.isna(value)
