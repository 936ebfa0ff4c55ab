"""A server that reads the JSON of a request and has the answer ready: what no server of this kind can do without.

It checks nothing, predicts nothing and counts nothing.
"""

import os
from typing import Any

import orjson
import uvicorn

ANSWER = orjson.dumps(["ham"] * 64)


async def app(scope: Any, receive: Any, send: Any) -> None:
    body, has_more = b"", scope["type"] == "http"
    while has_more:
        event = await receive()
        body += event.get("body", b"")
        has_more = event.get("more_body", False)
    if body:
        orjson.loads(body)
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["BENCH_PORT"]),
        loop="asyncio",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
