"""Which reader and which writer a run has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..encode import dump
from ..manifest import Input
from .added import Added, require_free
from .arguments import Format, Options
from .chunks import Chunk, Reader, Row
from .csvfile import CsvReader, CsvWriter, cell
from .jsonlines import JsonReader, JsonWriter, own_object
from .source import Source
from .stopping import Status, StopError
from .target import Target

_OLDEST_ARROW = (14, 0, 1)
"""Before, a Parquet file could run code (CVE-2023-47248)."""


class Writer(Protocol):
    """Writes an output of one format."""

    def write(self, chunk: Chunk, rows: Sequence[tuple[Row, Sequence[Any]]]) -> None:
        """Write rows, each with what is added to it."""

    def finish(self) -> None:
        """Write what is missing of a whole file."""

    def abandon(self) -> None:
        """Write nothing more."""


def require_parquet() -> None:
    """Import what reads and writes Parquet.

    Raises:
        StopError: The model's environment hasn't it.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - CSV and JSON lines are read without it.

        from . import parquet  # noqa: F401, PLC0415 - as above
    except ImportError as error:
        raise StopError(
            Status.NO_MODEL,
            f"Parquet needs pyarrow, which the model's environment hasn't ({error}). "
            "Add 'pyarrow>=14.0.1' to requirements.txt and build again, or use CSV or JSON lines.",
        ) from error
    if tuple(int(part) for part in pa.__version__.split(".")[:3] if part.isdecimal()) < _OLDEST_ARROW:
        raise StopError(
            Status.NO_MODEL,
            f"Parquet needs pyarrow 14.0.1 or newer, and the model's environment has {pa.__version__}. "
            "Ask for it in requirements.txt and build again.",
        )


def open_reader(source: Source, form: Format, spec: Input, options: Options, added: Added, *, is_same: bool) -> Reader:
    """Return the reader of an input; `is_same` if the output has its format.

    Raises:
        StopError: The input can't be read, or doesn't fit the model.
    """
    if spec.kind == "frame" and options.columns:
        raise StopError(Status.USAGE, "The model's columns have names: --column is for models whose input has none.")
    if options.columns and len(options.columns) != spec.width:
        raise StopError(Status.USAGE, f"The model takes {spec.width} values a row: say --column {spec.width} times.")
    reader: Reader
    match form:
        case "csv":
            reader = CsvReader(source, spec, header=options.header, chosen=options.columns)
        case "jsonl":
            reader = JsonReader(source, spec, chosen=options.columns, added=added.names, is_fixed=not is_same)
        case "parquet":
            from .parquet import ParquetReader  # noqa: PLC0415 - needs pyarrow

            reader = ParquetReader(source, spec, chosen=options.columns)
    names = reader.names or ()
    require_free(added, names)
    if not is_same and len(set(names)) != len(names):
        raise StopError(Status.NO_INPUT, "Columns of the input have the same name, which only CSV can have.")
    return reader


def open_writer(target: Target, form: Format, reader: Reader, spec: Input, added: Added) -> Writer:
    """Return the writer of an output; CSV gets its header.

    Raises:
        OSError: The output can't be written.
    """
    match form:
        case "csv":
            return _csv_writer(target, reader, added)
        case "jsonl":
            object_of = own_object(spec) if isinstance(reader, JsonReader) else _object_of(reader)
            return JsonWriter(target.stream, added.names, object_of=object_of)
        case "parquet":
            from .parquet import ParquetWriter  # noqa: PLC0415 - needs pyarrow

            return ParquetWriter(target.stream, added.names, kinds=added.kinds, reader=reader)


def _csv_writer(target: Target, reader: Reader, added: Added) -> Writer:
    if isinstance(reader, CsvReader):
        writer = CsvWriter(target.stream, cells_of=lambda _chunk, row: row.kept, line_end=reader.line_end)
        writer.begin(None if reader.names is None else [*reader.names, *added.names], has_bom=reader.has_bom)
        return writer
    names = list(reader.names or ())

    def cells_of(chunk: Chunk, row: Row) -> list[Any]:
        record = reader.record(chunk, row)
        return [cell(record.get(name)) for name in names]

    writer = CsvWriter(target.stream, cells_of=cells_of)
    writer.begin([*names, *added.names])
    return writer


def _object_of(reader: Reader) -> Callable[[Chunk, Row], bytes]:
    return lambda chunk, row: dump(reader.record(chunk, row))
