"""Many rows of numbers in one piece are what the same rows are one by one: to the model, and in a refusal."""

from __future__ import annotations

import marshal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.decode import Batch, Decoder
from scorer.errors import RequestError
from scorer.inputs import Assembler
from scorer.manifest import Input
from scorer.matrix import Matrix

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
BAD: st.SearchStrategy[Any] = st.sampled_from(
    [True, None, "x", 0.5, -1, 2**53 + 2, 2**64 - 1, 1e39, -1e300, float("inf"), [1], {}]
)
Rows = list[list[Any]]


def arrays(width: int) -> st.SearchStrategy[Rows]:
    cells = st.sampled_from([FLOATS, FLOATS | st.none(), FLOATS | st.integers(-9, 9), FLOATS | BAD])
    return cells.flatmap(lambda cell: st.lists(st.lists(cell, min_size=width, max_size=width), min_size=7, max_size=20))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@given(rows=arrays(width=3))
@settings(max_examples=300, deadline=None)
def test_rows_of_numbers_are_the_same_in_one_piece(dtype: str, rows: Rows) -> None:
    spec = Input(kind="array", width=3, dtype=dtype)
    batch, refusal = decoded(Decoder(spec), rows)
    in_one, refused = decoded(Decoder(spec, packs=True), rows)
    assert refused == refusal
    if batch is None or in_one is None:
        return
    assert (in_one.null_pointer, len(in_one.rows)) == (batch.null_pointer, len(rows))
    expected = Assembler(spec).assemble(batch.rows)
    pieces = [in_one.rows]
    if isinstance(in_one.rows, Matrix):
        sent = Matrix(*marshal.loads(marshal.dumps((in_one.rows.data, in_one.rows.width))))
        pieces += [sent, sent.to_rows(), Matrix.joined([sent[:3], sent[3:5], sent[5:]])]
    else:
        assert len(rows) < 8 or batch.null_pointer is not None
    for same in pieces:
        found = Assembler(spec).assemble(same)
        assert found.dtype == expected.dtype
        assert found.flags.writeable
        np.testing.assert_array_equal(found, expected)


def decoded(decoder: Decoder, rows: Rows) -> tuple[Batch | None, tuple[str, str, str | None] | None]:
    try:
        return decoder.decode(rows), None
    except RequestError as refusal:
        return None, (refusal.message, refusal.code, refusal.pointer)
