"""Whatever JSON a client sends: it is rows for the model, or a refusal with a pointer, and never anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.decode import Batch, Decoder
from scorer.errors import RequestError
from scorer.inputs import Assembler
from scorer.manifest import Column, Input

TEXT = Input(kind="text", width=1, dtype="list")
ARRAY = Input(kind="array", width=2, dtype="float64")
FRAME = Input(
    kind="frame",
    width=3,
    columns=(
        Column(name="size", kind="number", dtype="float64", nullable=True),
        Column(name="rooms", kind="integer", dtype="int64"),
        Column(name="town", kind="string", dtype="object", categories=("a", "b")),
    ),
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
KEYS = st.sampled_from(["size", "rooms", "town", "columns", "data", "index", "0", "1"]) | st.text(max_size=3)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def test_of_very_many_missing_columns_the_first_are_named() -> None:
    columns = tuple(Column(name=f"c{i}", kind="number", dtype="float64") for i in range(1000))
    with pytest.raises(RequestError, match=r"^Columns 'c0', 'c1', .*, 'c19' and 979 more are missing\.$") as refusal:
        Decoder(Input(kind="frame", width=1000, columns=columns)).decode([{"c999": 1}])
    assert refusal.value.pointer == "/0/c0"


@pytest.mark.parametrize("spec", [TEXT, ARRAY, FRAME], ids=lambda spec: spec.kind)
@given(value=JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_is_rows_or_a_refusal(spec: Input, value: Any) -> None:
    refusal: RequestError | None = None
    batch: Batch | None = None
    try:
        batch = Decoder(spec).decode(value)
    except RequestError as error:
        refusal = error
    if refusal is not None:
        assert refusal.message
        assert 400 <= refusal.status < 500
    if batch is not None:
        assert len(Assembler(spec).assemble(batch.rows)) == len(batch.rows) >= 1
