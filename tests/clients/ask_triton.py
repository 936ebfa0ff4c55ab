"""Triton's client: tensors as JSON and as bytes, metadata, health. Arguments: see `tests.scorer.test_clients`.

Prints what it was answered as JSON. It runs where `locks/clients.txt` is installed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

ASKED = json.loads(sys.argv[1])
MODEL = ASKED["model"]


def main() -> None:
    """Ask each service."""
    flowers, houses, texts = (client(name) for name in ("flowers", "houses", "spam"))
    rows = np.array(ASKED["flowers"]["rows"])
    cells = ASKED["houses"]["columns"]
    kinds: list[tuple[str, str, str]] = [
        ("rooms", "int64", "INT64"),
        ("area", "float64", "FP64"),
        ("town", "object", "BYTES"),
        ("garden", "bool", "BOOL"),
    ]
    columns = [
        tensor(name, np.array(cells[name], dtype=dtype).reshape(-1, 1), datatype, binary=binary)
        for binary, (name, dtype, datatype) in enumerate(kinds)
    ]
    messages = np.array(ASKED["spam"]["rows"], dtype=object)
    binary, plain = (tensor("input", rows, "FP64", binary=binary) for binary in (True, False))
    metadata = flowers.get_model_metadata(MODEL)
    version = metadata["versions"][0]
    answers = {
        "health": [
            flowers.is_server_live(),
            flowers.is_server_ready(),
            flowers.is_model_ready(MODEL),
            flowers.is_model_ready(MODEL, version),
            flowers.is_model_ready("another"),
        ],
        "server": flowers.get_server_metadata(),
        "metadata": metadata,
        "flowers": {
            "binary": labels(flowers, [binary], binary=True),
            "json": labels(flowers, [plain], binary=False),
            "mixed": labels(flowers, [binary], binary=False),
            "default": texts_of(flowers.infer(MODEL, [binary]).as_numpy("predict")),
            "single": labels(flowers, [tensor("input", rows.astype("float32"), "FP32", binary=True)], binary=True),
            "version": texts_of(flowers.infer(MODEL, [binary], model_version=version).as_numpy("predict")),
        },
        "probabilities": flowers.infer(
            MODEL, [binary], outputs=[InferRequestedOutput("predict_proba", binary_data=True)], request_id="7"
        )
        .as_numpy("predict_proba")
        .tolist(),
        "id": flowers.infer(MODEL, [binary], request_id="7").get_response()["id"],
        "houses": houses.infer(MODEL, columns).as_numpy("predict").ravel().tolist(),
        "spam": [
            labels(texts, [tensor("text", messages, "BYTES", binary=is_binary)], binary=is_binary)
            for is_binary in (True, False)
        ],
        "refusals": [
            refusal(flowers, [tensor("input", rows[:, :2], "FP64", binary=True)]),
            refusal(flowers, [binary], model="another"),
            refusal(flowers, [binary], outputs=[InferRequestedOutput("explain")]),
        ],
    }
    sys.stdout.write(json.dumps(answers))


def client(name: str) -> Any:
    """Return a client of one of the services."""
    return InferenceServerClient(f"127.0.0.1:{ASKED[name]['port']}")


def tensor(name: str, data: Any, datatype: str, *, binary: bool | int) -> Any:
    """Return an input."""
    made = InferInput(name, list(data.shape), datatype)
    made.set_data_from_numpy(data, binary_data=bool(binary))
    return made


def labels(service: Any, inputs: list[Any], *, binary: bool) -> list[str]:
    """Return the predictions."""
    outputs = [InferRequestedOutput("predict", binary_data=binary)]
    return texts_of(service.infer(MODEL, inputs, outputs=outputs).as_numpy("predict"))


def texts_of(array: Any) -> list[str]:
    """Return labels, which are bytes where the answer was binary."""
    return [each.decode() if isinstance(each, bytes) else each for each in array.ravel().tolist()]


def refusal(service: Any, inputs: list[Any], *, model: str = MODEL, outputs: Any = None) -> list[Any]:
    """Return status and message of a refusal as the client understands it."""
    try:
        return [None, str(service.infer(model, inputs, outputs=outputs))]
    except InferenceServerException as error:
        return [error.status(), error.message()]


main()
