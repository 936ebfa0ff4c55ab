"""Rows that can't be predicted: told by line, kept apart, and no harm to others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.scorer.image import Image
from tests.scorer.score.scoring import Scored, closing, columns, objects, score

GOOD = "3,70.5,Ulm,true"


def kept(image: Image, tmp_path: Path, *words: str, rows: bytes | str) -> tuple[Scored, list[dict[str, object]]]:
    """Score with `--errors`; return what was kept."""
    scored = score(image, *words, "--errors", "bad.jsonl", rows=rows, cwd=tmp_path)
    return scored, objects((tmp_path / "bad.jsonl").read_bytes())


def test_each_kind_of_bad_line_of_csv_is_kept_with_its_line(house_image: Image, tmp_path: Path) -> None:
    lines = [
        "rooms,area,town,garden",
        GOOD,
        "x,70.5,Ulm,true",  # 3: no number
        "3.5,70.5,Ulm,true",  # 4: no integer
        "3,70.5,Ulm",  # 5: too few
        "",
        '3,70.5,"two',
        'lines",true',  # 7: good, if no town that was seen
        '3,70.5,"Ulm"x,true',  # 9: no CSV
        "3,1e999,Ulm,true",  # 10: no float
        GOOD,
        '3,70.5,"never closed,true',  # 12
        GOOD,
    ]
    rows = "\n".join(lines).encode() + b"\n3,70.5,\xff,true\n"  # 14: no UTF-8
    scored, bad = kept(house_image, tmp_path, rows=rows)
    assert scored.status == 1, scored.err
    assert scored.err.splitlines()[-1].startswith(closing(11, 8))
    assert [(each["line"], each["code"], each["error"]) for each in bad] == [
        (3, "wrong-value", "Column 'rooms': Expected a number, got 'x'."),
        (4, "wrong-value", "Column 'rooms': Expected an integer, got 3.5."),
        (5, "invalid-csv", "Expected 4 cells, got 3."),
        (7, "refused-by-model", bad[3]["error"]),
        (9, "invalid-csv", "It is not CSV: ',' expected after '\"'."),
        (10, "wrong-value", "Column 'area': 1e999 is too large for a number."),
        (12, "invalid-csv", "A quote has no end."),
        (14, "invalid-csv", "Byte 8 of line 14 is not UTF-8."),
    ]
    assert bad[0]["row"] == {"rooms": "x", "area": "70.5", "town": "Ulm", "garden": "true"}
    assert bad[2]["row"] == ["3", "70.5", "Ulm"]
    assert bad[6]["row"] == '3,70.5,"never closed,true'
    assert bad[7]["row"] == "3,70.5,\\xff,true"
    texts = [text for (text,) in columns(scored.csv(), "prediction")]
    assert scored.out.decode().splitlines()[1:] == [f"{GOOD},{text}" for text in texts]
    assert len(texts) == 3
    # A processor may add the last row of a call up in another order: as far apart as merged rows may be.
    np.testing.assert_array_max_ulp(np.array(texts, dtype=float), np.full(3, float(texts[0])), maxulp=4)


def test_each_kind_of_bad_json_is_kept_with_its_line(house_image: Image, tmp_path: Path) -> None:
    good = {"rooms": 3, "area": 70.5, "town": "Ulm", "garden": True}
    lines = [
        json.dumps(good),
        "{",  # 2
        json.dumps({**good, "garden": "yes"}),  # 3
        json.dumps({"rooms": 3}),  # 4
        "7",  # 5
        json.dumps([3, 70.5]),  # 6
        '{"rooms": NaN, "area": 1, "town": "Ulm", "garden": true}',  # 7
        json.dumps(good),
    ]
    scored, bad = kept(house_image, tmp_path, rows="\n".join(lines).encode() + b'\n{"town": "\xe4"}\n')
    assert scored.status == 1, scored.err
    assert [(each["line"], each["code"]) for each in bad] == [
        (2, "invalid-json"),
        (3, "wrong-value"),
        (4, "missing-column"),
        (5, "invalid-input"),
        (6, "invalid-input"),
        (7, "invalid-json"),
        (9, "invalid-json"),
    ]
    assert bad[1]["row"] == {**good, "garden": "yes"}
    assert len(scored.objects()) == 2


def test_bad_rows_without_a_file_are_told_ten_of_them(flower_image: Image) -> None:
    rows = "".join("1,2,3,4\n" + "1,,3,4\n" * (i % 2) for i in range(24))
    scored = score(flower_image, rows=rows)
    assert scored.status == 1
    assert len(scored.csv()) == 24
    told = [line for line in scored.err.splitlines() if line.startswith("line ")]
    assert [int(line.split()[1].rstrip(":")) for line in told] == [3 * i for i in range(1, 11)]
    assert "and 2 more bad rows; --errors FILE keeps them all" in scored.err


def test_rows_at_which_the_model_fails_are_found_among_thousands(odd_image: Image, tmp_path: Path) -> None:
    numbers = [n % 7 for n in range(5000)]
    numbers[1234], numbers[4321], numbers[4322] = 13, 17, 13
    scored, bad = kept(odd_image, tmp_path, rows="".join(f"{n}\n" for n in numbers))
    assert scored.status == 1
    assert [(each["line"], each["code"]) for each in bad] == [(n, "internal-error") for n in (1235, 4322, 4323)]
    assert bad[0]["error"] == "The model failed: KeyError: 'no thirteens'"
    assert [row[1] for row in scored.csv()] == [f"{n * 2:.1f}" for n in numbers if n < 13]
    assert scored.err.count("Traceback") == 1


def test_too_many_bad_rows_stop_the_run(flower_image: Image, tmp_path: Path) -> None:
    words = ("--max-errors", "2", "--output", "out.csv")
    scored, bad = kept(flower_image, tmp_path, *words, rows="1,2,3,4\n" + "1\n" * 5)
    assert scored.status == 65
    assert "There are more than 2 bad rows." in scored.err
    assert [each["line"] for each in bad] == [2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl"]
    assert kept(flower_image, tmp_path, *words, rows="1,2,3,4\n" + "1\n" * 2)[0].status == 1


def test_quote_without_an_end_takes_one_line_with_it_and_not_the_rest(spam_image: Image, tmp_path: Path) -> None:
    rows = 'tasty\n"tasty\n' + "tasty\n" * 150_000
    scored, bad = kept(spam_image, tmp_path, rows=rows)
    assert scored.status == 1
    assert [(each["line"], each["error"]) for each in bad] == [(2, "A quote has no end.")]
    assert scored.out.count(b"tasty,spam\n") == 150_001


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_line_without_an_end_is_bad_and_not_memory(spam_image: Image, form: str, tmp_path: Path) -> None:
    good = "tasty" if form == "csv" else '"tasty"'
    rows = f"{good}\n{'x' * (40 * 1024 * 1024)}\n{good}\n"
    scored, bad = kept(spam_image, tmp_path, "--from", form, rows=rows)
    assert scored.status == 1
    assert [(each["line"], each["error"]) for each in bad] == [(2, "A line is longer than 32 MiB.")]
    assert len(scored.out.splitlines()) == 2
