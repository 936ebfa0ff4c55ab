"""The access log: a JSON object a line, in UTF-8, with nothing of the request's body, query, token or cookies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timezone

from ..encode import dump
from .record import Record


class AccessLog:
    """Writes one line for each request, but none for probes that went well."""

    def __init__(self, write: Callable[[bytes], None], *, quiet_paths: Collection[str]) -> None:
        """Write by `write`, and nothing for the `quiet_paths` as long as they answer 200."""
        self._write = write
        self._quiet = frozenset(quiet_paths)

    def __call__(self, record: Record) -> None:
        """Write a request's line."""
        if record.status == 200 and record.path in self._quiet:
            return
        started = datetime.fromtimestamp(record.started_ns // 1000 / 1e6, tz=timezone.utc)
        line = {
            "type": "access",
            "time": f"{started:%Y-%m-%dT%H:%M:%S}.{started.microsecond:06}Z",
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
