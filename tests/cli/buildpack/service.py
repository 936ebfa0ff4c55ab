"""A service in the standard library alone, with the addresses that the real one has."""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

STAGE = Path(__file__).resolve().parent.parent / "stages" / "stage"
BREAK = os.environ.get("NACHLASS_TEST_BREAK", "")
FILE = os.environ.get("NACHLASS_TOKEN_FILE")
TOKENS = (Path(FILE).read_text() if FILE else os.environ.get("NACHLASS_TOKEN", "")).split()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answers = {
            "/readyz": "ready",
            "/metrics": "nachlass_predictions 2.0\n",
            "/environment": json.dumps({"env": dict(os.environ), "cwd": str(Path.cwd()), "argv": sys.argv[1:]}),
        }
        if self.path == "/metrics" and not self._is_let_in():
            self._answer(401, "no token")
        else:
            self._answer(200 if self.path in answers else 404, answers.get(self.path, "unknown"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        rows = json.loads(parse_qs(body)["json_args"][0])
        if not self._is_let_in():
            self._answer(401, "no token")
        elif BREAK == "predict":
            self._answer(500, "it broke")
        else:
            self._answer(200, json.dumps([f"{row}!" for row in rows]))

    def _is_let_in(self) -> bool:
        return not TOKENS or self.headers["Authorization"] in [f"Bearer {token}" for token in TOKENS]

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


sys.stderr.write("[INFO] the service begins\n")
if BREAK == "start":
    sys.exit(3)
assert STAGE.is_file()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1 if BREAK == "stop" else 0))
HTTPServer((os.environ["NACHLASS_HOST"], int(os.environ["PORT"])), Handler).serve_forever()
