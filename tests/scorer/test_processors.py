from __future__ import annotations

from pathlib import Path

import pytest

from scorer.processors import processors


@pytest.mark.parametrize(("limit", "expected"), [("50000 100000", 0.5), ("100000 100000", 1.0)], ids=["half", "one"])
def test_a_container_has_as_many_processors_as_its_limit_allows(tmp_path: Path, limit: str, expected: float) -> None:
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert processors(tmp_path / "cpu.max") == expected


@pytest.mark.parametrize("text", ["max 100000", "", "a b", "1 2 3"])
def test_without_a_limit_it_has_those_of_the_machine(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert processors(tmp_path / "cpu.max") == processors(tmp_path / "none") >= 1
