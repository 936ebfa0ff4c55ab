"""No request may have more than NACHLASS_MAX_ROWS rows, in whatever spelling."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from scorer.decode import Decoder
from scorer.errors import RequestError
from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.scorer.test_decode_properties import FRAME
from tests.scorer.test_protocols import npy, send, tensor
from tests.support.service import Service

LIMIT = 3
Make = Callable[[int], Any]


@pytest.fixture(scope="module")
def limited(line_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(line_image, NACHLASS_MAX_ROWS=str(LIMIT)) as service:
        yield service


def rows(count: int) -> list[list[float]]:
    return [[float(number)] for number in range(count)]


def csv(count: int) -> bytes:
    return b"x\n" + b"".join(b"%d\n" % number for number in range(count))


BODIES: dict[str, tuple[str, Make, str]] = {
    "json": ("/predict", rows, "application/json"),
    "flat": ("/predict", lambda n: list(range(n)), "application/json"),
    "series": ("/predict", lambda n: {str(i): i for i in range(n)}, "application/json"),
    "v1": ("/v1/models/a-model:predict", lambda n: {"instances": rows(n)}, "application/json"),
    "v2": (
        "/v2/models/a-model/infer",
        lambda n: {"inputs": [tensor("x", "FP64", [0.0] * n, n, 1)]},
        "application/json",
    ),
    "mlflow": ("/invocations", lambda n: {"dataframe_split": {"data": rows(n)}}, "application/json"),
    "csv": ("/invocations", csv, "text/csv; header=present"),
    "npy": ("/invocations", lambda n: npy(rows(n)), "application/x-npy"),
    "flat-npy": ("/invocations", lambda n: npy([0.0] * n), "application/x-npy"),
    "azure": ("/score", lambda n: {"input_data": rows(n)}, "application/json"),
}


@pytest.mark.parametrize("name", BODIES)
def test_as_many_rows_as_are_allowed_are_answered_and_one_more_is_refused(limited: Service, name: str) -> None:
    path, body, content_type = BODIES[name]
    assert send(limited, path, body(LIMIT), content_type)[0] == 200
    status, _, answer = send(limited, path, body(LIMIT + 1), content_type)
    assert status == 413
    assert b"more than 3 rows" in answer
    assert b"NACHLASS_MAX_ROWS" in answer


def test_the_refusal_has_a_code(limited: Service) -> None:
    assert limited.post("/predict", json_body=rows(LIMIT + 1)).json()["code"] == "too-many-rows"


def test_binary_tensors_are_counted_and_empty_lines_of_csv_are_not(limited: Service) -> None:
    data = np.zeros(LIMIT + 1).tobytes()
    described = {
        "name": "x",
        "datatype": "FP64",
        "shape": [LIMIT + 1, 1],
        "parameters": {"binary_data_size": len(data)},
    }
    head = json.dumps({"inputs": [described]}).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    assert send(limited, "/v2/models/a-model/infer", head + data, **length)[0] == 413
    assert send(limited, "/invocations", b"1\n\n2\n\n\n3\n", "text/csv; header=absent")[0] == 200


ROW = {"size": 1.5, "rooms": 2, "town": "a"}
SPELLINGS: dict[str, Make] = {
    "records": lambda n: [ROW] * n,
    "positions": lambda n: [list(ROW.values())] * n,
    "columns": lambda n: {name: [cell] * n for name, cell in ROW.items()},
    "nested": lambda n: {name: {str(i): cell for i in range(n)} for name, cell in ROW.items()},
    "by-index": lambda n: {str(i): ROW for i in range(n)},
    "split": lambda n: {"columns": list(ROW), "data": [list(ROW.values())] * n},
    "split-without-names": lambda n: {"data": [list(ROW.values())] * n},
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_rows_of_named_columns_are_counted_in_each_spelling(name: str) -> None:
    decoder = Decoder(FRAME, max_rows=LIMIT)
    assert len(decoder.decode(SPELLINGS[name](LIMIT)).rows) == LIMIT
    with pytest.raises(RequestError) as refusal:
        decoder.decode(SPELLINGS[name](LIMIT + 1))
    assert (refusal.value.status, refusal.value.code) == (413, "too-many-rows")
