"""LitServe: its API class in one worker process. With BENCH_BATCH it collects up to so many requests for a call."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import litserve
import numpy as np
import pandas as pd

DESCRIPTION = json.loads(Path(os.environ["BENCH_DESCRIPTION"]).read_text(encoding="utf-8"))
BATCH = int(os.environ.get("BENCH_BATCH", "1"))


def input_of(rows: list[Any]) -> Any:
    match DESCRIPTION["kind"]:
        case "columns":
            return pd.DataFrame(rows)
        case "texts":
            return rows
        case _:
            return np.array(rows, dtype=np.float64)


class Service(litserve.LitAPI):
    def setup(self, device: str) -> None:
        del device
        self.pipeline = pickle.loads(Path(os.environ["BENCH_PIPELINE"]).read_bytes())

    def decode_request(self, request: dict[str, Any]) -> list[Any]:
        rows: list[Any] = request["rows"]
        return rows

    def predict(self, rows: list[Any]) -> list[Any]:
        found: list[Any] = self.pipeline.predict(input_of(rows)).tolist()
        return found

    def encode_response(self, output: list[Any]) -> dict[str, list[Any]]:
        return {"predictions": output}


class BatchedService(Service):
    """`predict` gets the requests joined, and its answer is parted again."""

    def batch(self, inputs: list[list[Any]]) -> list[Any]:
        self.sizes = [len(rows) for rows in inputs]
        return [row for rows in inputs for row in rows]

    def unbatch(self, output: list[Any]) -> list[list[Any]]:
        found = iter(output)
        return [[next(found) for _ in range(size)] for size in self.sizes]


if __name__ == "__main__":
    api = (
        Service()
        if BATCH == 1
        else BatchedService(max_batch_size=BATCH, batch_timeout=float(os.environ["BENCH_BATCH_WAIT_S"]))
    )
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )
