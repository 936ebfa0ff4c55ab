"""JSON lines in and out; an object is written with its own bytes, so that nothing of it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from ..decode import parse_json
from ..encode import dump
from ..errors import RequestError, missing_columns, shown
from ..manifest import ColumnKind, Input
from .chunks import BadRow, Chunk, Row, in_chunks
from .csvfile import names_of
from .source import Lines, LineTooLongError, Source
from .table import unclear, used_columns


class JsonReader:
    """Reads a JSON value from each line: an object by names, an array of cells, or a single value."""

    def __init__(
        self, source: Source, spec: Input, *, chosen: Sequence[str], added: Sequence[str], is_fixed: bool
    ) -> None:
        """Read the first lines.

        Args:
            source: The input.
            spec: The model's input.
            chosen: For a model whose input has no names: the keys that the person named, if any.
            added: Names that no row may have, because the output adds them.
            is_fixed: All rows have to have the keys of the first, because the output has one header.
        """
        self._source = source
        self._spec = spec
        self._chosen = list(chosen)
        self._added = frozenset(added)
        self._is_fixed = is_fixed
        self._chunks = in_chunks(self._rows(), source.fractions())
        self.names: list[str] | None = None
        self._known: frozenset[str] = frozenset()
        self._first = next(self._chunks, None) if is_fixed else None

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows."""
        if self._first is not None:
            yield self._first
        yield from self._chunks

    def record(self, _chunk: Chunk, row: Row) -> dict[str, Any]:
        """Return an object as it is, anything else by names made for it."""
        return self._by_name(parse_json(row.kept))

    def shown(self, _chunk: Chunk, row: Row) -> Any:
        """Return the row's value."""
        return parse_json(row.kept)

    def kinds(self) -> Mapping[str, ColumnKind]:
        """Return what the model's columns hold."""
        columns = used_columns(self._spec)
        names = [column.name for column in columns] if self._spec.kind == "frame" else self._chosen or self.names or []
        return {name: column.kind for name, column in zip(names, columns, strict=False)}

    def _rows(self) -> Iterator[tuple[Row | BadRow, int]]:
        lines = Lines(self._source)
        while True:
            try:
                raw = next(lines).strip()
            except StopIteration:
                return
            except LineTooLongError as error:
                yield BadRow(line=lines.number, error=str(error), code="invalid-json", row=None), 0
                continue
            if raw:
                yield self._row(lines.number, raw), len(raw)

    def _row(self, line: int, raw: bytes) -> Row | BadRow:
        try:
            value = parse_json(raw)
        except RequestError as error:
            shown = raw.decode("utf-8", "backslashreplace")
            return BadRow(line=line, error=error.message, code=error.code, row=shown)
        try:
            return Row(line, self._cells(value), raw)
        except RequestError as error:
            return BadRow(line=line, error=error.message, code=error.code, row=value)

    def _cells(self, value: Any) -> Any:
        if self._is_fixed:
            self._check_names(self._by_name(value))
        if not isinstance(value, dict):
            return value if isinstance(value, list) else [value]
        taken = self._added.intersection(value)
        if taken:
            raise RequestError(
                f"The row has a key {min(taken)!r} already: --prefix gives what is added another name.",
                code="invalid-input",
            )
        if self._spec.kind == "frame":
            return value
        if not self._chosen:
            if len(value) != self._spec.width:
                raise RequestError(unclear(self._spec, list(value)), code="invalid-input")
            self._chosen = list(value)
        if missing := [name for name in self._chosen if name not in value]:
            raise RequestError(missing_columns(missing), code="missing-column")
        return [value[name] for name in self._chosen]

    def _by_name(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        cells = value if isinstance(value, list) else [value]
        return dict(zip(names_of(self._spec, len(cells)), cells, strict=False))

    def _check_names(self, record: dict[str, Any]) -> None:
        if self.names is None:
            self.names = list(record)
            self._known = frozenset(record)
        unknown = next((name for name in record if name not in self._known), None)
        if unknown is not None:
            raise RequestError(f"The first row has no key {shown(unknown)}, as this one has.", code="unknown-column")


class JsonWriter:
    """Writes an object a line, with the names of what is added after the row's own."""

    def __init__(self, stream: BinaryIO, names: Sequence[str], *, object_of: Callable[[Chunk, Row], bytes]) -> None:
        self._stream = stream
        self._keys = [dump(name) for name in names]
        self._object_of = object_of

    def write(self, chunk: Chunk, rows: Sequence[tuple[Row, Sequence[Any]]]) -> None:
        """Write rows, each with what is added to it."""
        self._stream.write(b"".join(self._line(self._object_of(chunk, row), added) for row, added in rows))

    def finish(self) -> None:
        """Write what is missing of a whole file: nothing."""

    def abandon(self) -> None:
        """Write nothing more: nothing is held back."""

    def _line(self, row: bytes, added: Sequence[Any]) -> bytes:
        cells = b",".join(key + b":" + dump(value) for key, value in zip(self._keys, added, strict=True))
        own = row[:-1].rstrip()
        return own + (b"" if own == b"{" else b",") + cells + b"}\n"


def own_object(spec: Input) -> Callable[[Chunk, Row], bytes]:
    """Return what makes the object of a row of JSON lines: itself, or one with the value as `text` or `row`."""

    def make(_chunk: Chunk, row: Row) -> bytes:
        raw: bytes = row.kept
        if raw.startswith(b"{"):
            return raw
        key = b"text" if spec.kind == "text" and raw.startswith(b'"') else b"row"
        return b'{"' + key + b'":' + raw + b"}"

    return make
