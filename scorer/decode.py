"""The one decoder: from the JSON of a request to one `Batch` of checked rows, whatever the spelling."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from .columns import Codec
from .errors import RequestError
from .inputs import codecs
from .manifest import Input
from .matrix import Matrix, Rows
from .rows import Reader, Table

_MANY = 2**31 - 1
_WORTH_PACKING = 8
_LITERAL = re.compile("NaN|Infinity")
"""What JSON lacks, and what writers of numbers write nevertheless."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Checked rows of one request, as plain JSON values; `inputs.Assembler` makes of them what `predict` takes.

    `rows` are n texts, or n rows of the cells that the model uses; many rows of numbers may be a matrix instead.
    `null_pointer` is where the first missing value stood in the request, so that a model's complaint about it can say
    so. `extra` is how many columns the request had that the model doesn't know.
    """

    rows: Rows
    null_pointer: str | None = None
    extra: int = 0


def parse_json(body: bytes) -> Any:
    """Return the value that `body` holds.

    Raises:
        RequestError: It isn't JSON, as RFC 8259 has it.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _explain_json(body, error)


class Decoder:
    """Reads requests for one model's input, of up to `max_rows`; `is_strict` refuses columns that it doesn't know.

    With `packs`, many rows of numbers become a matrix.
    """

    def __init__(self, spec: Input, *, is_strict: bool = False, max_rows: int = _MANY, packs: bool = False) -> None:
        self.max_rows = max_rows
        self._spec = spec
        self._reader = Reader(spec, max_rows=max_rows)
        self._is_strict = is_strict
        self._codecs: Sequence[Codec] = codecs(spec)
        self._packs = packs and spec.kind == "array" and self._codecs[0].holds_numbers

    def decode(self, value: Any, *, others: int = 0) -> Batch:
        """Return the batch that a decoded JSON value stands for.

        Args:
            value: See `rows`.
            others: How many columns there were that the model doesn't know and that aren't in `value`.

        Raises:
            RequestError: The value doesn't fit the model's input, or has too many rows.
        """
        table = self._reader.read(value)
        if self._is_strict and (table.extra or others):
            pointer = next(iter(table.extra), None)
            raise RequestError("The model has no such column.", code="unknown-column", pointer=pointer)
        match self._spec.kind:
            case "text":
                return self._texts(table)
            case "array":
                return self._array(table)
            case "frame":
                return self._frame(table, others)

    def rows(self, value: Any) -> Sequence[Any]:
        """Return the rows of what `decode` returns as plain values.

        Raises:
            RequestError: As `decode` does.
        """
        rows = self.decode(value).rows
        return rows.to_rows() if isinstance(rows, Matrix) else rows

    def _texts(self, table: Table) -> Batch:
        texts = [row[0] for row in table.rows]
        self._codecs[0].check(texts, lambda i: table.pointer(i, 0))
        return Batch(rows=texts)

    def _array(self, table: Table) -> Batch:
        cells = list(itertools.chain.from_iterable(table.rows))
        width = self._spec.width
        codec = self._codecs[0]
        if self._packs and len(table.rows) >= _WORTH_PACKING and (packed := codec.pack(cells)) is not None:
            return Batch(rows=Matrix(packed, width))
        codec.check(cells, lambda i: table.pointer(*divmod(i, width)))
        null = cells.index(None) if None in cells else None
        return Batch(rows=table.rows, null_pointer=None if null is None else table.pointer(*divmod(null, width)))

    def _frame(self, table: Table, others: int) -> Batch:
        null_pointer = None
        doubtful: Iterable[tuple[int, tuple[Codec, Sequence[Any]]]] = enumerate(
            zip(self._codecs, zip(*table.rows, strict=True), strict=True)
        )
        if len(table.rows) == 1:
            # Most requests are one row, of which all is as it should be: asking each cell takes a fifth of the time.
            doubtful = [
                (j, (codec, (cell,)))
                for j, (codec, cell) in enumerate(zip(self._codecs, table.rows[0], strict=True))
                if not codec.accepts(cell)
            ]
        for j, (codec, cells) in doubtful:
            codec.check(cells, lambda i, j=j: table.pointer(i, j))  # type: ignore[misc]  # j is bound
            if null_pointer is None and codec.nullable and None in cells:
                null_pointer = table.pointer(cells.index(None), j)
        return Batch(rows=table.rows, null_pointer=null_pointer, extra=len(table.extra) + others)


def _explain_json(body: bytes, error: orjson.JSONDecodeError) -> NoReturn:
    """Say what is wrong with a body that isn't JSON; NaN and Infinity get advice of their own.

    The body isn't parsed a second time, which would take seconds for some: only where the parser stopped is looked at.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as undecodable:
        raise RequestError(f"The input is not UTF-8 (byte {undecodable.start}).", code="invalid-json") from None
    if (literal := _LITERAL.match(text, error.pos)) is not None:
        sign = "-" if text[max(error.pos - 1, 0) : error.pos] == "-" else ""  # The parser stops behind it.
        raise RequestError(f"{sign}{literal[0]} is not JSON: send null for a missing value.", code="invalid-json")
    raise RequestError(f"The input is not JSON: {error.msg} (position {error.pos}).", code="invalid-json")
