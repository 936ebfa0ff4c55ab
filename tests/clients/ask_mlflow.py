"""MLflow's client of its scoring server. Arguments: see `tests.scorer.test_clients`.

Prints what it was answered as JSON. It runs where `locks/clients.txt` is installed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

ASKED = json.loads(sys.argv[1])


def main() -> None:
    """Ask each service."""
    flowers, houses, texts = (
        ScoringServerClient("127.0.0.1", ASKED[name]["port"]) for name in ("flowers", "houses", "spam")
    )
    flowers.ping()
    flowers.wait_server_ready(timeout=5)
    with_nan = pd.DataFrame(ASKED["houses"]["columns"])
    frame = with_nan.astype(object).where(with_nan.notna(), None)  # The client writes NaN as such, which is no JSON.
    rows = np.array(ASKED["flowers"]["rows"])
    messages = ASKED["spam"]["rows"]
    answers = {
        "version": flowers.get_version(),
        "array": predictions(flowers.invoke(rows)),
        "unnamed frame": predictions(flowers.invoke(pd.DataFrame(rows))),
        "frame": predictions(houses.invoke(frame)),
        "further columns": predictions(houses.invoke(frame.assign(owner="A", shoe=1).iloc[:, ::-1])),
        "index": predictions(houses.invoke(frame.set_axis(["x", "y"]))),
        "texts": predictions(texts.invoke(pd.DataFrame({"text": messages}))),
        "series": predictions(texts.invoke(np.array(messages))),
        "refusals": [
            refusal(houses, frame.drop(columns="rooms")),
            refusal(houses, frame.assign(rooms="three")),
            refusal(houses, with_nan),
            refusal(flowers, rows[:, :2]),
        ],
    }
    sys.stdout.write(json.dumps(answers))


def predictions(response: Any) -> list[Any]:
    """Return the predictions as the client understands them: as an array, which has to agree with its frame."""
    array = response.get_predictions(predictions_format="ndarray")
    frame = response.get_predictions()
    assert frame.shape == (len(array), 1), frame
    values: list[Any] = array.tolist()
    return values


def refusal(client: Any, data: Any) -> str:
    """Return what the client makes of a refusal."""
    try:
        return repr(client.invoke(data))
    except Exception as error:  # noqa: BLE001 - the client raises nothing more special
        return str(error)


main()
