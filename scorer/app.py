"""The HTTP application: the routes, and what happens to requests that none of them answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import falcon
import falcon.asgi

from .body import too_large
from .direct import Direct
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
    scoring = {path: resource for path, resource in found.items() if isinstance(resource, Scoring)}
    refusals = Refusals({path: resource.error for path, resource in scoring.items()}, metrics, default=_written)
    unasked = _before_any_body(app, refusals, most_bytes=settings.max_body_bytes)
    outermost: ASGI = _of_known_versions(Direct(unasked, scoring, refuse=_refuse), refusals)
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


def _before_any_body(app: ASGI, refusals: Refusals, *, most_bytes: int) -> ASGI:
    """Return an application that refuses too long bodies of which a client asks first whether to send them.

    Falcon begins by asking for the body, which is the answer that it may come (RFC 9110, 10.1.1).
    """

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if _declared_of_unsent(scope) <= most_bytes:
            await app(scope, receive, send)
            return
        refusal = too_large(most_bytes)
        problem = Problem(status=refusal.status, message=refusal.message, code=refusal.code)
        await refusals.refuse(scope, send, problem, [(b"connection", b"close")])

    return answer


def _declared_of_unsent(scope: Any) -> int:
    """Return the length of a body that isn't sent without being asked for, 0 where there is none or it is unknown."""
    fields = scope["headers"]
    if not any(name == b"expect" for name, _ in fields):
        return 0
    declared = next((value for name, value in fields if name == b"content-length"), b"")
    return int(declared) if declared.isdigit() else 0


async def _refuse(req: Any, resp: Any, error: Exception, _params: Any, **_: Any) -> None:
    problem = problem_of(error, req, resp, identify(req, resp))
    send(resp, _written(problem), status=problem.status)


def _written(problem: Problem) -> bytes:
    return dump(error_body(problem.message, code=problem.code, pointer=problem.pointer, request_id=problem.request_id))
