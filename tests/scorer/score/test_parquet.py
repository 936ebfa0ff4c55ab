"""Parquet in and out, by the pyarrow of the model's environment."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: F401 - before pyarrow is there, since it would make other texts of frames.
import pytest

from tests.scorer.image import Image
from tests.scorer.score.scoring import Scored, columns, objects
from tests.scorer.score.scoring import score as score_without
from tests.support.pythons import installed_lock, this_python

Score = Callable[..., Scored]

pa: Any = None
pq: Any = None


@pytest.fixture(scope="module", autouse=True)
def directory() -> Iterator[str]:
    """Have pyarrow, which is in no environment of the others."""
    global pa, pq  # noqa: PLW0603 - as imports would
    found = str(installed_lock(this_python(), "arrow"))
    sys.path.append(found)
    try:
        import pyarrow  # noqa: ICN001, PLC0415 - see above
        import pyarrow.parquet  # noqa: PLC0415 - see above
    finally:
        sys.path.remove(found)
    pa, pq = pyarrow, pyarrow.parquet
    yield found
    pa = pq = None


@pytest.fixture
def score(directory: str) -> Score:
    return functools.partial(score_without, env={"PYTHONPATH": directory})


def houses() -> Any:
    return pa.table(
        {
            "id": [7, 8, 9],
            "rooms": pa.array([3, 5, None], pa.int32()),
            "area": [70.5, float("nan"), 100.0],
            "town": pa.array(["Ulm", "Jena", "Ulm"]).dictionary_encode(),
            "garden": [True, False, None],
            "seen": [datetime(2024, 5, 1, tzinfo=timezone.utc)] * 3,
            "price": [Decimal("1.50")] * 3,
            "tags": [["a"], [], None],
        }
    )


def bytes_of(table: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def table_of(data: bytes) -> Any:
    return pq.read_table(io.BytesIO(data))


def test_parquet_through_pipes_keeps_its_columns(score: Score, house_image: Image, tmp_path: Path) -> None:
    scored = score(house_image, "--errors", "bad.jsonl", rows=bytes_of(houses()), cwd=tmp_path)
    assert scored.status == 1, scored.err
    table = table_of(scored.out)
    assert table.schema.names == [*houses().schema.names, "prediction"]
    # NaN is not itself.
    assert table.drop_columns(["prediction", "area"]).equals(houses().drop_columns(["area"]).slice(0, 2))
    assert table.schema.field("prediction").type == pa.float64()
    (bad,) = objects((tmp_path / "bad.jsonl").read_bytes())
    assert (bad["line"], bad["row"]["seen"], bad["row"]["garden"]) == (3, "2024-05-01T00:00:00+00:00", None)


def test_other_formats_come_from_parquet_and_go_to_it(score: Score, house_image: Image, tmp_path: Path) -> None:
    (tmp_path / "in.parquet").write_bytes(bytes_of(houses().slice(0, 2), row_group_size=1))
    direct = table_of(score(house_image, "in.parquet", cwd=tmp_path).out)["prediction"].to_pylist()
    lines = score(house_image, "in.parquet", "--to", "jsonl", cwd=tmp_path).objects()
    assert [line.pop("prediction") for line in lines] == direct
    assert lines[1] == {
        "id": 8,
        "rooms": 5,
        "area": None,
        "town": "Jena",
        "garden": False,
        "seen": "2024-05-01T00:00:00+00:00",
        "price": 1.5,
        "tags": [],
    }
    sheet = score(house_image, "in.parquet", "--output", "out.csv", cwd=tmp_path)
    assert sheet.status == 0, sheet.err
    back = score(house_image, "out.csv", "--output", "back.parquet", "--prefix", "again_", cwd=tmp_path)
    assert back.status == 0, back.err
    table = pq.read_table(tmp_path / "back.parquet")
    # Row groups come one by one and a sheet's rows together: as far apart as merged rows may be.
    np.testing.assert_array_max_ulp(np.array(table["again_prediction"]), np.array(direct), maxulp=4)
    types = {name: str(table.schema.field(name).type) for name in ("id", "rooms", "area", "garden", "town")}
    assert types == {"id": "string", "rooms": "int64", "area": "double", "garden": "bool", "town": "string"}
    assert columns(score(house_image, "out.csv", "--prefix", "n_", cwd=tmp_path).csv(), "tags") == [('["a"]',), ("[]",)]


def test_many_rows_get_many_groups_and_no_more_memory(score: Score, spam_image: Image, tmp_path: Path) -> None:
    texts = [f"tasty chips {n}" for n in range(70_000)]
    pq.write_table(pa.table({"t": texts}), tmp_path / "in.parquet", row_group_size=1000)
    scored = score(spam_image, "in.parquet", "--output", "out.parquet", "--probabilities", cwd=tmp_path)
    assert scored.status == 0, scored.err
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (70_000, 2)
    assert file.schema_arrow.names == ["t", "prediction", "probability_legitimate", "probability_spam"]
    assert file.read(["t"])["t"].to_pylist() == texts


def test_no_rows_are_a_file_with_the_columns(score: Score, house_image: Image) -> None:
    scored = score(house_image, rows=bytes_of(houses().slice(0, 0)))
    assert scored.status == 0, scored.err
    assert (table_of(scored.out).num_rows, table_of(scored.out).schema.names[-1]) == (0, "prediction")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: b"PAR1 and nothing else", "can't be read as Parquet"),
        (lambda: bytes_of(houses().drop_columns(["town"])), "no column 'town'"),
    ],
    ids=["damaged", "column"],
)
def test_parquet_that_cannot_be_read_is_an_error(
    score: Score, house_image: Image, data: Callable[[], bytes], message: str
) -> None:
    scored = score(house_image, rows=data())
    assert (scored.status, scored.out) == (66, b"")
    assert message in scored.err
    assert "Traceback" not in scored.err


def test_without_pyarrow_the_error_says_what_to_add(spam_image: Image, tmp_path: Path) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ModuleNotFoundError(\"No module named 'pyarrow'\")\n")
    scored = score_without(spam_image, rows=b"PAR1", env={"PYTHONPATH": str(tmp_path)})
    assert (scored.status, scored.out) == (69, b"")
    assert "Add 'pyarrow>=14.0.1' to requirements.txt and build again" in scored.err
    assert "Traceback" not in scored.err
