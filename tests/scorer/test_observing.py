"""The access log and traces: what of a request is told, to whom, and that nothing waits for them."""

from __future__ import annotations

import base64
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.service import Service, free_port

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
JSON = {"Content-Type": "application/json"}


def access_lines(service: Service) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["type"] == "access"]


def wait_for(find: Callable[[], Any]) -> Any:
    end = time.monotonic() + 30
    while not (found := find()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def logged(spam_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(spam_image, NACHLASS_ACCESS_LOG="1", NACHLASS_TOKEN="a-token") as service:
        yield service


def test_the_access_log_tells_each_request_in_a_line(logged: Service) -> None:
    headers = {**JSON, "Authorization": "Bearer a-token"}
    logged.request("POST", "/predict?probabilities=true", '["a secret dinner"]', {**headers, "X-Request-ID": "of-mine"})
    logged.request("POST", "/predict", '{"a": ', {**headers, "X-Request-ID": "mistaken"})
    logged.request("GET", '/no"thing%C3%A4%0A', headers=headers)
    logged.request("GET", "/metadata", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
    logged.request("POST", "/predict", "[]", {**JSON, "X-Request-ID": "without-token"})
    told = wait_for(lambda: len(lines := access_lines(logged)) >= 5 and lines)[:5]
    assert [(line["method"], line["path"], line["status"]) for line in told] == [
        ("POST", "/predict", 200),
        ("POST", "/predict", 400),
        ("GET", '/no"thing\u00e4\n', 404),
        ("GET", "/metadata", 401),
        ("POST", "/predict", 401),
    ]
    assert [told[i]["request_id"] for i in (0, 1, 4)] == ["of-mine", "mistaken", "without-token"]
    assert told[3]["trace_id"] == TRACE
    assert told[0]["client"] == "127.0.0.1"
    assert told[0]["bytes"] > 20
    assert 0 < told[0]["predict_seconds"] <= told[0]["seconds"]
    assert "predict_seconds" not in told[1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", told[0]["time"])
    assert len({line["span_id"] for line in told}) == 5
    assert not re.search("secret|probabilities|a-token", logged.log())


def test_probes_that_went_well_are_not_told_and_refusals_are(logged: Service) -> None:
    before = len(access_lines(logged))
    logged.get("/healthz")
    logged.request("GET", "/", headers={f"X-{i}": "1" for i in range(101)})
    logged.get("/ping")
    logged.get("/last")
    told = wait_for(lambda: len(lines := access_lines(logged)[before:]) >= 2 and lines)
    assert [line["status"] for line in told] == [431, 401]


def test_requests_do_not_wait_for_who_reads_the_log(
    spam_image: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = free_port()
    reader, writer = os.pipe()
    variables = {"PORT": str(port), "NACHLASS_HOST": "127.0.0.1", "NACHLASS_ACCESS_LOG": "1", "NACHLASS_DRAIN": "0"}
    process = subprocess.Popen(
        [sys.executable, str(spam_image.scorer.launcher), "web"], env=spam_image.env(**variables), stdout=writer
    )
    service = Service(port=port, process=process, log_file=tmp_path_factory.mktemp("log") / "none")
    try:
        wait_for(service.answers)
        # A pipe holds 64 KiB: far less than these lines.
        assert {service.get(f"/{'x' * 2000}").status for _ in range(200)} == {404}
        os.close(writer)
        lines = 0
        with os.fdopen(reader, "rb") as log:
            process.send_signal(signal.SIGTERM)
            lines = sum(json.loads(line)["type"] == "access" for line in log)
        assert process.wait(30) == 0
        assert lines == 200
    finally:
        process.kill()
        process.wait()


class Collector:
    """What an OpenTelemetry collector does: takes spans by HTTP, or answers `status`."""

    def __init__(self, status: int = 200) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.requests.append((self.path, headers, json.loads(body)))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"

    def spans(self) -> list[Span]:
        """Return what came, read by OpenTelemetry's own definition of it."""
        found: list[Span] = []
        for _, _, body in self.requests:
            for resource in body["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        # Where OTLP differs from protobuf's JSON: its ids are hexadecimal.
                        for key in {"traceId", "spanId", "parentSpanId"} & span.keys():
                            span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
            request = ParseDict(body, ExportTraceServiceRequest())
            found += [span for r in request.resource_spans for scope in r.scope_spans for span in scope.spans]
        return found


@contextmanager
def collecting(status: int = 200) -> Iterator[Collector]:
    collector = Collector(status)
    thread = threading.Thread(target=collector.server.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


def test_spans_go_to_the_collector(spam_image: Image, serve: Serve) -> None:
    with collecting() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.endpoint}/",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=se%20cret",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test,service.name=unused",
            "OTEL_SERVICE_NAME": "spam-filter",
        }
        with serve(spam_image, **variables) as service:
            joined = {**JSON, "traceparent": f"00-{TRACE}-{PARENT}-01"}
            service.request("POST", "/v1/models/a-model:predict", '{"instances": ["dinner"]}', joined)
            service.request("POST", "/predict", '["dinner"]', {**JSON, "traceparent": f"00-{TRACE}-{PARENT}-00"})
            service.get("/nothing-here")
            assert "se cret" not in service.log()
        # The worker has ended, and sent what waited.
        path, headers, body = collector.requests[0]
        attributes = body["resourceSpans"][0]["resource"]["attributes"]
        resource = {each["key"]: each["value"]["stringValue"] for each in attributes}
        spans = {span.name: span for span in collector.spans()}
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/json"
    assert headers["x-api-key"] == "se cret"
    assert resource["service.name"] == "spam-filter"
    assert resource["deployment.environment"] == "test"
    server, predict = spans["POST /v1/models/{model}:predict"], spans["predict"]
    assert server.trace_id.hex() == predict.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == PARENT
    assert predict.parent_span_id == server.span_id
    assert server.kind == Span.SPAN_KIND_SERVER
    assert server.start_time_unix_nano <= predict.start_time_unix_nano
    assert predict.start_time_unix_nano < predict.end_time_unix_nano <= server.end_time_unix_nano
    told = {each.key: each.value for each in server.attributes}
    assert told["http.response.status_code"].int_value == 200
    assert told["http.route"].string_value == "/v1/models/{model}:predict"
    assert "POST /predict" not in spans  # Its caller doesn't sample it.
    assert spans["GET"].parent_span_id == b""


def test_a_collector_that_refuses_costs_no_request(spam_image: Image, serve: Serve) -> None:
    with collecting(status=500) as collector:
        endpoint = f"{collector.endpoint}/own"
        with serve(spam_image, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=endpoint, OTEL_TRACES_SAMPLER="always_on") as service:
            assert service.predict(["dinner"])
        assert [path for path, _, _ in collector.requests] == ["/own"]
        assert "were lost: 127.0.0.1 takes none of them" in service.log()
