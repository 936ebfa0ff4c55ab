"""Parquet files and Arrow streams to plain columns: in the predictor's process, since whoever sends them may mean harm.

What a file holds uncompressed is told by itself, and is compared with what may be before anything is read; while it is
read, the process may grow by so much and no more. pyarrow is the user's own, and is imported when somebody sends such
a file for the first time.

Sources: parquet-format, "Metadata"; Arrow, "Serialization and Interprocess Communication".
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import RequestError, bounded, one_line, shown, too_many_rows
from ..packed import Packed, Unpacked

_CELL_BYTES = 8
_GROWTH = 8
"""How many times its uncompressed size a table may take while its cells become Python's."""
_INDEX = "__index_level_"
"""How pandas calls an index without a name that it writes as a column."""


def unpack(packed: Packed) -> Unpacked:
    """Return the columns of a table as plain JSON values.

    Raises:
        RequestError: It is damaged (400), holds what JSON has no form for (400), or too much (413).
    """
    import pyarrow as pa  # noqa: PLC0415 - see above

    if packed.form == "parquet":
        import pyarrow.parquet  # noqa: PLC0415 - before memory is limited
    pool = pa.default_memory_pool()
    # The system's own takes what is asked for, and no more: others reserve address space, which is what is limited.
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        with _growing_by_at_most(_GROWTH * packed.max_bytes):
            if packed.form == "arrow":
                return _columns(_from_arrow(packed), [], packed)
            return _columns(*_from_parquet(packed), packed)
    except RequestError:
        raise
    except MemoryError:
        raise _too_large(packed) from None
    # pyarrow lets through whatever its parsers, and those that they call, say of bytes that mean nothing.
    except Exception as error:  # noqa: BLE001
        raise _invalid(packed, f"The input can't be read: {one_line(error)[:300]}") from None
    finally:
        pa.set_memory_pool(pool)


def _from_parquet(packed: Packed) -> tuple[Any, list[str]]:
    """Return a table of what is wanted, and the names of what isn't."""
    import pyarrow as pa  # noqa: PLC0415
    from pyarrow import parquet  # noqa: PLC0415

    file = parquet.ParquetFile(pa.BufferReader(packed.data))
    metadata, names = file.metadata, file.schema_arrow.names
    # Nobody has to read columns that nobody asked for; where a name comes twice, it doesn't say which is meant.
    is_chosen = packed.wanted is not None and len(set(names)) == len(names)
    wanted = frozenset(packed.wanted or ())
    chosen = [name for name in names if name in wanted] if is_chosen else names
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    # To ask what each column takes ends the process where a file lies about that.
    size = sum(max(group.total_byte_size, 0) for group in groups)
    _check_size(rows, len(chosen), size, packed)
    table = file.read(columns=chosen if is_chosen else None, use_threads=False)
    _check_size(table.num_rows, table.num_columns, 0, packed)  # The metadata need not be true.
    return table, [name for name in names if name not in wanted] if is_chosen else []


def _from_arrow(packed: Packed) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    options = pa.ipc.IpcReadOptions(use_threads=False)
    with pa.ipc.open_stream(pa.BufferReader(packed.data), options=options) as reader:
        batches = []
        rows = size = 0
        for batch in reader:
            rows, size = rows + batch.num_rows, size + batch.get_total_buffer_size()
            _check_size(rows, batch.num_columns, size, packed)
            # Offsets, indices and texts are as the sender wrote them.
            batch.validate(full=True)
            batches.append(batch)
        return pa.Table.from_batches(batches, schema=reader.schema)


def _check_size(rows: int, columns: int, size_bytes: int, packed: Packed) -> None:
    if rows > packed.max_rows:
        raise too_many_rows(packed.max_rows)
    # A cell of a column that is encoded well takes no bytes at all, and takes some when it is a cell.
    if max(size_bytes, rows * columns * _CELL_BYTES) > packed.max_bytes:
        raise _too_large(packed)


def _columns(table: Any, skipped: Sequence[str], packed: Packed) -> Unpacked:
    found = Unpacked(names=[], cells=[], others=[name for name in skipped if not name.startswith(_INDEX)])
    wanted = None if packed.wanted is None else frozenset(packed.wanted)
    size = 0
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name.startswith(_INDEX):
            continue
        if wanted is not None and name not in wanted:
            found.others.append(name)
            continue
        plain = _plain(name, column, packed)
        size += plain.nbytes
        if size > packed.max_bytes:  # A long text, which a dictionary holds once.
            raise _too_large(packed)
        found.names.append(name)
        found.cells.append(_missing(plain.to_pylist()))
    return found


def _plain(name: str, column: Any, packed: Packed) -> Any:
    """Return a column of a type that has a form in JSON: numbers, truth, texts; times as texts."""
    import pyarrow as pa  # noqa: PLC0415

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())  # Older versions make numpy's numbers of it.
    types = pa.types
    if any(test(kind) for test in (types.is_boolean, types.is_integer, types.is_floating, types.is_null, _is_text)):
        return column
    if pa.types.is_timestamp(kind):
        # As universal time it needs no data base of time zones, of which a small image may have none.
        return column.cast(pa.timestamp(kind.unit, "UTC") if kind.tz else kind).cast(pa.string())
    if pa.types.is_date(kind):
        return column.cast(pa.string())
    text = (
        f"Column {shown(name)} is of the type {bounded(str(kind))}. Send numbers, booleans, texts, dates or timestamps"
    )
    raise _invalid(packed, f"{text}{', and decimals as float64' if pa.types.is_decimal(kind) else ''}.")


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415

    # Views of texts came later than the oldest pyarrow that does.
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view"


def _missing(cells: list[Any]) -> list[Any]:
    return [None if cell != cell else cell for cell in cells]  # noqa: PLR0124 - NaN is a missing value.


@contextlib.contextmanager
def _growing_by_at_most(size_bytes: int) -> Iterator[None]:
    """Limit the memory of this process (Linux; elsewhere what the data says of itself is all that there is)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        before = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + size_bytes
        if before[0] != resource.RLIM_INFINITY:
            most = min(most, before[0])
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _too_large(packed: Packed) -> RequestError:
    return RequestError(
        f"The table takes more than {packed.max_bytes} bytes when it is unpacked. Send fewer rows at a time, or raise "
        "NACHLASS_MAX_BODY_BYTES.",
        code="too-large",
        status=413,
    )


def _invalid(packed: Packed, message: str) -> RequestError:
    if packed.form == "parquet":
        return RequestError(message, code="invalid-parquet")
    return RequestError(message, code="invalid-arrow")
