"""Every protocol: the same rows get the same answers, errors have the protocol's own shape, names have to be right."""

from __future__ import annotations

import http.client
import io
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.scorer.image import Image
from tests.support.service import Service

Serve = Callable[..., Any]
FLOWER = [6.3, 3.3, 6.0, 2.5]
FLOWERS = [FLOWER, [5.1, 3.5, 1.4, 0.2]]
HOUSE = {"rooms": 3, "area": None, "town": "Ulm", "garden": True}
TEXTS = ["dinner was tasty", "my lord"]


@pytest.fixture(scope="module")
def named(spam_image: Image, serve: Serve) -> Iterator[Service]:
    names = {"NACHLASS_MODEL_NAME": "mail, old-mail", "AIP_PREDICT_ROUTE": "/vertex:predict", "AIP_HEALTH_ROUTE": "/up"}
    with serve(spam_image, **names) as service:
        yield service


def send(
    service: Service, path: str, body: object, content_type: str = "application/json", **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    """Send a body, as it is or as JSON, and return status, headers and body of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    try:
        given_headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, data, {"Content-Type": content_type, **given_headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def ask(service: Service, path: str, body: object, **options: str) -> Any:
    status, _, answer = send(service, path, body, **options)
    assert status == 200, answer
    return json.loads(answer)


def tensor(name: str, datatype: str, cells: list[Any], *shape: int) -> dict[str, Any]:
    return {"name": name, "shape": list(shape or (len(cells),)), "datatype": datatype, "data": cells}


def outputs(answer: Any) -> dict[str, Any]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values))
    return file.getvalue()


# --- the same answers ---


def test_arrays_are_answered_alike(flowers: Service) -> None:
    expected = flowers.post("/predict", json_body=FLOWERS).json()
    name = flowers.get("/v1/models").json()["models"][0]
    flat = [cell for row in FLOWERS for cell in row]
    infer = f"/v2/models/{name}/infer"
    assert ask(flowers, f"/v1/models/{name}:predict", {"instances": FLOWERS}) == {"predictions": expected}
    assert outputs(ask(flowers, infer, {"inputs": [tensor("x", "FP64", flat, 2, 4)]}))["predict"] == expected
    assert outputs(ask(flowers, infer, {"inputs": [tensor("x", "FP32", FLOWERS, 2, 4)]}))["predict"] == expected
    columns = [tensor(f"c{j}", "FP64", [row[j] for row in FLOWERS], 2, 1) for j in range(4)]
    assert outputs(ask(flowers, infer, {"inputs": columns}))["predict"] == expected
    for key in ("instances", "inputs", "dataframe_records"):
        assert ask(flowers, "/invocations", {key: FLOWERS}) == {"predictions": expected}
    assert ask(flowers, "/invocations", {"dataframe_split": {"data": FLOWERS}}) == {"predictions": expected}
    assert ask(flowers, "/invocations", FLOWERS) == expected
    csv = "\n".join(",".join(map(str, row)) for row in FLOWERS)
    assert ask(flowers, "/invocations", csv.encode(), content_type="text/csv") == expected
    with_header = f"a,b,c,d\n{csv}\n".encode()
    assert ask(flowers, "/invocations", with_header, content_type="text/csv") == {"predictions": expected}
    assert ask(flowers, "/invocations", npy(FLOWERS), content_type="application/x-npy") == expected
    assert ask(flowers, "/score", {"input_data": FLOWERS}) == ask(flowers, "/score", FLOWERS) == expected
    status, headers, body = send(flowers, "/invocations", FLOWERS, Accept="text/csv")
    assert (status, headers["content-type"].partition(";")[0]) == (200, "text/csv")
    assert body.decode().splitlines() == expected


def test_named_columns_are_answered_alike(houses: Service) -> None:
    (expected,) = houses.post("/predict", json_body=[HOUSE]).json()
    name = houses.get("/v1/models").json()["models"][0]
    assert ask(houses, f"/v1/models/{name}:predict", {"instances": [HOUSE]})["predictions"] == [expected]
    types = {"rooms": "INT64", "area": "FP64", "town": "BYTES", "garden": "BOOL"}
    tensors = [tensor(column, types[column], [cell], 1, 1) for column, cell in HOUSE.items()]
    assert outputs(ask(houses, f"/v2/models/{name}/infer", {"inputs": tensors}))["predict"] == [expected]
    split = {"columns": list(HOUSE), "data": [list(HOUSE.values())]}
    assert ask(houses, "/invocations", {"dataframe_split": split})["predictions"] == [expected]
    assert ask(houses, "/invocations", {"dataframe_records": [HOUSE]})["predictions"] == [expected]
    header = b"garden,rooms,owner,town,area\nTrue,3,somebody,Ulm,\n"
    assert ask(houses, "/invocations", header, content_type="text/csv")["predictions"] == [expected]
    assert ask(houses, "/invocations", b"3,,Ulm,true", content_type="text/csv; header=absent") == [expected]
    assert ask(houses, "/score", {"input_data": split}) == [expected]


def test_texts_are_answered_alike(named: Service) -> None:
    expected = named.post("/predict", json_body=TEXTS).json()
    assert ask(named, "/v1/models/mail:predict", {"instances": TEXTS}) == {"predictions": expected}
    assert ask(named, "/vertex:predict", {"instances": TEXTS}) == {"predictions": expected}
    for shape in ((2,), (2, 1)):
        answer = ask(named, "/v2/models/old-mail/infer", {"id": "7", "inputs": [tensor("t", "BYTES", TEXTS, *shape)]})
        assert (answer["id"], answer["model_name"]) == ("7", "mail")
        assert answer["outputs"] == [{"name": "predict", "shape": [2, 1], "datatype": "BYTES", "data": expected}]
    assert ask(named, "/invocations", {"inputs": TEXTS}) == {"predictions": expected}
    assert ask(named, "/invocations", b"dinner was tasty\nmy lord\n", content_type="text/csv") == expected
    quoted = b'text\n"dinner was, tasty"\n'
    assert ask(named, "/invocations", quoted, content_type="text/csv;header=present") == {"predictions": ["spam"]}


@given(rows=st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_any_rows_get_the_same_answers_everywhere(flowers: Service, rows: list[list[float]]) -> None:
    expected = flowers.post("/predict", json_body=rows).json()
    name = flowers.get("/v1/models").json()["models"][0]
    flat = [cell for row in rows for cell in row]
    assert ask(flowers, f"/v1/models/{name}:predict", {"instances": rows})["predictions"] == expected
    answer = ask(flowers, f"/v2/models/{name}/infer", {"inputs": [tensor("x", "FP64", flat, len(rows), 4)]})
    assert outputs(answer)["predict"] == expected
    assert ask(flowers, "/invocations", npy(rows), content_type="application/x-npy") == expected
    csv = "\n".join(",".join(map(repr, row)) for row in rows).encode()
    assert ask(flowers, "/invocations", csv, content_type="text/csv") == expected


def test_vertex_s_routes_win_over_ours(spam_image: Image, serve: Serve) -> None:
    with serve(spam_image, AIP_PREDICT_ROUTE="/predict", AIP_HEALTH_ROUTE="/health", AIP_HTTP_PORT="1") as service:
        assert ask(service, "/predict", {"instances": ["tasty"]}) == {"predictions": ["spam"]}
        assert service.get("/health").json() == {"status": "ready"}


# --- what else can be asked ---


def test_probabilities_come_by_class(flowers: Service) -> None:
    (answer,) = ask(flowers, "/predict?probabilities=true", [FLOWER])
    assert answer["prediction"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert ask(flowers, "/predict?probabilities=false", [FLOWER]) == [answer["prediction"]]
    assert send(flowers, "/predict?probabilities=perhaps", [FLOWER])[0] == 400


def test_a_model_without_probabilities_says_so(line: Service) -> None:
    status, _, body = send(line, "/predict?probabilities=1", [1.0])
    assert (status, json.loads(body)["code"]) == (400, "no-probabilities")


def test_outputs_are_those_that_were_asked_for(flowers: Service) -> None:
    name = flowers.get("/v1/models").json()["models"][0]
    asked = [{"name": "predict_proba"}, {"name": "decision_function"}]
    answer = ask(flowers, f"/v2/models/{name}/infer", {"inputs": [tensor("x", "FP64", FLOWER, 1, 4)], "outputs": asked})
    assert [output["name"] for output in answer["outputs"]] == ["predict_proba", "decision_function"]
    assert answer["outputs"][0]["shape"] == [1, 3]
    assert sum(answer["outputs"][0]["data"]) == pytest.approx(1)
    described = flowers.get(f"/v2/models/{name}").json()
    assert described["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 4]}]
    assert described["outputs"][:2] == [
        {"name": "predict", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
    ]
    version = described["versions"][0]
    assert flowers.get(f"/v2/models/{name}/versions/{version}").json() == described
    assert flowers.get(f"/v2/models/{name}/versions/{version}/ready").json() == {"name": name, "ready": True}


def test_tensors_may_be_binary(flowers: Service, named: Service) -> None:
    def binary(name: str, datatype: str, data: bytes, *shape: int) -> bytes:
        parameters = {"binary_data_size": len(data)}
        head = {"inputs": [{"name": name, "datatype": datatype, "shape": list(shape), "parameters": parameters}]}
        return json.dumps({**head, "outputs": [{"name": "predict", "parameters": {"binary_data": True}}]}).encode()

    data = np.array(FLOWERS, dtype="<f4").tobytes()
    head = binary("x", "FP32", data, 2, 4)
    name = flowers.get("/v1/models").json()["models"][0]
    status, headers, body = send(
        flowers, f"/v2/models/{name}/infer", head + data, Inference_Header_Content_Length=str(len(head))
    )
    assert status == 200
    length = int(headers["inference-header-content-length"])
    (output,) = json.loads(body[:length])["outputs"]
    labels = [label.encode() for label in flowers.post("/predict", json_body=FLOWERS).json()]
    assert body[length:] == b"".join(struct.pack("<I", len(label)) + label for label in labels)
    assert output["parameters"]["binary_data_size"] == len(body) - length

    texts = b"".join(struct.pack("<I", len(text)) + text.encode() for text in TEXTS)
    head = binary("t", "BYTES", texts, 2)
    options = {"Inference_Header_Content_Length": str(len(head))}
    assert send(named, "/v2/models/mail/infer", head + texts, **options)[0] == 200
    for wrong in (texts[:-1], texts + b"\0", struct.pack("<I", 2**31) + b"x", b""):
        head = binary("t", "BYTES", wrong, 2)
        options = {"Inference_Header_Content_Length": str(len(head))}
        assert send(named, "/v2/models/mail/infer", head + wrong, **options)[0] == 400


# --- names, methods, types ---


def test_another_name_or_version_is_not_found(named: Service) -> None:
    rows = {"instances": TEXTS}
    tensors = {"inputs": [tensor("t", "BYTES", TEXTS)]}
    for path, body in (
        ("/v1/models/other:predict", rows),
        ("/v2/models/other/infer", tensors),
        ("/v2/models/mail/versions/0/infer", tensors),
    ):
        status, _, answer = send(named, path, body)
        assert status == 404
        assert set(json.loads(answer)) == {"error"}
    for path in ("/v1/models/other", "/v2/models/other", "/v2/models/other/ready"):
        assert named.get(path).status == 404
    assert named.get("/v1/models/mail:explain").status == 404


HEALTH = {
    "/v2": {"name": "nachlass", "version": "0.1.0", "extensions": ["binary_tensor_data"]},
    "/v2/health/live": {"live": True},
    "/v2/health/ready": {"ready": True},
    "/v2/models/mail/ready": {"name": "mail", "ready": True},
    "/v1/models/mail": {"name": "mail", "ready": True},
    "/up": {"status": "ready"},
    "/v2/health/live/": {"live": True},
}


@pytest.mark.parametrize(("path", "expected"), HEALTH.items(), ids=HEALTH)
def test_health_in_each_protocol(named: Service, path: str, expected: object) -> None:
    assert named.get(path).json() == expected
    assert named.request("HEAD", path).status == 200


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_mlflow_s_and_sagemaker_s_probes(named: Service, path: str) -> None:
    assert named.get(path).status == 200


@pytest.mark.parametrize(
    ("path", "allowed"), [("/predict", "POST"), ("/v2/models/mail/infer", "POST"), ("/invocations/", "POST")]
)
def test_other_methods_are_told_which_are_allowed(named: Service, path: str, allowed: str) -> None:
    answer = named.get(path)
    assert answer.status == 405
    assert allowed in answer.headers["allow"]
    options = named.request("OPTIONS", path)
    assert (options.status, allowed in options.headers["allow"]) == (200, True)


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/predict", "text/html", 406),
        ("/predict", "text/html, */*;q=0.1", 200),
        ("/predict", "application/json", 200),
        ("/invocations", "image/png", 406),
        ("/v1/models/mail:predict", "text/csv", 406),
    ],
)
def test_an_answer_that_the_client_doesn_t_take_is_not_given(
    named: Service, path: str, accept: str, status: int
) -> None:
    assert send(named, path, {"instances": TEXTS} if "v1" in path else TEXTS, Accept=accept)[0] == status


@pytest.mark.parametrize("given_id", ["abc-123", "bad id\t", "x" * 65, ""])
def test_requests_keep_their_id_if_it_is_harmless(named: Service, given_id: str) -> None:
    _, headers, _ = send(named, "/predict", TEXTS, X_Request_ID=given_id)
    assert (headers["x-request-id"] == given_id) == (given_id == "abc-123")
    assert headers["x-request-id"]


BAD: dict[str, tuple[str, object, str]] = {
    "v1-list": ("/v1/models/mail:predict", TEXTS, "application/json"),
    "v1-nothing": ("/v1/models/mail:predict", {"rows": TEXTS}, "application/json"),
    "v1-number": ("/v1/models/mail:predict", {"instances": [1]}, "application/json"),
    "v2-list": ("/v2/models/mail/infer", TEXTS, "application/json"),
    "v2-empty": ("/v2/models/mail/infer", {"inputs": []}, "application/json"),
    "v2-size": ("/v2/models/mail/infer", {"inputs": [tensor("t", "BYTES", TEXTS, 3)]}, "application/json"),
    "v2-huge": ("/v2/models/mail/infer", {"inputs": [tensor("t", "FP64", [], *[2**31 - 1] * 2)]}, "application/json"),
    "v2-type": ("/v2/models/mail/infer", {"inputs": [tensor("t", "INT64", TEXTS)]}, "application/json"),
    "v2-rows": ("/v2/models/mail/infer", {"inputs": [tensor("t", "BYTES", TEXTS, 1, 2)]}, "application/json"),
    "v2-output": (
        "/v2/models/mail/infer",
        {"inputs": [tensor("t", "BYTES", TEXTS)], "outputs": [{"name": "explain"}]},
        "application/json",
    ),
    "mlflow-two": ("/invocations", {"instances": TEXTS, "inputs": TEXTS}, "application/json"),
    "mlflow-type": ("/invocations", TEXTS, "application/x-pickle"),
    "mlflow-npy": ("/invocations", b"\x93NUMPY", "application/x-npy"),
    "mlflow-csv": ("/invocations", b'"open', "text/csv"),
    "azure": ("/score", {"input_data": 5}, "application/json"),
}


@pytest.mark.parametrize("length", [131_072, 131_073, 4_000_000])
def test_long_text_is_answered_as_csv_as_it_is_as_json(named: Service, length: int) -> None:
    text = "tasty chips, " * (length // 13) + "x" * (length % 13)
    expected = ask(named, "/invocations", [text])
    assert ask(named, "/invocations", f'"{text}"\n'.encode(), content_type="text/csv") == expected


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_is_refused_in_the_protocol_s_own_words(named: Service, name: str) -> None:
    path, body, content_type = BAD[name]
    status, _, answer = send(named, path, body, content_type)
    told = json.loads(answer)
    assert 400 <= status < 500, told
    if path == "/invocations":
        assert set(told) == {"error_code", "message"}
    else:
        assert set(told) == {"error"}


@pytest.mark.parametrize(
    "array",
    [np.array([[{}]], dtype=object), np.array([["text"]]), np.zeros((1, 1, 4)), np.array([1 + 2j])],
    ids=["objects", "texts", "dimensions", "complex"],
)
def test_arrays_of_other_things_than_numbers_are_refused(flowers: Service, array: Any) -> None:
    file = io.BytesIO()
    np.save(file, array)
    assert send(flowers, "/invocations", file.getvalue(), "application/x-npy")[0] == 400


@pytest.mark.parametrize(
    ("shape", "size"),
    [("(True, 4)", 32), ("(2, True)", 16), ("(0, 4611686018427387904)", 0), ("(-1, 4)", 32), ("(4.0,)", 32)],
    ids=["true", "true-column", "huge", "negative", "float"],
)
def test_array_whose_shape_is_none_is_refused(flowers: Service, shape: str, size: int) -> None:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".encode()
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(size)
    status, _, answer = send(flowers, "/invocations", body, "application/x-npy")
    assert (status, json.loads(answer)["error_code"]) == (400, "BAD_REQUEST")


def test_an_array_shorter_than_its_shape_is_refused_before_it_takes_memory(flowers: Service) -> None:
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000, 4000000), }"
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0" * 32
    status, _, answer = send(flowers, "/invocations", body, "application/x-npy")
    assert (status, "32000000000 bytes" in json.loads(answer)["message"]) == (400, True)
