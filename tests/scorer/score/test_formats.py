"""What `score` makes of CSV and JSON lines: the same rows, and their predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sklearn.tree import DecisionTreeClassifier

from tests.scorer import models
from tests.scorer.conftest import NewImage, built
from tests.scorer.image import Image
from tests.scorer.score.scoring import closing, columns, score
from tests.support.service import Service

HOUSES = (
    b"\xef\xbb\xbfid,garden,rooms,note,area,town\r\n"
    b'007,true,3,"two\r\nlines, ""quoted""",70.50,Ulm\r\n'
    b"8,false,5,,,Jena\r\n"
)
FLOWERS = "5.1,3.5,1.4,0.2\n7.0,3.2,4.7,1.4\n6.3,3.3,6.0,2.5\n"


def test_csv_keeps_every_cell_its_line_ends_and_its_mark(house_image: Image) -> None:
    scored = score(house_image, rows=HOUSES)
    assert scored.status == 0, scored.err
    assert scored.err.splitlines()[-1].startswith(closing(2, 0))
    first, second = (row[-1].encode() for row in scored.csv()[1:])
    assert float(first) < float(second)
    expected = HOUSES.replace(b"area,town", b"area,town,prediction")
    assert scored.out == expected.replace(b"Ulm", b"Ulm," + first).replace(b"Jena", b"Jena," + second)


def test_answers_are_those_of_the_service(houses: Service, house_image: Image) -> None:
    rows = [
        {"rooms": 3, "area": 70.5, "town": "Ulm", "garden": True},
        {"rooms": 5, "area": None, "town": "Jena", "garden": False},
    ]
    asked = houses.predict(rows)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert [each["prediction"] for each in score(house_image, rows=lines).objects()] == asked
    table = score(house_image, rows="town,garden,area,rooms\nUlm,true,70.5,3\nJena,false,,5\n").csv()
    assert [float(cell) for (cell,) in columns(table, "prediction")] == asked


def test_objects_keep_their_bytes(house_image: Image) -> None:
    first = '{ "big": 123456789012345678901234567890, "rooms":3,"area":7.0e1 ,"town":"Ulm","owner":"Ü","garden":true }'
    scored = score(house_image, rows=f'\n{first}\r\n[3, 70.0, "Ulm", true]\n')
    assert scored.status == 0, scored.err
    lines = scored.out.decode().splitlines()
    assert lines[0].startswith(first.rstrip(" }") + ',"prediction":')
    assert lines[1].startswith('{"row":[3, 70.0, "Ulm", true],"prediction":')


def test_probabilities_have_the_names_of_their_classes(flower_image: Image, flowers: Service) -> None:
    scored = score(flower_image, "--probabilities", rows="a,b,c,d\n" + FLOWERS)
    assert scored.status == 0, scored.err
    table = scored.csv()
    names = ["probability_setosa", "probability_versicolor", "probability_virginica"]
    assert table[0] == ["a", "b", "c", "d", "prediction", *names]
    answers = flowers.post("/predict?probabilities=true", json_body=models.FLOWERS.tolist()[:3]).json()
    assert [list(map(float, row)) for row in columns(table, *names)] == [
        list(answer["probabilities"].values()) for answer in answers
    ]


def test_several_outputs_have_a_column_each(new_image: NewImage) -> None:
    pairs = [["a", "x"], ["b", "y"], ["b", "z"], ["a", "x"]]
    image = built(new_image(), [DecisionTreeClassifier().fit(models.FLOWERS, pairs)], models.FLOWERS)
    table = score(image, "--probabilities", rows="w,x,y,z\n" + FLOWERS).csv()
    outputs = ["prediction_1", "prediction_2"]
    numbers = [f"probability_{name}" for name in ("1_1", "1_2", "2_1", "2_2", "2_3")]
    assert table[0] == ["w", "x", "y", "z", *outputs, *numbers]
    assert columns(table, *outputs) == [("a", "x"), ("b", "y"), ("b", "z")]
    assert columns(table, *numbers)[2] == ("0.0", "1.0", "0.0", "0.0", "1.0")


def test_model_without_probabilities_says_so(line_image: Image) -> None:
    scored = score(line_image, "--probabilities", rows="1\n")
    assert (scored.status, scored.out) == (2, b"")
    assert "The model has no probabilities." in scored.err


@pytest.mark.parametrize(
    ("words", "rows", "out"),
    [
        (["--header", "present"], "text\ntasty chips\n", "text,prediction\ntasty chips,spam\n"),
        ([], 'tasty chips\n"a lord, obliged"\n', 'tasty chips,spam\n"a lord, obliged",legitimate\n'),
        (["--column", "b"], "a,b\n1,tasty chips\n", "a,b,prediction\n1,tasty chips,spam\n"),
        (["--column", "b"], '{"a": 1, "b": "tasty"}\n', '{"a": 1, "b": "tasty","prediction":"spam"}\n'),
        (
            ["--from", "jsonl"],
            '"tasty"\n["tasty"]\n',
            '{"text":"tasty","prediction":"spam"}\n{"row":["tasty"],"prediction":"spam"}\n',
        ),
        (["--prefix", "new_"], '{"t": "tasty", "prediction": 1}\n', None),
        (["--to", "jsonl", "--header", "present"], "t\ntasty\n", '{"t":"tasty","prediction":"spam"}\n'),
        (["--from", "jsonl", "--to", "csv"], '"tasty"\n', "text,prediction\ntasty,spam\n"),
    ],
    ids=["header", "no-header", "column", "key", "strings", "two-keys", "csv-to-jsonl", "jsonl-to-csv"],
)
def test_texts_come_in_any_way(spam_image: Image, words: list[str], rows: str, out: str | None) -> None:
    scored = score(spam_image, *words, rows=rows)
    if out is None:
        assert scored.status == 1
        assert "say with --column which to take" in scored.err
        return
    assert (scored.status, scored.out.decode()) == (0, out), scored.err


def test_first_text_that_looks_like_a_name_is_told(spam_image: Image) -> None:
    scored = score(spam_image, rows="text\ntasty\n")
    assert scored.out.decode().splitlines()[1] == "tasty,spam"
    assert "The first line, 'text', is taken as a text: --header present says it is a name." in scored.err


def test_formats_of_files_are_told_by_their_names(house_image: Image, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(HOUSES)
    scored = score(house_image, "in.csv", "--output", "out.ndjson", "--quiet", cwd=tmp_path)
    assert (scored.status, scored.out, scored.err) == (0, b"", "")
    first, second = map(json.loads, (tmp_path / "out.ndjson").read_text().splitlines())
    assert list(first) == ["id", "garden", "rooms", "note", "area", "town", "prediction"]
    # What the model uses is what it is; of other columns nobody knows.
    assert (first["id"], first["garden"], first["rooms"], first["area"]) == ("007", True, 3, 70.5)
    assert second["area"] is None


def test_column_that_is_there_already_is_an_error_that_tells_the_way_out(house_image: Image) -> None:
    rows = "rooms,area,town,garden,prediction\n3,70.5,Ulm,true,9\n"
    scored = score(house_image, rows=rows)
    assert (scored.status, scored.out) == (66, b"")
    assert "The input has a column 'prediction' already: --prefix" in scored.err
    assert score(house_image, "--prefix", "new_", rows=rows).csv()[0][-2:] == ["prediction", "new_prediction"]
    row = '{"rooms": 3, "area": 70.5, "town": "Ulm", "garden": true, "prediction": 9}\n'
    assert "line 1: The row has a key 'prediction' already" in score(house_image, rows=row).err


def test_what_the_model_prints_and_reads_are_not_the_rows(odd_image: Image) -> None:
    scored = score(odd_image, rows="1\n2\n")
    assert scored.status == 0, scored.err
    assert scored.out == b"1,2.0\n2,4.0\n"
    assert "predicting 2 rows, and stdin has ''" in scored.err
