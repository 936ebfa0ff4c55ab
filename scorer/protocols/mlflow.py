"""MLflow's scoring protocol, which is also Amazon SageMaker's: `POST /invocations`.

Sources: mlflow.org, "Deploy MLflow Model as a Local Inference Server"; docs.aws.amazon.com, "Use your own inference
code with hosting services".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from ..body import check_charset
from ..cells import cell_reader, columns_by_position, has_header, records, spelled
from ..decode import Batch, Decoder, parse_json
from ..encode import dump
from ..errors import RequestError, counted, shown, too_many_rows
from ..inputs import array_column
from ..manifest import Input
from ..packed import Form, Packed, Unpacked
from ..rows import kind_of
from .base import JSON, Answer, Problem, Question, Request, Sealed, bare, predictions
from .columnar import FORMS
from .npy import read_npy
from .pointers import below

CSV = "text/csv"
NPY = "application/x-npy"

_KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_ROWS_AT_A_TIME = 500
_CODES = {400: "BAD_REQUEST", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 503: "RESOURCE_EXHAUSTED"}


class MLflow:
    """Reads JSON of MLflow's four keys, a bare array as SageMaker has it, CSV with or without a header, and npy.

    Parquet and Arrow streams too, of up to `max_bytes` when they are unpacked, if `has_pyarrow`.
    """

    def __init__(self, spec: Input, decoder: Decoder, *, has_pyarrow: bool = False, max_bytes: int = 0) -> None:
        self._decoder = decoder
        self._by_name = spec.kind == "frame"
        self._columns = tuple(column.name for column in spec.columns) if self._by_name else None
        self._forms = FORMS if has_pyarrow else {}
        self._max_bytes = max_bytes
        self._table = _CsvTable(spec, max_rows=decoder.max_rows)

    def read(self, request: Request) -> Question | Sealed:
        """Read rows of one of the types."""
        media_type, _, parameters = (request.content_type or JSON).partition(";")
        media_type = media_type.strip().lower()
        check_charset(parameters)
        wants_csv = prefers_csv(request.accept)
        if media_type == JSON:
            batch, is_bare = self._from_json(request.body)
        elif media_type == CSV:
            rows, is_bare = self._table.read(request.body, parameters)
            batch = self._decoder.decode(rows)
        elif media_type == NPY:
            batch, is_bare = self._decoder.decode(read_npy(request.body, max_rows=self._decoder.max_rows)), True
        elif media_type in self._forms:
            return self._sealed(self._forms[media_type], request.body, _as_csv if wants_csv else predictions)
        else:
            raise _unsupported(media_type)
        render: Callable[[list[Any]], Answer] = _as_csv if wants_csv else bare if is_bare else predictions
        return Question(batch=batch, render=render)

    def _sealed(self, form: Form, body: bytes, render: Callable[[list[Any]], Answer]) -> Sealed:
        def read(table: Unpacked) -> Question:
            rows = _transposed(table.cells)
            if not self._by_name:
                return Question(batch=self._decoder.decode(rows), render=render)
            split = {"columns": table.names, "data": rows}
            return Question(batch=self._decoder.decode(split, others=len(table.others)), render=render)

        packed = Packed(
            form=form, data=body, wanted=self._columns, max_rows=self._decoder.max_rows, max_bytes=self._max_bytes
        )
        return Sealed(packed=packed, read=read)

    def error(self, problem: Problem) -> bytes:
        """Return `{"error_code": …, "message": …}`."""
        default = "INTERNAL_ERROR" if problem.status >= 500 else "BAD_REQUEST"
        return dump({"error_code": _CODES.get(problem.status, default), "message": problem.message})

    def _from_json(self, body: bytes) -> tuple[Batch, bool]:
        value = parse_json(body)
        if isinstance(value, list):
            return self._decoder.decode(value), True
        if not isinstance(value, dict):
            raise RequestError(f"Expected an object or an array, got {kind_of(value)}.", pointer="")
        found = [key for key in _KEYS if key in value]
        if len(found) != 1:
            raise RequestError(f"Expected exactly one of the keys {', '.join(_KEYS)}.", pointer="")
        (key,) = found
        given = value[key]
        expected: dict[str, type] = {"dataframe_split": dict, "dataframe_records": list, "instances": list}
        if key in expected and not isinstance(given, expected[key]):
            raise RequestError(f"Expected {kind_of(expected[key]())}, got {kind_of(given)}.", pointer=f"/{key}")
        if key == "dataframe_split" and not isinstance(given.get("data"), list):
            raise RequestError("Expected an array of rows.", pointer="/dataframe_split/data")
        return below(f"/{key}", self._decoder.decode, given), False


class _CsvTable:
    """CSV by the kinds of the model's columns: an empty cell is a missing value where the column may have such."""

    def __init__(self, spec: Input, *, max_rows: int) -> None:
        self._spec = spec
        self._max_rows = max_rows
        self._readers = {column.name: cell_reader(column) for column in spec.columns}
        self._other = cell_reader(None)

    def read(self, body: bytes, parameters: str) -> tuple[Any, bool]:
        """Return a value for the decoder, and whether there was no header.

        Raises:
            RequestError: It isn't CSV, has too many rows, or a cell isn't of its column's kind.
        """
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise RequestError(f"The input is not UTF-8 (byte {error.start}).", code="invalid-csv") from None
        try:
            reader = records(io.StringIO(text, newline=""))
            # One more than there may be, and a header.
            lines = list(islice(((reader.line_num, line) for line in reader if line), self._max_rows + 2))
        except csv.Error as error:
            raise RequestError(f"The input is not CSV: {error}.", code="invalid-csv") from None
        if not lines:
            raise RequestError("The input is empty: send rows as CSV.", code="no-rows")
        first = lines[0][1]
        is_header = self._is_header(first, parameters)
        rows = lines[1:] if is_header else lines
        if len(rows) > self._max_rows:
            raise too_many_rows(self._max_rows)
        if self._spec.kind == "frame" and is_header:
            readers: Sequence[Callable[[str], Any]] = [self._readers.get(name, self._other) for name in first]
            return {"columns": first, "data": [_row(line, readers, number) for number, line in rows]}, False
        if self._spec.kind == "text":
            if any(len(line) != 1 for _, line in rows):
                raise RequestError("Expected one text a line; quote texts that have commas.", code="invalid-csv")
            return [line[0] for _, line in rows], not is_header
        readers = self._by_position(len(rows[0][1])) if rows else ()
        return [_row(line, readers, number) for number, line in rows], not is_header

    def _by_position(self, width: int) -> Sequence[Callable[[str], Any]]:
        if self._spec.kind != "frame":  # All of one kind, however many there are.
            return [cell_reader(array_column(self._spec))] * width
        return [cell_reader(each) for each in columns_by_position(self._spec, width)]

    def _is_header(self, line: Sequence[str], parameters: str) -> bool:
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "header":
                return value.strip().strip('"').lower() == "present"
        return has_header(line, self._spec)


def _transposed(columns: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the rows of columns, some at a time: a call of millions would keep the event loop from its turn."""
    rows: list[list[Any]] = []
    for start in range(0, len(columns[0]) if columns else 0, _ROWS_AT_A_TIME):
        rows.extend(map(list, zip(*(cells[start : start + _ROWS_AT_A_TIME] for cells in columns), strict=True)))
    return rows


def _unsupported(media_type: str) -> RequestError:
    message = f"Send {JSON}, {CSV} or {NPY}, not {shown(media_type)}."
    if media_type in FORMS:
        message = f"For {media_type}, add pyarrow>=14.0.1 to requirements.txt and build again; or send {JSON} or {CSV}."
    return RequestError(message, code="unsupported-media-type", status=415)


def prefers_csv(accept: str) -> bool:
    """Tell whether an answer in CSV is asked for; JSON is the default.

    Raises:
        RequestError: It asks for something else than either (406).
    """
    ranges = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if any(each in ("", "*/*", "application/*", JSON) for each in ranges):
        return CSV in ranges and JSON not in ranges and ranges[0] == CSV
    if CSV in ranges or "text/*" in ranges:
        return True
    raise RequestError(f"Answers are {JSON} or {CSV}.", code="not-acceptable", status=406)


def _row(line: Sequence[str], readers: Sequence[Callable[[str], Any]], number: int) -> list[Any]:
    if len(line) != len(readers):
        raise RequestError(f"Line {number} has {counted(len(line), 'cell')}, not {len(readers)}.", code="invalid-csv")
    try:
        return [read(text) for text, read in zip(line, readers, strict=True)]
    except RequestError as error:
        raise RequestError(f"Line {number}: {error.message}", code=error.code) from error


def _as_csv(values: list[Any]) -> Answer:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([spelled(each) for each in (value if isinstance(value, list) else [value])] for value in values)
    return Answer(body=text.getvalue().encode(), content_type="text/csv; charset=utf-8")
