"""A service with a token: who shows none is told nothing but that it lives."""

from __future__ import annotations

import contextlib
import http.client
import re
from collections.abc import Callable, Iterator, Mapping

import pytest
from openapi_spec_validator import validate

from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.service import Service

TOKEN = "kJ3.d-9_x~Y+/w=="
OTHER = "of-the-file"
OPEN = ("/healthz", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/healthz/", "/vertex-health")
CLOSED = (
    "/metadata",
    "/openapi.json",
    "/metrics",
    "/v2",
    "/v1/models",
    "/health",
    "/version",
    "/nothing-here",
    "/x/..",
)

# Predicts whether each text is the name of a variable that it sees.
NOSY = """
import os

class Nosy:
    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return [text in os.environ for text in X]
"""


@pytest.fixture(scope="module")
def guarded(spam_image: Image, serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    bindings = tmp_path_factory.mktemp("bindings")
    for name, kind, token in (("ours", "Nachlass", "bound\nrotated\n"), ("theirs", "postgresql", "not-ours")):
        (bindings / name).mkdir()
        (bindings / name / "type").write_text(kind)
        (bindings / name / "token").write_text(token)
    file = bindings.parent / "token"
    file.write_text(f"{OTHER}\n")
    places = {"NACHLASS_TOKEN": TOKEN, "NACHLASS_TOKEN_FILE": str(file), "SERVICE_BINDING_ROOT": str(bindings)}
    with serve(spam_image, AIP_HEALTH_ROUTE="/vertex-health", **places) as service:
        yield service


def bearer(token: str, scheme: str = "Bearer") -> Mapping[str, str]:
    return {"Authorization": f"{scheme} {token}"}


@pytest.mark.parametrize("path", OPEN)
def test_probes_need_no_token(guarded: Service, path: str) -> None:
    assert guarded.get(path).status == 200


@pytest.mark.parametrize("path", [*CLOSED, "/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_all_else_is_closed(guarded: Service, path: str, method: str) -> None:
    answer = guarded.request(method, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "spam" not in answer.text


def test_the_page_that_asks_for_the_token_is_open_and_nothing_else_there(guarded: Service) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml"}
    page = guarded.request("GET", "/", headers=browser)
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "a-model" not in page.text
    assert guarded.get("/ui/page.js").status == 200
    assert guarded.get("/ui/nothing.js").status == 401
    assert guarded.request("POST", "/", "", browser).status == 401
    assert guarded.request("GET", "/metadata", headers=browser).status == 401


def test_routes_of_a_platform_are_no_way_around_the_token(spam_image: Image, serve: Serve) -> None:
    with serve(spam_image, NACHLASS_TOKEN=TOKEN, AIP_PREDICT_ROUTE="/ui/page.js") as service:
        assert (
            service.request("POST", "/ui/page.js", '{"instances": ["dinner"]}', {"Accept": "text/html"}).status == 401
        )
    with serve(spam_image, NACHLASS_TOKEN=TOKEN, AIP_PREDICT_ROUTE="/", NACHLASS_UI="off") as service:
        assert service.request("GET", "/", headers={"Accept": "text/html"}).status == 401
    with serve(spam_image, NACHLASS_TOKEN=TOKEN, AIP_PREDICT_ROUTE="/ping") as service:
        assert service.request("POST", "/ping", '{"instances": ["dinner"]}').status == 401
        assert service.get("/healthz").status == 200


@pytest.mark.parametrize("token", [TOKEN, OTHER, "bound", "rotated"])
def test_a_token_of_any_place_opens(guarded: Service, token: str) -> None:
    assert guarded.request("GET", "/metadata", headers=bearer(token)).status == 200
    assert guarded.request("GET", "/metadata", headers=bearer(token, "bearer")).status == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer not-ours"],
)
def test_what_is_no_token_of_ours_opens_nothing(guarded: Service, authorization: str) -> None:
    answer = guarded.request("POST", "/predict", '["dinner"]', {"Authorization": authorization})
    assert answer.status == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_each_protocol_refuses_in_its_own_words(guarded: Service) -> None:
    assert guarded.post("/invocations", json_body=["dinner"]).json()["error_code"] == "UNAUTHENTICATED"
    assert set(guarded.post("/score", json_body=["dinner"]).json()) == {"error"}
    assert "token" in guarded.post("/v1/models/spam:predict", json_body={"instances": ["dinner"]}).json()["error"]


@pytest.mark.parametrize(
    ("path", "route", "keys"),
    [
        ("/predict", "/predict", {"error", "code"}),
        ("/invocations/", "/invocations", {"error_code", "message"}),
        ("/v1/models/spam:predict", "/v1/models/{model}:predict", {"error"}),
        ("/v2/models/m/infer", "/v2/models/{model}/infer", {"error"}),
        ("/v2/models/m/versions/1/infer", "/v2/models/{model}/versions/{version}/infer", {"error"}),
    ],
    ids=["predict", "invocations", "v1", "v2", "v2-version"],
)
def test_request_for_predictions_without_the_token_is_counted_and_has_an_id(
    guarded: Service, path: str, route: str, keys: set[str]
) -> None:
    def counted() -> float:
        text = guarded.request("GET", "/metrics", headers=bearer(TOKEN)).text
        found = re.search(
            rf'^nachlass_requests_total{{route="{re.escape(route)}",status="401"}} (\S+)$', text, re.MULTILINE
        )
        return float(found[1]) if found else 0

    before = counted()
    answer = guarded.request("POST", path, "[]", {"Content-Type": "application/json", "X-Request-ID": "of-mine"})
    assert answer.status == 401
    assert answer.headers["x-request-id"] == "of-mine"
    assert set(answer.json()) == keys
    assert re.fullmatch("[0-9a-f]{16}-[0-9]+", guarded.request("POST", path, "[]").headers["x-request-id"])
    assert guarded.request("GET", path).status == guarded.request("POST", f"{path}/x", "[]").status == 401
    assert counted() == before + 2


def test_the_description_says_what_needs_a_token(guarded: Service) -> None:
    document = guarded.request("GET", "/openapi.json", headers=bearer(TOKEN)).json()
    validate(document)
    assert document["security"] == [{"token": []}]
    paths = {path: each.get("post") or each["get"] for path, each in document["paths"].items()}
    is_open = {path for path, operation in paths.items() if operation.get("security") == []}
    assert is_open == {path for path in OPEN if not path.endswith("/")}
    for path, operation in paths.items():
        refused = operation["responses"].get("401")
        assert (refused is None) == (path in is_open)
        if refused is not None:
            schema = refused["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            method = "POST" if "post" in document["paths"][path] else "GET"
            told = guarded.request(method, path.format(model="m", version="1")).json()
            assert set(document["components"]["schemas"][schema]["required"]) <= told.keys(), path


def test_a_refused_connection_goes_on(guarded: Service) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=30)) as connection:
        for headers, status in (({}, 401), (bearer(TOKEN), 200)):
            connection.request("POST", "/predict", '["dinner"]', {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status


def test_the_log_tells_no_token(guarded: Service) -> None:
    guarded.request("GET", "/nothing-here", headers=bearer(TOKEN))
    assert TOKEN not in guarded.log()


def test_open_metrics_are_open_and_nothing_else_and_the_model_sees_no_token(
    new_image: Callable[[], Image], serve: Serve
) -> None:
    image = new_image()
    (image.app / "nosy.py").write_text(NOSY)
    image.write_stages([b"cnosy\nNosy\n)\x81."])
    image.finish(image.check([["text"]]))
    with serve(image, NACHLASS_TOKEN=TOKEN, NACHLASS_METRICS_AUTH="off") as service:
        assert service.get("/metrics").status == 200
        assert service.post("/metrics", form={"a": "b"}).status == 200
        assert service.get("/metadata").status == 401
        headers = {"Content-Type": "application/json", **bearer(TOKEN)}
        assert service.request("POST", "/predict", '["NACHLASS_TOKEN", "PORT"]', headers).json() == [False, True]


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NACHLASS_TOKEN", "   ", "NACHLASS_TOKEN is empty"),
        ("NACHLASS_TOKEN", "näh", "NACHLASS_TOKEN holds a character that no token may have"),
        ("NACHLASS_TOKEN_FILE", "/nowhere/token", "NACHLASS_TOKEN_FILE can't be read"),
        ("SERVICE_BINDING_ROOT", "/nowhere", "SERVICE_BINDING_ROOT can't be read"),
        ("NACHLASS_METRICS_AUTH", "maybe", "NACHLASS_METRICS_AUTH='maybe' is neither on nor off"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT has to be the address"),
    ],
)
def test_a_place_without_a_token_is_an_error(spam_image: Image, variable: str, value: str, told: str) -> None:
    ended = spam_image.run_web(**{variable: value})
    assert ended.returncode == 78
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "näh" not in ended.stderr
