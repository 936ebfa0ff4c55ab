"""`requests`: the forms of 2019, JSON, CSV, chunks. Arguments: see `tests.scorer.test_clients`.

Prints what it was answered as JSON. It runs where `locks/clients.txt` is installed.
"""

from __future__ import annotations

import json
import sys

import requests

ASKED = json.loads(sys.argv[1])


def main() -> None:
    """Ask each service, each time on one connection."""
    flowers, houses, texts = (f"http://127.0.0.1:{ASKED[name]['port']}" for name in ("flowers", "houses", "spam"))
    messages = ASKED["spam"]["rows"]
    rows = ASKED["houses"]["rows"]
    table = "rooms,area,town,garden\n3,70.5,Ulm,true\n5,,Jena,false\n"
    csv = {"Content-Type": "text/csv", "Accept": "text/csv"}
    with requests.Session() as session:
        answers = {
            "form": session.post(f"{texts}/predict", data={"json_args": json.dumps(messages)}, timeout=60).json(),
            "upload": session.post(
                f"{texts}/predict", files={"json_args": (None, json.dumps(messages))}, timeout=60
            ).json(),
            "json": session.post(f"{texts}/predict", json=messages, timeout=60).json(),
            "chunks": session.post(
                f"{texts}/predict",
                data=iter([b'["', *(b'","'.join(map(str.encode, messages)),), b'"]']),
                headers={"Content-Type": "application/json"},
                timeout=60,
            ).json(),
            "metrics": session.get(f"{texts}/metrics", data={"json_args": "[]"}, timeout=60).text,
            "houses": session.post(f"{houses}/predict", json=rows, timeout=60).json(),
            "csv": session.post(f"{houses}/invocations", data=table, headers=csv, timeout=60).text,
            "azure": session.post(f"{houses}/score", json={"input_data": rows}, timeout=60).json(),
            "probabilities": session.post(
                f"{flowers}/predict", params={"probabilities": "true"}, json=ASKED["flowers"]["rows"], timeout=60
            ).json(),
        }
        refused = session.post(f"{houses}/predict", json=[{"rooms": 3}], timeout=60)
        answers["refusal"] = [refused.status_code, refused.json()]
        answers["after"] = session.get(f"{houses}/readyz", timeout=60).json()
    sys.stdout.write(json.dumps(answers))


main()
