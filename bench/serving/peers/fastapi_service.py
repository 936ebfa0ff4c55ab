"""FastAPI with uvicorn: the service that a careful engineer writes by hand for one model.

Types say what a row is, and refuse another one. The endpoint is a plain function, so that a prediction keeps nobody
from asking whether the service lives; with BENCH_ASYNC=1 it is a coroutine, which
saves a thread and keeps everybody waiting.
"""

import json
import os
import pickle
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, Field, create_model

PIPELINE = pickle.loads(Path(os.environ["BENCH_PIPELINE"]).read_bytes())
DESCRIPTION = json.loads(Path(os.environ["BENCH_DESCRIPTION"]).read_text(encoding="utf-8"))
TYPES: dict[str, Any] = {"float": float | None, "integer": int, "text": str, "boolean": bool}


class Predictions(BaseModel):
    predictions: list[str]


class Texts(BaseModel):
    rows: list[str]

    def as_input(self) -> Any:
        return self.rows


class Numbers(BaseModel):
    rows: list[Annotated[list[float], Field(min_length=DESCRIPTION["width"], max_length=DESCRIPTION["width"])]]

    def as_input(self) -> Any:
        return np.array(self.rows)


# By hand this would be thirty lines, one for each column.
Columns: Any = create_model("Columns", **{name: (TYPES[kind], ...) for name, kind in DESCRIPTION["columns"].items()})


class Frame(BaseModel):
    rows: list[Columns]

    def as_input(self) -> Any:
        return pd.DataFrame([dict(row) for row in self.rows])


Body: Any = {"texts": Texts, "numbers": Numbers, "columns": Frame}[DESCRIPTION["kind"]]
app = FastAPI()


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


def predict(body: Body) -> Predictions:
    return Predictions(predictions=PIPELINE.predict(body.as_input()).tolist())


async def predict_in_loop(body: Body) -> Predictions:
    return predict(body)


app.post("/predict")(predict_in_loop if os.environ.get("BENCH_ASYNC") else predict)

if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        loop="uvloop",
        http="httptools",
        log_level="warning",
        access_log=False,
    )
