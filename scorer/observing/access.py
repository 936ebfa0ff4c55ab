"""The access log: a JSON object a line, in UTF-8, with nothing of the request's body, query, token or cookies."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from ..encode import dump
from .record import Record


class AccessLog:
    """Writes one line for each request, but none for probes that went well."""

    def __init__(self, write: Callable[[bytes], None], *, quiet_paths: Collection[str]) -> None:
        """Write by `write`, and nothing for the `quiet_paths` as long as they answer 200."""
        self._write = write
        self._quiet = frozenset(quiet_paths)
        self._second, self._second_text = -1, ""

    def __call__(self, record: Record) -> None:
        """Write a request's line."""
        if record.status == 200 and record.path in self._quiet:
            return
        second, rest_ns = divmod(record.started_ns, 1_000_000_000)
        if second != self._second:  # Of most requests, that of the last one.
            self._second, self._second_text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        line = {
            "type": "access",
            "time": f"{self._second_text}.{rest_ns // 1000:06}Z",
            "client": record.client,
            "method": record.method,
            "path": record.path,
            "status": record.status,
            "bytes": record.size_bytes,
            "seconds": round(record.seconds, 6),
            "request_id": record.request_id,
            "trace_id": record.context.trace_id,
            "span_id": record.context.span_id,
        }
        if record.predict_s is not None:
            line["predict_seconds"] = round(record.predict_s[1], 6)
        self._write(dump(line) + b"\n")
