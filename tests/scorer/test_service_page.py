"""What docs/service.md shows is answered as it says."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.pythons import ROOT
from tests.support.service import Service

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")
KINDS = {"texts": "spam", "numbers without names": "flowers", "named columns": "priced"}
COUNTS = {"one row": 1, "two rows": 2}


def rows_of(kind: str) -> list[tuple[str, int]]:
    """Return the spellings in the table of a kind of model, with the number of rows that each is said to be."""
    section = PAGE.partition(f"A model of {kind}")[2].partition("\nA model of ")[0]
    found = re.findall(r"^\| `(.+?)` \| (one row|two rows)", section, re.MULTILINE)
    return [(spelling, COUNTS[count]) for spelling, count in found]


@pytest.mark.parametrize("kind", KINDS)
def test_spellings_of_the_page_are_answered(request: pytest.FixtureRequest, kind: str) -> None:
    service: Service = request.getfixturevalue(KINDS[kind])
    assert len(rows_of(kind)) >= 2
    for spelling, count in rows_of(kind):
        answer = service.post("/predict", json_body=json.loads(spelling))
        assert answer.status == 200, answer.json()
        assert len(answer.json()) == count, spelling


def test_fraction_for_a_whole_number_is_refused_as_the_page_says(houses: Service) -> None:
    row = {"rooms": 3.0, "area": 70.5, "town": "Ulm", "garden": True}
    assert houses.post("/predict", json_body=[row]).status == 200
    assert houses.post("/predict", json_body=[{**row, "rooms": 3.5}]).status == 400
