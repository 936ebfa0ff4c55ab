"""The HTTP application: the routes, and what happens to requests that none of them answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import falcon
import falcon.asgi

from .encode import dump
from .errors import bounded, error_body
from .guard import Guard
from .life import Life
from .metrics import Metrics
from .observing.observed import ASGI, Observe, Observed
from .predictor.protocol import Predictor
from .protocols.base import Problem
from .refusals import Refusals
from .resources.page import Index
from .resources.respond import identify, problem_of, send
from .resources.scoring import Scoring
from .routes import open_paths, routes
from .service import Service
from .settings import Settings

_VERSIONS = {"1.0", "1.1"}


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
    scoring = {path: resource.error for path, resource in found.items() if isinstance(resource, Scoring)}
    refusals = Refusals(scoring, metrics, default=_written)
    outermost: ASGI = _of_known_versions(app, refusals)
    if settings.tokens:
        outermost = Guard(
            outermost,
            settings.tokens,
            open_paths=open_paths(service, settings, found),
            has_page=isinstance(found["/"], Index),
            refusals=refusals,
        )
    return Observed(outermost, observers) if observers else outermost


def _of_known_versions(app: ASGI, refusals: Refusals) -> ASGI:
    """Return an application that refuses versions of HTTP which the parser takes and Falcon fails at."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["http_version"] in _VERSIONS:
            await app(scope, receive, send)
            return
        message = f"This service speaks HTTP/1.1, not HTTP/{bounded(scope['http_version'])}."
        problem = Problem(status=505, message=message, code="invalid-request")
        await refusals.refuse(scope, send, problem, [(b"connection", b"close")])

    return answer


async def _refuse(req: Any, resp: Any, error: Exception, _params: Any, **_: Any) -> None:
    problem = problem_of(error, req, resp, identify(req, resp))
    send(resp, _written(problem), status=problem.status)


def _written(problem: Problem) -> bytes:
    return dump(error_body(problem.message, code=problem.code, pointer=problem.pointer, request_id=problem.request_id))
