"""KServe's client, of V1 and V2. Arguments: see `tests.scorer.test_clients`.

Prints what it was answered as JSON. It runs where `locks/clients.txt` is installed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

ASKED = json.loads(sys.argv[1])
MODEL = ASKED["model"]


async def main() -> None:
    """Ask each service."""
    flowers, houses, texts = (f"http://127.0.0.1:{ASKED[name]['port']}" for name in ("flowers", "houses", "spam"))
    rows = ASKED["flowers"]["rows"]
    first = InferenceRESTClient(RESTConfig(protocol="v1"))
    second = InferenceRESTClient(RESTConfig(protocol="v2"))
    whole = InferInput("input", [len(rows), 4], "FP64", [cell for row in rows for cell in row])
    binary = InferInput("input", [len(rows), 4], "FP64")
    binary.set_data_from_numpy(np.array(rows), binary_data=True)
    cells = ASKED["houses"]["columns"]
    columns = [
        InferInput(name, [len(cells[name]), 1], datatype, cells[name])
        for name, datatype in (("rooms", "INT64"), ("area", "FP64"), ("town", "BYTES"), ("garden", "BOOL"))
    ]
    messages = ASKED["spam"]["rows"]
    narrow = InferInput("input", [1, 2], "FP64", [1.0, 2.0])

    async def infer(base: str, *inputs: Any, outputs: tuple[str, ...] = ()) -> Any:
        request = InferRequest(
            MODEL, list(inputs), request_id="7", request_outputs=[RequestedOutput(name) for name in outputs]
        )
        answer = await second.infer(base, request, model_name=MODEL)
        return {"id": answer.id, **{output.name: output.as_numpy().tolist() for output in answer.outputs}}

    answers = {
        "health": [
            await first.is_server_live(flowers),
            await first.is_model_ready(flowers, MODEL),
            await second.is_server_live(flowers),
            await second.is_server_ready(flowers),
            await second.is_model_ready(flowers, MODEL),
            await second.is_model_ready(flowers, "another"),
        ],
        "first": [
            await first.infer(flowers, {"instances": rows}, model_name=MODEL),
            await first.infer(houses, {"instances": ASKED["houses"]["rows"]}, model_name=MODEL),
            await first.infer(texts, {"instances": messages}, model_name=MODEL),
        ],
        "json": await infer(flowers, whole),
        "binary": await infer(flowers, binary),
        "probabilities": await infer(flowers, whole, outputs=("predict", "predict_proba")),
        "houses": await infer(houses, *columns),
        "spam": await infer(texts, InferInput("text", [len(messages)], "BYTES", messages)),
        "refusals": [
            await refusal(infer(flowers, narrow)),
            await refusal(second.infer(flowers, InferRequest("another", [whole]), model_name="another")),
            await refusal(first.infer(flowers, {"instances": [[1.0]]}, model_name=MODEL)),
        ],
    }
    await first.close()
    await second.close()
    sys.stdout.write(json.dumps(answers))


async def refusal(asking: Awaitable[Any]) -> list[Any]:
    """Return status and message of a refusal as the client understands it."""
    try:
        return [None, str(await asking)]
    except httpx.HTTPStatusError as error:
        return [error.response.status_code, str(error)]


asyncio.run(main())
