"""The HTTP application: the routes, and what happens to requests that none of them answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import falcon
import falcon.asgi

from .encode import dump
from .errors import error_body
from .guard import Guard
from .life import Life
from .metrics import Metrics
from .observing.observed import ASGI, Observe, Observed
from .predictor.protocol import Predictor
from .protocols.base import Problem
from .resources.page import Index
from .resources.respond import identify, problem_of, send
from .resources.scoring import Scoring
from .routes import open_paths, routes
from .service import Service
from .settings import Settings


def create_app(
    service: Service,
    predictor: Predictor,
    metrics: Metrics,
    settings: Settings,
    life: Life,
    *,
    observers: Sequence[Observe] = (),
) -> ASGI:
    """Return the ASGI application that serves one model; `observers` are told of each answer."""
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App()
    app.add_error_handler(Exception, _refuse)
    app.add_error_handler(falcon.HTTPError, _refuse)
    found = routes(service, predictor, metrics, settings, life)
    for path, resource in found.items():
        app.add_route(path, resource)
        if not path.endswith("/") and f"{path}/" not in found:
            app.add_route(f"{path}/", resource)
    outermost: ASGI = app
    if settings.tokens:
        errors = {path: resource.error for path, resource in found.items() if isinstance(resource, Scoring)}
        outermost = Guard(
            app,
            settings.tokens,
            open_paths=open_paths(service, settings, found),
            has_page=isinstance(found["/"], Index),
            errors={**errors, "": _written},
        )
    return Observed(outermost, observers) if observers else outermost


async def _refuse(req: Any, resp: Any, error: Exception, _params: Any, **_: Any) -> None:
    problem = problem_of(error, req, resp, identify(req, resp))
    send(resp, _written(problem), status=problem.status)


def _written(problem: Problem) -> bytes:
    return dump(error_body(problem.message, code=problem.code, pointer=problem.pointer, request_id=problem.request_id))
