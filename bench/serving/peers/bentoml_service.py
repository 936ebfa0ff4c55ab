"""BentoML: a service class with the type that its documentation has for each kind of input.

With BENCH_BATCH its adaptive batching is on.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pandas as pd

DESCRIPTION = json.loads(Path(os.environ["BENCH_DESCRIPTION"]).read_text(encoding="utf-8"))
BATCH = int(os.environ.get("BENCH_BATCH", "0"))
# 1.4.40 never answers where batching is on and the input a DataFrame: it takes its shape for the number of rows.
TABLE: Any = list[dict[str, Any]] if BATCH else pd.DataFrame
Rows: Any = {"columns": TABLE, "texts": list[str], "numbers": np.ndarray}[DESCRIPTION["kind"]]
BATCHING: dict[str, Any] = {"batchable": True, "max_batch_size": BATCH, "max_latency_ms": 10_000} if BATCH else {}


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    def __init__(self) -> None:
        self.pipeline = pickle.loads(Path(os.environ["BENCH_PIPELINE"]).read_bytes())

    @bentoml.api(route="/predict", **BATCHING)
    def predict(self, rows: Rows) -> list[str]:
        if DESCRIPTION["kind"] == "columns" and BATCH:
            rows = pd.DataFrame(rows)
        found: list[str] = self.pipeline.predict(rows).tolist()
        return found
