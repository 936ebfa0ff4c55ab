"""Answers in front of the application, which are told, counted and written as the application would."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .headers import NOTHING
from .metrics import Metrics
from .observing.observed import ROUTE
from .protocols.base import Problem
from .requestid import ID_FIELD, request_id_among

Render = Callable[[Problem], bytes]
Headers = Sequence[tuple[bytes, bytes]]

_PARAMETER = re.compile(r"\{\w+\}")


class _Route(NamedTuple):
    pattern: re.Pattern[str]
    template: str
    render: Render


class Refusals:
    """Refuses requests, those for predictions in their protocol's own words."""

    def __init__(self, scoring: Mapping[str, Render], metrics: Metrics, *, default: Render) -> None:
        """Know the routes.

        Args:
            scoring: How a refusal is written at each path that predicts; the paths may have parameters in braces.
            metrics: What counts the answers of these paths.
            default: How it is written elsewhere.
        """
        self._routes = [
            _Route(_pattern(path), path.rstrip("/"), render)
            for path, render in sorted(scoring.items(), key=lambda item: "{" in item[0])
        ]
        self._metrics = metrics
        self._default = default

    async def refuse(self, scope: Any, send: Any, problem: Problem, headers: Headers = ()) -> None:
        """Answer a request."""
        started = time.perf_counter()
        path: str = scope["path"].rstrip("/")
        route = next((route for route in self._routes if route.pattern.fullmatch(path)), None)
        body = (self._default if route is None else route.render)(problem)
        told = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (ID_FIELD, request_id_among(scope["headers"]).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"content-security-policy", NOTHING.encode()),
            *headers,
        ]
        if route is not None and scope["method"] == "POST":
            scope[ROUTE] = route.template
            self._metrics.observe_request(route.template, problem.status, time.perf_counter() - started, 0.0)
        await send({"type": "http.response.start", "status": problem.status, "headers": told})
        await send({"type": "http.response.body", "body": body})


def _pattern(template: str) -> re.Pattern[str]:
    """Return what matches the paths of a template, none of which ends with a slash."""
    fixed = _PARAMETER.split(template.rstrip("/"))
    return re.compile("[^/]+".join(map(re.escape, fixed)))
