"""Run by the model's own Python: its pipeline without any server.

in_process.py PIPELINE KIND ROWS       ROWS is a JSON file. For each line of its input it prints a line of JSON:
predictions                            what the pipeline predicts for all rows, in one call
calls ROWS SECONDS                     seconds of each call with that many rows, for about that long
"""

from __future__ import annotations

import itertools
import json
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def input_of(kind: str, rows: Sequence[Any]) -> Any:
    """Make what the pipeline was fitted on; this is not timed."""
    match kind:
        case "columns":
            return pd.DataFrame(rows)
        case "texts":
            return list(rows)
        case _:
            return np.array(rows, dtype=np.float64)


def inputs_of(kind: str, rows: Sequence[Any], size: int) -> Iterator[Any]:
    """Return inputs of `size` rows, in turn."""
    batches = [rows[start : start + size] for start in range(0, min(len(rows), 64 * size), size)]
    return itertools.cycle([input_of(kind, batch) for batch in batches if len(batch) == size])


def calls(pipeline: Any, inputs: Iterator[Any], seconds: float) -> list[float]:
    taken = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        pipeline.predict(next(inputs))
        taken.append(time.perf_counter() - started)
    return taken


def main() -> None:
    file, kind, rows_file = sys.argv[1:]
    pipeline = pickle.loads(Path(file).read_bytes())
    rows = json.loads(Path(rows_file).read_text(encoding="utf-8"))
    for line in sys.stdin:
        match line.split():
            case ["calls", size, seconds]:
                answer = calls(pipeline, inputs_of(kind, rows, int(size)), float(seconds))
            case _:
                answer = pipeline.predict(input_of(kind, rows)).tolist()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
