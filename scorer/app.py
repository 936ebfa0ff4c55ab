"""The HTTP application: the routes, and what happens to requests that none of them answers."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi

from .encode import dump
from .errors import error_body
from .life import Life
from .metrics import Metrics
from .predictor.protocol import Predictor
from .resources.respond import identify, problem_of, send
from .routes import routes
from .service import Service
from .settings import Settings


def create_app(
    service: Service, predictor: Predictor, metrics: Metrics, settings: Settings, life: Life
) -> falcon.asgi.App[Any, Any]:
    """Return the ASGI application that serves one model."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
    app.add_error_handler(Exception, _refuse)
    app.add_error_handler(falcon.HTTPError, _refuse)
    found = routes(service, predictor, metrics, settings, life)
    for path, resource in found.items():
        app.add_route(path, resource)
        if not path.endswith("/") and f"{path}/" not in found:
            app.add_route(f"{path}/", resource)
    return app


async def _refuse(req: Any, resp: Any, error: Exception, _params: Any, **_: Any) -> None:
    problem = problem_of(error, req, resp, identify(req, resp))
    body = error_body(problem.message, code=problem.code, pointer=problem.pointer, request_id=problem.request_id)
    send(resp, dump(body), status=problem.status)
