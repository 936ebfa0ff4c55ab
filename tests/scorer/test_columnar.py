"""Parquet files and Arrow streams at /invocations: answered as the same rows in JSON are, or refused."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.scorer.test_abuse import Peak
from tests.scorer.test_protocols import send
from tests.support.pythons import ROOT, installed_lock, this_python
from tests.support.service import Service

PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
TYPES = {".parquet": PARQUET, ".arrow": ARROW}
HOUSES = [
    {"rooms": 3, "area": 70.5, "town": "Ulm", "garden": True},
    {"rooms": 5, "area": None, "town": "Jena", "garden": False},
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tables:
    """Files, and what was told when they were written."""

    directory: Path
    told: Mapping[str, Any]


@pytest.fixture(scope="module")
def pyarrow() -> str:
    return str(installed_lock(this_python(), "arrow"))


@pytest.fixture(scope="module")
def tables(pyarrow: str, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    directory = tmp_path_factory.mktemp("tables")
    done = subprocess.run(
        [sys.executable, ROOT / "tests/clients/write_tables.py", directory],
        env={"PYTHONPATH": f"{pyarrow}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Tables(directory=directory, told=json.loads(done.stdout))


@pytest.fixture(scope="module")
def service(house_image: Image, serve: Serve, pyarrow: str) -> Iterator[Service]:
    with serve(house_image, PYTHONPATH=pyarrow) as running:
        yield running


def ask(service: Service, file: Path, media_type: str | None = None, **headers: str) -> tuple[int, Any]:
    status, _, body = send(service, "/invocations", file.read_bytes(), media_type or TYPES[file.suffix], **headers)
    return status, body


@pytest.mark.parametrize("name", ["houses.parquet", "houses.arrow", "compressed.parquet", "compressed.arrow"])
def test_tables_are_answered_as_the_same_rows_in_json_are(service: Service, tables: Tables, name: str) -> None:
    expected = service.post("/predict", json_body=HOUSES).json()
    status, body = ask(service, tables.directory / name)
    assert (status, json.loads(body)) == (200, {"predictions": expected})


@pytest.mark.parametrize("media_type", ["application/x-parquet", "application/parquet; charset=utf-8"])
def test_parquet_has_other_names_too(service: Service, tables: Tables, media_type: str) -> None:
    assert ask(service, tables.directory / "houses.parquet", media_type)[0] == 200


def test_answers_are_csv_where_that_is_asked_for(service: Service, tables: Tables) -> None:
    expected = service.post("/predict", json_body=HOUSES).json()
    status, body = ask(service, tables.directory / "houses.parquet", Accept="text/csv")
    assert (status, [float(line) for line in body.split()]) == (200, expected)


def test_columns_that_the_model_doesn_t_know_are_counted_and_their_types_don_t_matter(
    service: Service, tables: Tables
) -> None:
    def counted() -> float:
        found = re.search(r"^nachlass_extra_columns_total (\S+)$", service.get("/metrics").text, re.MULTILINE)
        assert found
        return float(found[1])

    before = counted()
    assert ask(service, tables.directory / "houses.parquet")[0] == 200
    assert counted() - before == 1


def test_columns_that_the_model_does_not_know_take_neither_memory_nor_time(service: Service, tables: Tables) -> None:
    peak = Peak(service)
    status, body = ask(service, tables.directory / "others.parquet")
    assert (status, len(json.loads(body)["predictions"])) == (200, 20_000)
    assert peak.growth() < 120_000_000
    started = time.monotonic()
    assert ask(service, tables.directory / "broad.parquet")[0] == 200
    assert time.monotonic() - started < 15


REFUSED = {
    "missing.parquet": (400, "Column 'town' is missing."),
    "nested.parquet": (400, "Column 'town' is of the type list"),
    "nested.arrow": (400, "Column 'town' is of the type struct"),
    "decimal.parquet": (400, "Column 'area' is of the type decimal128(3, 1). Send .*, and decimals as float64."),
    "wrong.parquet": (400, "Column 'rooms': Expected an integer, got 3.5."),
    "none.parquet": (400, "no rows"),
    "many.parquet": (413, "more than 100000 rows"),
    "many.arrow": (413, "more than 100000 rows"),
    "repeated.parquet": (413, "more than 33554432 bytes when it is unpacked"),
    "repeated.arrow": (413, "more than 33554432 bytes when it is unpacked"),
    "zeros.arrow": (413, "more than"),
    "cut.parquet": (400, "can't be read"),
    "cut.arrow": (400, "can't be read"),
    "long.arrow": (400, "can't be read"),
    "text.parquet": (400, "can't be read"),
    "empty.arrow": (400, "can't be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_or_is_too_much_is_refused(service: Service, tables: Tables, name: str) -> None:
    file = tables.directory / name
    assert file.stat().st_size < 100_000
    status, body = ask(service, file)
    told = json.loads(body)
    expected, words = REFUSED[name]
    assert (status, set(told)) == (expected, {"error_code", "message"})
    assert re.search(words.replace("(", r"\(").replace(")", r"\)"), told["message"]), told
    assert "nachlass_predictor_restarts_total 0.0" in service.get("/metrics").text


def test_cells_become_what_json_has(tables: Tables) -> None:
    expected = {
        "integer": [2**60, None],
        "unsigned": [2**64 - 1, 0],
        "float": [None, 1.5],
        "half": [0.5, None],
        "truth": [True, None],
        "text": ["ü", None],
        "long text": ["a", "b"],
        "category": ["x", None],
        "nothing": [None, None],
        "day": ["2020-02-29", None],
        "time": ["2020-02-29 12:00:00.000", None],
        "zoned": ["2020-02-29 12:00:00.000000Z", None],
    }
    assert tables.told["arrow"] == expected
    assert tables.told["parquet"] == {name: cells for name, cells in expected.items() if name != "half"}


def test_damaged_bytes_are_refused_or_read_as_something_else(tables: Tables) -> None:
    assert 100 < tables.told["damaged"] <= 800


def test_they_are_described_where_they_are_read(service: Service, houses: Service) -> None:
    def described(asked: Service) -> set[str]:
        body = asked.get("/openapi.json").json()["paths"]["/invocations"]["post"]["requestBody"]
        return set(body["content"])

    assert described(service) - described(houses) == {PARQUET, ARROW, "application/x-parquet", "application/parquet"}


# --- other pyarrows ---


def pretended(directory: Path, version: str, code: str) -> str:
    """Return a directory with a pyarrow that does what a damaged file may make the real one do."""
    (directory / f"pyarrow-{version}.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: pyarrow\nVersion: {version}\n"
    (directory / f"pyarrow-{version}.dist-info/METADATA").write_text(metadata)
    # scikit-learn asks for its classes. pandas looks at its version, and is content with one that is too old for it.
    (directory / "pyarrow.py").write_text(
        f'__version__ = "1.0.0"\n\ndef __getattr__(name):\n    return type(name, (), {{}})\n\n{code}'
    )
    return str(directory)


def refuses_both(service: Service, tables: Tables) -> None:
    for name in ("houses.parquet", "houses.arrow"):
        status, body = ask(service, tables.directory / name)
        assert status == 415
        assert "add pyarrow>=14.0.1 to requirements.txt" in json.loads(body)["message"]


def test_without_pyarrow_they_are_of_no_type_that_is_read(houses: Service, tables: Tables) -> None:
    refuses_both(houses, tables)


def test_a_pyarrow_that_runs_what_it_reads_is_not_used(
    line_image: Image, serve: Serve, tables: Tables, tmp_path: Path
) -> None:
    with serve(line_image, PYTHONPATH=pretended(tmp_path, "14.0.0", "")) as service:
        refuses_both(service, tables)


def test_a_crash_while_a_table_is_read_costs_this_request_alone(
    line_image: Image, serve: Serve, tables: Tables, tmp_path: Path
) -> None:
    crash = "import os, signal\n\ndef default_memory_pool():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    with serve(line_image, PYTHONPATH=pretended(tmp_path, "26.0.0", crash)) as service:
        expected = service.predict([1.0])
        status, body = ask(service, tables.directory / "houses.arrow")
        assert (status, set(json.loads(body))) == (500, {"error_code", "message"})
        assert service.predict([1.0]) == expected
        assert "SIGSEGV" in service.log()
