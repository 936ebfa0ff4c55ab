"""Parquet in and out, by the pyarrow of the model's environment: a batch of rows at a time.

Sources: arrow.apache.org/docs/python, "Reading and Writing the Apache Parquet Format".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from ..manifest import ColumnKind, Input
from .chunks import MOST_BYTES, MOST_ROWS, Chunk, Reader, Row
from .source import Source
from .stopping import Status, StopError
from .table import positions_by_name

_GROUP_ROWS = 64 * 1024
_GROUP_BYTES = 16 * 1024 * 1024
_TYPES: dict[ColumnKind, Any] = {
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "string": pa.string(),
    "datetime": pa.string(),
}


class ParquetReader:
    """Reads batches of rows; `line` of a row is its number, from 1."""

    def __init__(self, source: Source, spec: Input, *, chosen: Sequence[str]) -> None:
        """Read the schema, and find the model's columns.

        Raises:
            StopError: It isn't Parquet, or hasn't the model's columns.
        """
        self._name = source.name
        with self._refusals():
            # Buffered: otherwise each column of a row group is read as a whole.
            self._file = pq.ParquetFile(source.seekable(), buffer_size=1024 * 1024, pre_buffer=False)
        self.schema = self._file.schema_arrow
        self.names: list[str] = list(self.schema.names)
        self._positions = positions_by_name(spec, self.names, chosen)

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows."""
        done, total = 0, self._file.metadata.num_rows
        batches = self._file.iter_batches(batch_size=self._batch_rows(), use_threads=False)
        while True:
            with self._refusals():
                batch = next(batches, None)
                columns = [] if batch is None else [_values(batch.column(position)) for position in self._positions]
            if batch is None:
                return
            rows = [
                Row(done + i + 1, list(cells), i)
                for i, cells in enumerate(zip(*columns, strict=True) if columns else [[]] * batch.num_rows)
            ]
            done += batch.num_rows
            yield Chunk(rows=rows, batch=batch, fraction=done / total)

    def record(self, chunk: Chunk, row: Row) -> dict[str, Any]:
        """Return a row as JSON values by name."""
        cells = (_plain(column[row.kept].as_py()) for column in chunk.batch.columns)
        return dict(zip(self.names, cells, strict=True))

    def shown(self, chunk: Chunk, row: Row) -> Any:
        """Return a row as JSON values by name."""
        return self.record(chunk, row)

    def kinds(self) -> Mapping[str, ColumnKind]:
        """Return nothing: the file has a type for each column."""
        return {}

    def _batch_rows(self) -> int:
        metadata = self._file.metadata
        size = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        fitting: int = MOST_BYTES * metadata.num_rows // max(size, 1)
        return max(1, min(MOST_ROWS, fitting))

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            raise StopError(Status.NO_INPUT, f"{self._name} can't be read as Parquet: {text}") from error


class ParquetWriter:
    """Writes Parquet with the columns of the input and those that are added, in row groups of bounded size."""

    def __init__(
        self, stream: BinaryIO, names: Sequence[str], *, kinds: Sequence[ColumnKind | None], reader: Reader
    ) -> None:
        """Write what `reader` reads.

        Args:
            stream: Where to.
            names: Of the columns that are added.
            kinds: What they hold; None is for the first values to tell.
            reader: Of the rows: of Parquet, whose columns are written as they are, or of another format.
        """
        self._stream = _Counted(stream)
        self._names = names
        self._kinds = kinds
        self._reader = reader
        self._schema: Any = None
        self._file: Any = None
        self._tables: list[Any] = []

    def write(self, chunk: Chunk, rows: Sequence[tuple[Row, Sequence[Any]]]) -> None:
        """Write rows, each with what is added to it."""
        if not rows:
            return
        table = self._own(chunk, [row for row, _ in rows])
        self._append(table, list(zip(*(added for _, added in rows), strict=True)))
        if (
            sum(each.num_rows for each in self._tables) >= _GROUP_ROWS
            or sum(each.nbytes for each in self._tables) >= _GROUP_BYTES
        ):
            self._write_group()

    def finish(self) -> None:
        """Write what is left, and the end of the file."""
        if self._file is None and not self._tables:
            own = self._reader.schema if isinstance(self._reader, ParquetReader) else _no_rows(self._reader)
            self._append(own.empty_table(), [[] for _ in self._names])
        self._write_group()
        self._file.close()

    def abandon(self) -> None:
        """Write nothing more, not even when it is collected."""
        if self._file is not None:
            self._file.is_open = False

    def _own(self, chunk: Chunk, rows: Sequence[Row]) -> Any:
        if isinstance(self._reader, ParquetReader):
            table = pa.Table.from_batches([chunk.batch], self._reader.schema)
            return table if len(rows) == table.num_rows else table.take([row.kept for row in rows])
        records = [self._reader.record(chunk, row) for row in rows]
        names = list(self._reader.names or records[0])
        if self._schema is None:
            return _table(records, names, _model_types(self._reader))
        try:
            return pa.Table.from_pylist(records, pa.schema([self._schema.field(i) for i in range(len(names))]))
        except (pa.ArrowException, TypeError) as error:
            text = " ".join(str(error).split())
            raise StopError(
                Status.NO_OUTPUT, f"A column's values are not of one type, as Parquet has them: {text}"
            ) from error

    def _append(self, table: Any, added: Sequence[Sequence[Any]]) -> None:
        own = len(table.schema)
        for i, (name, kind, values) in enumerate(zip(self._names, self._kinds, added, strict=True)):
            known = _TYPES.get(kind) if kind else None
            wanted = self._schema.field(own + i).type if self._schema is not None else known
            array = pa.array(list(values), type=wanted)
            if pa.types.is_null(array.type):
                array = array.cast(pa.float64())
            table = table.append_column(name, array)
        if self._schema is None:
            self._schema = table.schema
        self._tables.append(table)

    def _write_group(self) -> None:
        if self._file is None:
            self._file = pq.ParquetWriter(self._stream, self._schema)
        if self._tables:
            self._file.write_table(pa.concat_tables(self._tables))
            self._tables = []


class _Counted:
    """A stream that knows how far it has come, as a pipe doesn't."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._count = 0
        self.closed = False

    def write(self, data: bytes) -> int:
        self._stream.write(data)
        self._count += len(data)
        return len(data)

    def tell(self) -> int:
        return self._count

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self.closed = True


def _values(column: Any) -> list[Any]:
    """Return a column's cells as JSON values; NaN is a missing one."""
    values: list[Any] = column.to_pylist()
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_string(kind):
        return values
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else value  # noqa: PLR0124 - NaN is what isn't itself
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        plain = {name: _plain(each) for name, each in items}
        return plain if isinstance(value, dict) else list(plain.values())
    return value if value is None or isinstance(value, (str, int)) else str(value)


def _model_types(reader: Reader) -> Mapping[str, Any]:
    return {name: _TYPES[kind] for name, kind in reader.kinds().items() if kind in _TYPES}


def _table(records: Sequence[Mapping[str, Any]], names: Sequence[str], types: Mapping[str, Any]) -> Any:
    """Return records as a table: the model's columns of its types, others as their values look."""
    arrays = []
    for name in names:
        array = pa.array([record.get(name) for record in records], type=types.get(name))
        arrays.append(array.cast(pa.string()) if pa.types.is_null(array.type) else array)
    return pa.table(arrays, names=list(names))


def _no_rows(reader: Reader) -> Any:
    return pa.schema([(name, _model_types(reader).get(name, pa.string())) for name in reader.names or []])
