"""From any spelling of a request's input to one table of cells.

The spellings are those that the service has answered since 2019, and those that pandas writes. Which one a value is
depends on its shape and on the model's columns, never on what its cells hold.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from .errors import RequestError, counted, missing_columns, shown, too_many_rows
from .manifest import Input

_SCALARS = (str, int, float, bool, type(None))
_SPLIT_KEYS = {"columns", "index", "data"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """n rows of cells, each as wide as the model's used columns, and where each cell stood in the request.

    `pointer(i, j)` is the JSON pointer of row i's cell in column j. `extra` are the JSON pointers of columns that the
    model doesn't know, each where it came first.
    """

    rows: Sequence[Sequence[Any]]
    pointer: Callable[[int, int], str]
    extra: Collection[str] = ()


class Reader:
    """Reads tables for one model's input."""

    def __init__(self, spec: Input, *, max_rows: int) -> None:
        self._spec = spec
        self._max_rows = max_rows
        self._by_name = spec.kind == "frame"
        self._names = [column.name for column in spec.columns if not column.optional]
        self._known = frozenset(column.name for column in spec.columns)
        self._used = [position for position, column in enumerate(spec.columns) if not column.optional]
        # A positional row has all columns that the model knows, or only those that it uses.
        self._width = len(self._used) if spec.columns else spec.width
        self._full_width = len(spec.columns) or spec.width
        self._widths = {self._width, self._full_width}

    def read(self, value: Any) -> Table:
        """Return the table that a decoded JSON value stands for.

        Raises:
            RequestError: The value has no shape that fits the model, or one that fits in two ways, or too many rows.
        """
        if isinstance(value, list):
            table = self._from_list(value)
        elif isinstance(value, dict):
            table = self._from_object(value)
        elif 1 in self._widths:
            table = Table(rows=[[value]], pointer=lambda _i, _j: "")
        else:
            raise RequestError(
                f"Expected rows of {self._describe_width()}, got {kind_of(value)}. {self._spellings()}", pointer=""
            )
        if not table.rows:
            raise RequestError("The input has no rows: send at least one.", code="no-rows", pointer="")
        return table

    def _limit(self, rows: int) -> None:
        """Refuse too many rows, before anything is made of them."""
        if rows > self._max_rows:
            raise too_many_rows(self._max_rows)

    # --- by position ---

    def _from_list(self, value: list[Any]) -> Table:
        kinds = set(map(type, value))
        if kinds <= {list}:
            self._limit(len(value))
            return Table(
                rows=[self._positional(row, f"/{i}") for i, row in enumerate(value)]
                if any(len(row) != self._width for row in value)
                else value,
                pointer=lambda i, j: f"/{i}/{self._original(len(value[i]), j)}",
            )
        if kinds <= {dict}:
            return self._from_records(value)
        odd = next((i for i, item in enumerate(value) if not isinstance(item, _SCALARS)), None)
        if odd is None:
            return self._from_flat(value)
        first = next(i for i, item in enumerate(value) if type(item) is not type(value[0]))
        raise RequestError(
            f"Row {first} is {kind_of(value[first])}, but row 0 is {kind_of(value[0])}: write all rows alike.",
            pointer=f"/{first}",
        )

    def _from_flat(self, value: list[Any]) -> Table:
        """Read `[1, 2, 3]`: one row where the length is a width above 1, else rows of one value each."""
        as_row = len(value) > 1 and len(value) in self._widths
        as_rows = 1 in self._widths
        if as_row and as_rows:
            raise RequestError(
                f"A flat list of {len(value)} values can be one row or {len(value)} rows of one value. "
                "Write [[…, …]] for one row, or [[…], […]] for rows of one value.",
                code="ambiguous-input",
                pointer="",
            )
        if as_row:
            row = self._positional(value, "")
            return Table(rows=[row], pointer=lambda _i, j: f"/{self._original(len(value), j)}")
        if as_rows or not value:
            self._limit(len(value))
            return Table(rows=[[item] for item in value], pointer=lambda i, _j: f"/{i}")
        raise RequestError(
            f"Expected rows of {self._describe_width()}, got {counted(len(value), 'value')}.", pointer=""
        )

    def _positional(self, row: list[Any], pointer: str) -> Sequence[Any]:
        if len(row) == self._width:
            return row
        if len(row) == self._full_width:
            return [row[position] for position in self._used]
        raise RequestError(self._wrong_width(row), pointer=pointer)

    def _original(self, given: int, column: int) -> int:
        """Return where the used column stood in a positional row of `given` values."""
        return self._used[column] if self._used and given != self._width else column

    # --- by name ---

    def _from_records(self, records: list[dict[str, Any]]) -> Table:
        """Read `[{"a": 1, "b": 2}, …]`, by name where the columns have names, else in the first row's order."""
        self._limit(len(records))
        names = self._names_in(records[0], "/0") if records else []
        try:
            # With one name it returns a cell, not a row of one.
            row_of: Callable[[Any], Sequence[Any]] = (
                itemgetter(*names) if len(names) > 1 else lambda record: [record[name] for name in names]
            )
            rows = list(map(row_of, records))
        except KeyError:
            i = next(i for i, record in enumerate(records) if any(name not in record for name in names))
            raise _missing([name for name in names if name not in records[i]], f"/{i}") from None
        return Table(
            rows=rows,
            pointer=lambda i, j: f"/{i}/{token(names[j])}",
            extra=self._extra((f"/{i}", record) for i, record in enumerate(records) if len(record) > len(names)),
        )

    def _names_in(self, given: Mapping[str, Any], pointer: str) -> list[str]:
        if self._by_name:
            return self._names
        names = list(given)
        if len(names) != self._spec.width:
            raise RequestError(self._wrong_width(names), pointer=pointer)
        return names

    def _extra(self, objects: Iterable[tuple[str, Iterable[str]]]) -> Collection[str]:
        """Return where columns that the model doesn't know came first in objects, each given with its own pointer."""
        if not self._by_name:
            return ()
        found: dict[str, str] = {}
        for parent, names in objects:
            for name in names:
                if name not in self._known:
                    found.setdefault(name, f"{parent}/{token(name)}")
        return found.values()

    def _from_object(self, value: dict[str, Any]) -> Table:
        if "data" in value and value.keys() <= _SPLIT_KEYS and isinstance(value["data"], list):
            return self._from_split(value)
        kinds = set(map(type, value.values()))
        if kinds == {dict}:
            return self._from_nested(value)
        if kinds == {list}:
            self._limit(max(map(len, value.values())))
            return self._from_columns({name: dict(enumerate(cells)) for name, cells in value.items()})
        if kinds <= set(_SCALARS):
            return self._from_scalars(value)
        raise RequestError(f"The object's values are of different kinds. {self._spellings()}", pointer="")

    def _from_scalars(self, value: dict[str, Any]) -> Table:
        """Read `{"a": 1, "b": 2}` as one row, or `{"0": "x", "1": "y"}` (a pandas Series) as rows of one value."""
        named = self._by_name and not self._known.isdisjoint(value)
        if not named and 1 in self._widths and list(value) == [str(i) for i in range(len(value))]:
            self._limit(len(value))
            keys = list(value)
            return Table(rows=[[item] for item in value.values()], pointer=lambda i, _j: f"/{keys[i]}")
        names = self._names_in(value, "")
        if missing := [name for name in names if name not in value]:
            raise _missing(missing, "")
        return Table(
            rows=[[value[name] for name in names]],
            pointer=lambda _i, j: f"/{token(names[j])}",
            extra=self._extra([("", value)]),
        )

    def _from_nested(self, value: dict[str, dict[str, Any]]) -> Table:
        """Read pandas' `{"column": {"index": cell}}`, or `{"index": {"column": cell}}` where only that fits."""
        known = self._known
        if self._by_name and known.isdisjoint(value) and any(not known.isdisjoint(row) for row in value.values()):
            self._limit(len(value))
            keys = list(value)
            try:
                table = self._from_records(list(value.values()))
            except RequestError as error:
                row, _, rest = (error.pointer or "/0").removeprefix("/").partition("/")
                raise RequestError(
                    error.message, code=error.code, pointer="/".join(["", token(keys[int(row)]), *filter(None, [rest])])
                ) from error
            return Table(
                rows=table.rows,
                pointer=lambda i, j: "/" + token(keys[i]) + "/" + table.pointer(i, j).split("/", 2)[2],
                extra=self._extra((f"/{token(key)}", row) for key, row in value.items()),
            )
        return self._from_columns(value)

    def _from_columns(self, columns: Mapping[str, Mapping[Any, Any]]) -> Table:
        names = self._names_in(columns, "")
        if missing := [name for name in names if name not in columns]:
            raise _missing(missing, "")
        index = list(columns[names[0]]) if names else []
        self._limit(len(index))
        for name in names:
            if columns[name].keys() != set(index):
                raise RequestError(
                    f"Column {shown(name)} does not have the same rows as column {shown(names[0])}.",
                    pointer=f"/{token(name)}",
                )
        return Table(
            rows=[[columns[name][key] for name in names] for key in index],
            pointer=lambda i, j: f"/{token(names[j])}/{token(index[i])}",
            extra=self._extra([("", columns)]),
        )

    def _from_split(self, value: dict[str, Any]) -> Table:
        """Read pandas' `{"columns": […], "index": […], "data": [[…], …]}`."""
        data, columns = value["data"], value.get("columns")
        if columns is not None and self._by_name:
            self._limit(len(data))
        odd = next((i for i, row in enumerate(data) if not isinstance(row, list)), None)
        if odd is not None:
            raise RequestError(f"Expected an array, got {kind_of(data[odd])}.", pointer=f"/data/{odd}")
        if columns is None or not self._by_name:
            table = self._from_list(data)
            return Table(rows=table.rows, pointer=lambda i, j: "/data" + table.pointer(i, j))
        if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
            raise RequestError("Expected an array of column names.", pointer="/columns")
        # Of a name that comes twice, the first counts.
        places: dict[str, int] = {}
        for position in range(len(columns) - 1, -1, -1):
            places[columns[position]] = position
        if absent := [name for name in self._names if name not in places]:
            raise _missing(absent, "", listed="/columns")
        positions = [places[name] for name in self._names]
        for i, row in enumerate(data):
            if len(row) != len(columns):
                raise RequestError(f"Expected {counted(len(columns), 'value')}, got {len(row)}.", pointer=f"/data/{i}")
        return Table(
            rows=[[row[position] for position in positions] for row in data],
            pointer=lambda i, j: f"/data/{i}/{positions[j]}",
            extra=[f"/columns/{i}" for i, name in enumerate(columns) if name not in self._known],
        )

    # --- what is said of it ---

    def _wrong_width(self, row: Sequence[Any]) -> str:
        return f"Expected {self._describe_width()}, got {len(row)}."

    def _describe_width(self) -> str:
        widths = sorted(self._widths)
        text = " or ".join(str(width) for width in widths) + (" value" if widths == [1] else " values")
        return f"{text} ({', '.join(self._names)})" if self._names else text

    def _spellings(self) -> str:
        if self._spec.kind == "text":
            return 'Send texts as ["first text", "second text"].'
        if self._by_name:
            return "Send rows as [{…}, {…}] with the columns' names, or as [[…], […]]."
        return "Send rows as [[…], […]]."


def kind_of(value: Any) -> str:
    """Return how JSON calls the value's type, with its article."""
    names: dict[type, str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def token(key: object) -> str:
    """Return a key as a token of a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def _missing(names: Sequence[str], parent: str, *, listed: str | None = None) -> RequestError:
    """Return the refusal of what lacks all of these columns; the pointer is to the first."""
    return RequestError(
        missing_columns(names),
        code="missing-column",
        pointer=f"{parent}/{token(names[0])}" if listed is None else listed,
    )
