"""Spans to an OpenTelemetry collector: OTLP over HTTP in JSON, which needs no package beside the model's own.

The SDK would bring protobuf, of which a process has one, and models have their own.

Sources: OpenTelemetry Protocol 1.x, "OTLP/HTTP", "JSON Protobuf Encoding"; semantic conventions 1.x for HTTP servers.
"""

from __future__ import annotations

import logging
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..encode import dump
from .record import Record
from .trace import Context, new_span_id
from .tracing import Tracing

_log = logging.getLogger("nachlass")

_MOST_WAITING = 2048
_MOST_TOGETHER = 512
_DELAY_S = 5.0
_TIMEOUT_S = 10.0
_COMPLAINT_S = 60.0
_SERVER, _INTERNAL = 2, 1
_ERROR = 2


class Exporter:
    """Sends spans in batches from a thread of its own; what a collector doesn't take is lost, and requests go on."""

    def __init__(self, tracing: Tracing, *, name: str, version: str, nachlass: str) -> None:
        """Start sending.

        Args:
            tracing: Where to.
            name: Of the model, which the service is called unless a variable says otherwise.
            version: Of the model.
            nachlass: The version of the service's code.
        """
        self._tracing = tracing
        attributes = {
            "service.version": version,
            **tracing.resource,
            "service.name": tracing.service_name or name,
            "telemetry.sdk.name": "nachlass",
            "telemetry.sdk.version": nachlass,
            "telemetry.sdk.language": "python",
        }
        self._resource = {"attributes": _attributes(attributes)}
        self._scope = {"name": "nachlass", "version": nachlass}
        self._records: deque[Record] = deque(maxlen=_MOST_WAITING)
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._is_ending = threading.Event()
        self._has_many = threading.Event()
        self._complained = float("-inf")
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def __call__(self, record: Record) -> None:
        """Take a request, if its trace is sampled."""
        if self._is_sampled(record.context):
            self._records.append(record)
            if len(self._records) >= _MOST_TOGETHER:
                self._has_many.set()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what waits, and end; what the collector doesn't take in time is lost."""
        self._is_ending.set()
        self._has_many.set()
        self._thread.join(timeout_s)

    def _is_sampled(self, context: Context) -> bool:
        if self._tracing.follows_parent and context.parent is not None:
            return context.is_sampled
        # By the id, so that all services that use the same ratio decide alike.
        return int(context.trace_id[-16:], 16) < self._tracing.ratio * 2**64

    def _run(self) -> None:
        is_last = False
        while not is_last:
            self._has_many.wait(_DELAY_S)
            is_last = self._is_ending.is_set()
            self._has_many.clear()
            while self._records:
                self._send([self._records.popleft() for _ in range(min(len(self._records), _MOST_TOGETHER))])

    def _send(self, records: list[Record]) -> None:
        spans = [span for record in records for span in _spans(record)]
        body = {"resourceSpans": [{"resource": self._resource, "scopeSpans": [{"scope": self._scope, "spans": spans}]}]}
        headers = {"Content-Type": "application/json", **self._tracing.headers}
        request = urllib.request.Request(self._tracing.url, dump(body), headers)  # noqa: S310 - checked: HTTP alone
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                answer.read()
        except (OSError, ValueError) as error:
            self._complain(len(records), error)

    def _complain(self, count: int, error: Exception) -> None:
        if time.monotonic() - self._complained > _COMPLAINT_S:
            self._complained = time.monotonic()
            host = urlsplit(self._tracing.url).hostname
            _log.warning("Traces of %d requests were lost: %s takes none of them (%s).", count, host, error)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Sends spans, and the headers that let them in, where the settings say and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: what answers so takes no spans."""


def _spans(record: Record) -> list[dict[str, Any]]:
    context = record.context
    attributes: dict[str, Any] = {
        "http.request.method": record.method,
        "url.path": record.path,
        "url.scheme": "http",
        "http.response.body.size": record.size_bytes,
    }
    if record.route is not None:
        attributes["http.route"] = record.route
    if record.status is not None:
        attributes["http.response.status_code"] = record.status
    if record.client is not None:
        attributes["client.address"] = record.client
    if record.request_id is not None:
        attributes["nachlass.request_id"] = record.request_id
    name = record.method if record.route is None else f"{record.method} {record.route}"
    server = _span(context, name, record.started_ns, record.seconds)
    server |= {"spanId": context.span_id, "kind": _SERVER, "attributes": _attributes(attributes)}
    if context.parent is not None:
        server["parentSpanId"] = context.parent
    if record.status is None or record.status >= 500:
        server["status"] = {"code": _ERROR}
    if record.predict_s is None:
        return [server]
    begin_s, seconds = record.predict_s
    begin_ns = record.started_ns + round(begin_s * 1e9)
    predict = _span(context, "predict", begin_ns, seconds)
    predict |= {"spanId": new_span_id(), "kind": _INTERNAL, "parentSpanId": context.span_id}
    return [server, predict]


def _span(context: Context, name: str, started_ns: int, seconds: float) -> dict[str, Any]:
    return {
        "traceId": context.trace_id,
        "name": name,
        "startTimeUnixNano": str(started_ns),
        "endTimeUnixNano": str(started_ns + round(seconds * 1e9)),
    }


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    # 64-bit integers are strings in JSON, as protobuf has it.
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in values.items()
    ]
