"""Whatever bytes a client sends in whatever protocol: they are a question to the model, or a refusal."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scorer.decode import Decoder
from scorer.errors import RequestError
from scorer.manifest import Model
from scorer.protocols.base import Question, Request, ScoringProtocol
from scorer.protocols.mlflow import MLflow
from scorer.protocols.names import Names
from scorer.protocols.v1 import V1
from scorer.protocols.v2 import HEADER_LENGTH, V2
from tests.scorer.test_decode_properties import ARRAY, FRAME, JSON, TEXT

SPECS = (TEXT, ARRAY, FRAME)
NAMES = Names(name="m", aliases=frozenset(), version="1")
Speak = Callable[[Any], ScoringProtocol]


def model(spec: Any) -> Model:
    return Model(task="regressor", classes=(), input=spec, sample_shape=(1,), example=None, methods=("transform",))


def mlflow(spec: Any) -> ScoringProtocol:
    return MLflow(spec, Decoder(spec))


def v1(spec: Any) -> ScoringProtocol:
    return V1(NAMES, Decoder(spec))


def v2(spec: Any) -> ScoringProtocol:
    return V2(model(spec), Decoder(spec), NAMES)


def question(protocol: ScoringProtocol, request: Request) -> Question:
    found = protocol.read(request)
    assert isinstance(found, Question)
    return found


def ask(protocol: ScoringProtocol, request: Request) -> None:
    """Read a request, which has to be a question or a refusal."""
    refusal: RequestError | None = None
    try:
        rows = question(protocol, request).batch.rows
    except RequestError as error:
        refusal, rows = error, ()
    if refusal is None:
        assert len(rows) >= 1
    else:
        assert refusal.message
        assert 400 <= refusal.status < 500


DATATYPES = st.sampled_from(["FP64", "INT64", "BOOL", "BYTES", "FP16", "X"]) | JSON
SHAPES = st.lists(st.integers(-1, 4), max_size=3) | JSON
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["size", "rooms", "town", "x"]) | JSON,
        "shape": SHAPES,
        "datatype": DATATYPES,
        "data": JSON,
        "parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 20) | JSON}) | JSON,
    },
)
OUTPUTS = st.lists(st.fixed_dictionaries({}, optional={"name": st.sampled_from(["predict", "x"]) | JSON}) | JSON)
INFER = st.fixed_dictionaries(
    {},
    optional={
        "inputs": st.lists(TENSORS, max_size=3) | JSON,
        "outputs": OUTPUTS | JSON,
        "id": JSON,
        "parameters": JSON,
    },
)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@given(value=INFER | JSON, tail=st.binary(max_size=40), length=st.none() | st.text("0123456789²-", max_size=5))
@example(value={"inputs": [{"name": "x", "shape": [1], "datatype": [], "data": [1]}]}, tail=b"", length=None)
@example(value={}, tail=b"", length="9" * 5000)
@settings(max_examples=200, deadline=None)
def test_any_tensors_are_a_question_or_a_refusal(spec: Any, value: Any, tail: bytes, length: str | None) -> None:
    head = json.dumps(value).encode()
    headers = {HEADER_LENGTH: str(len(head)) if length is None and tail else length or str(len(head))}
    ask(v2(spec), Request(body=head + tail, headers=headers, accept="application/json"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@pytest.mark.parametrize("speak", [v1, mlflow], ids=["v1", "mlflow"])
@given(
    value=JSON
    | st.dictionaries(
        st.sampled_from(["instances", "inputs", "dataframe_split", "dataframe_records"]), JSON, max_size=2
    )
)
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_question_or_a_refusal(speak: Speak, spec: Any, value: Any) -> None:
    ask(speak(spec), Request(body=json.dumps(value).encode(), content_type="application/json"))


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.kind)
@given(
    body=st.text('0123456789.,"\n\r eE+-naINfx\0', max_size=60).map(str.encode) | st.binary(max_size=40),
    header=st.sampled_from(["", ";header=present", ";header=absent"]),
)
@example(body=b"size,rooms,town\n1e999,1,a\n", header="")
@settings(max_examples=200, deadline=None)
def test_any_csv_is_a_question_or_a_refusal(spec: Any, body: bytes, header: str) -> None:
    ask(mlflow(spec), Request(body=body, content_type=f"text/csv{header}"))


def npy(head: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data


def saved(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(body=st.binary(max_size=60) | st.text(max_size=60).map(lambda head: npy(head[:20_000])))
@example(body=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -1), }", b"\0" * 8))
@example(body=npy("{'descr': '<f8', 'fortran_order': False, 'shape': (", b"\0" * 8))
@example(body=npy("'''", b""))
@example(body=npy("{'descr': '<f16', 'fortran_order': False, 'shape': (1, 2), }", b"\0" * 32))
@example(body=npy("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1, 2), }", b"\0" * 16))
@settings(max_examples=200, deadline=None)
def test_any_npy_is_a_question_or_a_refusal(body: bytes) -> None:
    ask(mlflow(ARRAY), Request(body=body, content_type="application/x-npy"))


LENGTHS = (
    st.sampled_from([0, 1, 2, 2**31, 2**62, 2**63, 2**64, 10**30, 1.0, 2e300]) | st.integers(-2, 4) | st.booleans()
)
LITERALS = st.recursive(
    LENGTHS | st.none() | st.text(max_size=3) | st.binary(max_size=3) | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.sets(LENGTHS, max_size=2),
    max_leaves=5,
)
DTYPES = "<f8 >f4 <f2 <f16 |b1 |u1 <i8 |i1 <c16 |O |V8 <U2 |S0 <M8[s] <f0 f8,i4 8f8 (2,)<f8".split()  # noqa: SIM905 - shorter
NESTED: list[Any] = [("<f8", (2,)), [("a", "<f8")], [("a", "<f8", (2,))], [("", "|O")], ("<f8", {})]
DESCRIPTIONS = st.sampled_from([*DTYPES, *NESTED])


@given(
    header=st.fixed_dictionaries(
        {
            "descr": DESCRIPTIONS | LITERALS,
            "fortran_order": st.booleans() | LITERALS,
            "shape": st.lists(LENGTHS, max_size=3).map(tuple) | LITERALS,
        },
        optional={"more": LITERALS},
    ),
    size=st.sampled_from([0, 1, 8, 16, 32, 64]),
)
@example(header={"descr": "<f8", "fortran_order": False, "shape": (True, 4)}, size=32)
@example(header={"descr": "<f8", "fortran_order": True, "shape": (0, 2**62)}, size=0)
@example(header={"descr": "<f8", "fortran_order": False, "shape": (0, 2**40)}, size=0)
@settings(max_examples=500, deadline=None)
def test_any_header_of_npy_is_a_question_or_a_refusal(header: dict[str, Any], size: int) -> None:
    ask(mlflow(ARRAY), Request(body=npy(repr(header), bytes(size)), content_type="application/x-npy"))


@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<i2", "<u8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_numbers_are_read_as_they_are(dtype: str, order: Any) -> None:
    array = np.array([[1, 2], [3, 4], [5, 6]], dtype=dtype, order=order)
    asked = question(mlflow(ARRAY), Request(body=saved(array), content_type="application/x-npy"))
    assert isinstance(asked.batch.rows, list)
    assert [list(row) for row in asked.batch.rows] == [[1, 2], [3, 4], [5, 6]]


def test_a_column_may_have_a_name_that_means_something_else() -> None:
    """`data`, `columns` and `index` are also the keys of one spelling of a table."""
    (column, *_) = FRAME.columns
    spec = type(FRAME)(kind="frame", width=1, columns=(type(column)(name="data", kind="number", dtype="float64"),))
    tensor = {"name": "data", "shape": [2], "datatype": "FP64", "data": [1.5, 2.5]}
    asked = question(v2(spec), Request(body=json.dumps({"inputs": [tensor]}).encode()))
    assert isinstance(asked.batch.rows, list)
    assert [list(row) for row in asked.batch.rows] == [[1.5], [2.5]]
    wrong = {**tensor, "datatype": "BYTES", "data": ["1", "2"]}
    with pytest.raises(RequestError) as refusal:
        v2(spec).read(Request(body=json.dumps({"inputs": [wrong]}).encode()))
    assert refusal.value.pointer == "/inputs/0/data/0"


def test_a_bad_line_is_told_by_its_number() -> None:
    body = b"size,rooms,town\n\n1,2,a\n\n1,x,a\n"
    with pytest.raises(RequestError, match="Line 5"):
        mlflow(FRAME).read(Request(body=body, content_type="text/csv"))
