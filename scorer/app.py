"""The HTTP application: routes, and what every answer has in common."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import falcon
import falcon.asgi

from . import openapi
from .decode import Decoder
from .encode import dump
from .errors import FAILED, RequestError, UnansweredError, error_body
from .life import Life
from .metadata import describe
from .metrics import Metrics
from .predictor.protocol import Predictor
from .resources.fixed import Fixed
from .resources.health import Health, Ready
from .resources.metrics import Exposition
from .resources.notebooks import Notebooks, NotebooksWithoutSlash
from .resources.predict import Predict
from .resources.respond import send
from .service import Service
from .settings import Settings

_log = logging.getLogger("nachlass")


def create_app(
    service: Service, predictor: Predictor, metrics: Metrics, settings: Settings, life: Life
) -> falcon.asgi.App[Any, Any]:
    """Return the ASGI application that serves one model."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
    app.add_error_handler(RequestError, _refuse)
    app.add_error_handler(falcon.HTTPError, _refuse_http)
    app.add_error_handler(UnansweredError, _leave_unanswered)
    app.add_error_handler(Exception, _fail)
    description = openapi.document(
        service.manifest, is_strict=settings.is_strict, has_notebooks=service.published is not None
    )
    routes: dict[str, object] = {
        "/predict": Predict(
            Decoder(service.model.input, is_strict=settings.is_strict),
            predictor,
            max_body_bytes=settings.max_body_bytes,
            count_extra=metrics.count_extra,
        ),
        "/metrics": Exposition(metrics),
        "/metadata": Fixed(dump(describe(service.manifest, service.provenance))),
        "/openapi.json": Fixed(dump(description)),
        "/healthz": Health("ok"),
        "/readyz": Ready(life),
    }
    if service.published is not None:
        routes["/notebooks/"] = notebooks = Notebooks(service.published)
        app.add_route("/notebooks/{file}", notebooks)
        app.add_route("/notebooks", NotebooksWithoutSlash())
    for path, resource in routes.items():
        app.add_route(path, resource)
    index = {"name": service.manifest.name, "nachlass": service.manifest.nachlass_version, "routes": list(routes)}
    app.add_route("/", Fixed(dump(index)))
    return app


async def _refuse(_req: Any, resp: Any, error: RequestError, _params: Any, **_: Any) -> None:
    send(resp, dump(error.to_json()), status=error.status)


async def _refuse_http(req: Any, resp: Any, error: falcon.HTTPError, _params: Any, **_: Any) -> None:
    status = falcon.http_status_to_code(error.status)
    if status == 404:
        message, code = f"There is no {req.path}. GET / lists what there is.", "not-found"
    elif status == 405:
        allowed = (error.headers or {}).get("Allow", "") if isinstance(error.headers, dict) else ""
        message, code = f"{req.path} does not answer {req.method}; use {allowed}.", "method-not-allowed"
    else:
        message, code = error.description or error.title or str(status), "invalid-request"
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    send(resp, dump(error_body(message, code=code)), status=status)


async def _leave_unanswered(req: Any, resp: Any, error: UnansweredError, _params: Any, **_: Any) -> None:
    """Answer what is the model's fault, or the load's; what the model's code said goes to the log alone."""
    request_id = None
    if error.log is not None:
        request_id = uuid.uuid4().hex
        _log.error("%s %s failed, request_id=%s\n%s", req.method, req.path, request_id, error.log.rstrip())
    if error.retry_after_s is not None:
        resp.set_header("Retry-After", str(error.retry_after_s))
    body = error_body(error.message, code=error.code, request_id=request_id)
    send(resp, dump(body), status=error.status)


async def _fail(req: Any, resp: Any, _error: Exception, _params: Any, **_: Any) -> None:
    """Answer what is not the client's fault: the cause goes to the log alone, under an id that the client can quote."""
    request_id = uuid.uuid4().hex
    _log.exception("%s %s failed, request_id=%s", req.method, req.path, request_id)
    send(resp, dump(error_body(FAILED, code="internal-error", request_id=request_id)), status=500)
