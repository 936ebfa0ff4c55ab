"""From any spelling of a request's input to one table of cells.

The spellings are those that the service has answered since 2019, and those that pandas writes. Which one a value is
depends on its shape and on the model's columns, never on what its cells hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import RequestError
from .manifest import Input

_SCALARS = (str, int, float, bool, type(None))
_SPLIT_KEYS = {"columns", "index", "data"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """n rows of cells, each as wide as the model's used columns, and where each cell stood in the request.

    `pointer(i, j)` is the JSON pointer of row i's cell in column j.
    """

    rows: Sequence[Sequence[Any]]
    pointer: Callable[[int, int], str]


def read_table(value: Any, spec: Input) -> Table:
    """Return the table that a decoded JSON value stands for.

    Raises:
        RequestError: The value has no shape that fits the model, or one that fits in two ways.
    """
    if isinstance(value, list):
        table = _from_list(value, spec)
    elif isinstance(value, dict):
        table = _from_object(value, spec)
    elif 1 in _widths(spec):
        table = Table(rows=[[value]], pointer=lambda _i, _j: "")
    else:
        raise RequestError(
            f"Expected rows of {_describe_width(spec)}, got {kind_of(value)}. {_spellings(spec)}", pointer=""
        )
    if not table.rows:
        raise RequestError("The input has no rows: send at least one.", code="no-rows", pointer="")
    return table


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


def used_columns(spec: Input) -> list[int]:
    """Return the positions of the columns that the model really uses."""
    return [position for position, column in enumerate(spec.columns) if not column.optional]


def _widths(spec: Input) -> set[int]:
    """Return how long a positional row may be: all columns that the model knows, or only those that it uses."""
    return {len(spec.columns), len(used_columns(spec))} if spec.columns else {spec.width}


def _from_list(value: list[Any], spec: Input) -> Table:
    kinds = {type(item) for item in value}
    if kinds <= {list}:
        return Table(
            rows=[_positional(row, spec, f"/{i}") for i, row in enumerate(value)],
            pointer=lambda i, j: f"/{i}/{_original(spec, len(value[i]), j)}",
        )
    if kinds <= {dict}:
        return _from_records(value, spec)
    odd = next((i for i, item in enumerate(value) if not isinstance(item, _SCALARS)), None)
    if odd is None:
        return _from_flat(value, spec)
    first = next(i for i, item in enumerate(value) if type(item) is not type(value[0]))
    raise RequestError(
        f"Row {first} is {kind_of(value[first])}, but row 0 is {kind_of(value[0])}: write all rows alike.",
        pointer=f"/{first}",
    )


def _from_flat(value: list[Any], spec: Input) -> Table:
    """Read `[1, 2, 3]`: one row where the length is a width above 1, else rows of one value each."""
    widths = _widths(spec)
    as_row = len(value) > 1 and len(value) in widths
    as_rows = 1 in widths
    if as_row and as_rows:
        raise RequestError(
            f"A flat list of {len(value)} values can be one row or {len(value)} rows of one value. "
            "Write [[…, …]] for one row, or [[…], […]] for rows of one value.",
            code="ambiguous-input",
            pointer="",
        )
    if as_row:
        row = _positional(value, spec, "")
        return Table(rows=[row], pointer=lambda _i, j: f"/{_original(spec, len(value), j)}")
    if as_rows or not value:
        return Table(rows=[[item] for item in value], pointer=lambda i, _j: f"/{i}")
    raise RequestError(f"Expected rows of {_describe_width(spec)}, got {len(value)} values.", pointer="")


def _positional(row: list[Any], spec: Input, pointer: str) -> Sequence[Any]:
    if not spec.columns:
        if len(row) != spec.width:
            raise RequestError(_wrong_width(row, spec), pointer=pointer)
        return row
    used = used_columns(spec)
    if len(row) == len(used):
        return row
    if len(row) == len(spec.columns):
        return [row[position] for position in used]
    raise RequestError(_wrong_width(row, spec), pointer=pointer)


def _original(spec: Input, given: int, column: int) -> int:
    """Return where the used column stood in a positional row of `given` values."""
    used = used_columns(spec)
    return used[column] if used and given != len(used) else column


def _from_records(records: list[dict[str, Any]], spec: Input) -> Table:
    """Read `[{"a": 1, "b": 2}, …]`, by name where the columns have names, else in the first row's order."""
    names = _names(records[0], spec, "/0") if records else []
    rows = []
    for i, record in enumerate(records):
        missing = next((name for name in names if name not in record), None)
        if missing is not None:
            raise _missing(missing, f"/{i}")
        rows.append([record[name] for name in names])
    return Table(rows=rows, pointer=lambda i, j: f"/{i}/{token(names[j])}")


def _names(given: Mapping[str, Any], spec: Input, pointer: str) -> list[str]:
    if spec.kind == "frame":
        return [column.name for column in spec.columns if not column.optional]
    names = list(given)
    if len(names) != spec.width:
        raise RequestError(_wrong_width(names, spec), pointer=pointer)
    return names


def _from_object(value: dict[str, Any], spec: Input) -> Table:
    if "data" in value and value.keys() <= _SPLIT_KEYS and isinstance(value["data"], list):
        return _from_split(value, spec)
    kinds = {type(item) for item in value.values()}
    if kinds == {dict}:
        return _from_nested(value, spec)
    if kinds == {list}:
        names = _names(value, spec, "")
        return _from_columns({name: dict(enumerate(cells)) for name, cells in value.items()}, names)
    if kinds <= set(_SCALARS):
        return _from_scalars(value, spec)
    raise RequestError(f"The object's values are of different kinds. {_spellings(spec)}", pointer="")


def _from_scalars(value: dict[str, Any], spec: Input) -> Table:
    """Read `{"a": 1, "b": 2}` as one row, or `{"0": "x", "1": "y"}` (a pandas Series) as rows of one value."""
    named = spec.kind == "frame" and any(column.name in value for column in spec.columns)
    if not named and 1 in _widths(spec) and list(value) == [str(i) for i in range(len(value))]:
        keys = list(value)
        return Table(rows=[[item] for item in value.values()], pointer=lambda i, _j: f"/{keys[i]}")
    names = _names(value, spec, "")
    missing = next((name for name in names if name not in value), None)
    if missing is not None:
        raise _missing(missing, "")
    return Table(rows=[[value[name] for name in names]], pointer=lambda _i, j: f"/{token(names[j])}")


def _from_nested(value: dict[str, dict[str, Any]], spec: Input) -> Table:
    """Read pandas' `{"column": {"index": cell}}`, or `{"index": {"column": cell}}` where only that fits the names."""
    known = {column.name for column in spec.columns}
    if spec.kind == "frame" and not known & value.keys() and any(known & row.keys() for row in value.values()):
        keys = list(value)
        try:
            table = _from_records(list(value.values()), spec)
        except RequestError as error:
            row, _, rest = (error.pointer or "/0").removeprefix("/").partition("/")
            raise RequestError(
                error.message, code=error.code, pointer="/".join(["", token(keys[int(row)]), *filter(None, [rest])])
            ) from error
        return Table(
            rows=table.rows,
            pointer=lambda i, j: "/" + token(keys[i]) + "/" + table.pointer(i, j).split("/", 2)[2],
        )
    return _from_columns(value, _names(value, spec, ""))


def _from_columns(columns: Mapping[str, Mapping[Any, Any]], names: list[str]) -> Table:
    for name in names:
        if name not in columns:
            raise _missing(name, "")
    index = list(columns[names[0]]) if names else []
    for name in names:
        if columns[name].keys() != set(index):
            raise RequestError(
                f"Column {name!r} does not have the same rows as column {names[0]!r}.", pointer=f"/{token(name)}"
            )
    return Table(
        rows=[[columns[name][key] for name in names] for key in index],
        pointer=lambda i, j: f"/{token(names[j])}/{token(index[i])}",
    )


def _from_split(value: dict[str, Any], spec: Input) -> Table:
    """Read pandas' `{"columns": […], "index": […], "data": [[…], …]}`."""
    data, columns = value["data"], value.get("columns")
    odd = next((i for i, row in enumerate(data) if not isinstance(row, list)), None)
    if odd is not None:
        raise RequestError(f"Expected an array, got {kind_of(data[odd])}.", pointer=f"/data/{odd}")
    if columns is None or spec.kind != "frame":
        table = _from_list(data, spec)
        return Table(rows=table.rows, pointer=lambda i, j: "/data" + table.pointer(i, j))
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise RequestError("Expected an array of column names.", pointer="/columns")
    names = _names({}, spec, "")
    absent = next((name for name in names if name not in columns), None)
    if absent is not None:
        raise _missing(absent, "", listed="/columns")
    positions = [columns.index(name) for name in names]
    for i, row in enumerate(data):
        if len(row) != len(columns):
            raise RequestError(f"Expected {len(columns)} values, got {len(row)}.", pointer=f"/data/{i}")
    return Table(
        rows=[[row[position] for position in positions] for row in data],
        pointer=lambda i, j: f"/data/{i}/{positions[j]}",
    )


def _missing(name: str, parent: str, *, listed: str | None = None) -> RequestError:
    return RequestError(
        f"Column {name!r} is missing.",
        code="missing-column",
        pointer=f"{parent}/{token(name)}" if listed is None else listed,
    )


def _wrong_width(row: Sequence[Any], spec: Input) -> str:
    return f"Expected {_describe_width(spec)}, got {len(row)}."


def _describe_width(spec: Input) -> str:
    widths = sorted(_widths(spec))
    text = " or ".join(str(width) for width in widths) + (" value" if widths == [1] else " values")
    names = ", ".join(column.name for column in spec.columns if not column.optional)
    return f"{text} ({names})" if names else text


def _spellings(spec: Input) -> str:
    if spec.kind == "text":
        return 'Send texts as ["first text", "second text"].'
    if spec.kind == "frame":
        return "Send rows as [{…}, {…}] with the columns' names, or as [[…], […]]."
    return "Send rows as [[…], […]]."
