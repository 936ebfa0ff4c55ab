"""Write Parquet files and Arrow streams, good and bad, into a directory; print what the service makes of some of them.

It runs with the tests' own Python and what `locks/arrow.txt` installs: `write_tables.py DIRECTORY`.
"""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import random
import struct
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from scorer.errors import RequestError
from scorer.packed import Form, Packed
from scorer.predictor.columnar import unpack

HOUSES = pd.DataFrame(
    {"rooms": [3, 5], "area": [70.5, None], "town": ["Ulm", "Jena"], "garden": [True, False], "shoe": [[1], [2]]},
    index=["first", "second"],
)
MEGABYTE = "z" * 1_000_000


def main(directory: Path) -> None:
    """Write all files."""
    houses = pa.Table.from_pandas(HOUSES)
    town = houses.column("town").dictionary_encode()
    encoded = houses.drop_columns(["shoe"]).set_column(2, "town", town)
    one = houses.select(["rooms", "area", "garden"])
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array([MEGABYTE]))
    zeros = pa.table({"rooms": pa.array([0] * 20_000_000, pa.int64())})
    rows = 20_000
    long = {"rooms": pa.array([3] * rows), "area": pa.array([1.0] * rows), "town": pa.array(["Ulm"] * rows)}
    long |= {"garden": pa.array([True] * rows), **{f"x{number}": pa.nulls(rows) for number in range(1000)}}
    broad = {name: column.slice(0, 1) for name, column in long.items()}
    broad |= {f"y{number}": pa.nulls(1) for number in range(16_000)}
    whole = as_arrow(encoded)
    files = {
        "houses.parquet": as_parquet(houses),
        "houses.arrow": whole,
        "compressed.parquet": as_parquet(encoded, compression="zstd"),
        "compressed.arrow": as_arrow(encoded, compression="lz4"),
        "missing.parquet": as_parquet(one),
        "nested.parquet": as_parquet(one.append_column("town", pa.array([["Ulm"], ["Jena"]]))),
        "nested.arrow": as_arrow(one.append_column("town", pa.array([{"name": "Ulm"}, {"name": "Jena"}]))),
        "decimal.parquet": as_parquet(encoded.set_column(1, "area", pa.array([decimal.Decimal("70.5")] * 2))),
        "wrong.parquet": as_parquet(encoded.set_column(0, "rooms", pa.array([3.5, 5.0]))),
        "many.parquet": as_parquet(pa.table({"rooms": pa.nulls(5_000_000, pa.int64())})),
        "many.arrow": as_arrow(pa.table({"rooms": pa.nulls(1_000_000_000)})),
        "repeated.parquet": as_parquet(pa.table({"town": repeated}), compression="zstd"),
        "repeated.arrow": as_arrow(pa.table({"town": repeated}), compression="zstd"),
        "zeros.arrow": as_arrow(zeros, compression="zstd"),
        "others.parquet": as_parquet(pa.table(long)),
        "broad.parquet": as_parquet(pa.table(broad)),
        "none.parquet": as_parquet(encoded.slice(0, 0)),
        "cut.parquet": as_parquet(houses)[:-20],
        "cut.arrow": whole[:-40],
        "long.arrow": struct.pack("<iI", -1, 2**31 - 1) + whole[8:],
        "text.parquet": b"rooms,area\n3,70.5\n",
        "empty.arrow": b"",
    }
    for name, data in files.items():
        (directory / name).write_bytes(data)
    kinds = table_of_all_kinds()
    old = kinds.drop_columns(["half"])  # Parquet has it from pyarrow 15 on only.
    told = {
        "arrow": columns(unpacked("arrow", as_arrow(kinds))),
        "parquet": columns(unpacked("parquet", as_parquet(old))),
        "damaged": damaged("arrow", as_arrow(kinds)) + damaged("parquet", as_parquet(old)),
    }
    sys.stdout.write(json.dumps(told))


def table_of_all_kinds() -> Any:
    """Return two rows of each type that there is a form for."""
    noon = dt.datetime(2020, 2, 29, 12, tzinfo=dt.timezone.utc)
    return pa.table(
        {
            "integer": pa.array([2**60, None], pa.int64()),
            "unsigned": pa.array([2**64 - 1, 0], pa.uint64()),
            "float": pa.array([float("nan"), 1.5]),
            "half": pa.array([0.5, None], pa.float16()),
            "truth": pa.array([True, None]),
            "text": pa.array(["ü", None]),
            "long text": pa.array(["a", "b"], pa.large_string()),
            "category": pa.array(["x", None]).dictionary_encode(),
            "nothing": pa.nulls(2),
            "day": pa.array([noon.date(), None]),
            "time": pa.array([noon.replace(tzinfo=None), None], pa.timestamp("ms")),
            "zoned": pa.array([noon, None], pa.timestamp("us", "Europe/Berlin")),
        }
    )


def as_parquet(table: Any, **options: Any) -> bytes:
    """Return a table as a file."""
    file = io.BytesIO()
    parquet.write_table(table, file, **options)
    return file.getvalue()


def as_arrow(table: Any, compression: str | None = None) -> bytes:
    """Return a table as a stream."""
    file = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table)
    return file.getvalue()


def unpacked(form: Form, data: bytes) -> Any:
    """Return what the service makes of it."""
    return unpack(Packed(form=form, data=data, wanted=None, max_rows=1000, max_bytes=2**20))


def columns(table: Any) -> dict[str, Any]:
    """Return its columns by name."""
    return dict(zip(table.names, table.cells, strict=True))


def damaged(form: Form, data: bytes) -> int:
    """Return how many of some hundred damaged copies are refused; each has to be, or to be read as something else."""
    chance = random.Random(1)
    refused = 0
    for _ in range(400):
        copy = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 5])):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        try:
            unpacked(form, bytes(copy))
        except RequestError as error:
            refused += error.status in (400, 413)
    return refused


main(Path(sys.argv[1]))
