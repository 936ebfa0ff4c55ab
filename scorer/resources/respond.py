"""What every answer has in common."""

from __future__ import annotations

import logging
from typing import Any

import falcon

from ..errors import FAILED, RequestError, UnansweredError, bounded
from ..headers import NOTHING
from ..protocols.base import JSON, Problem
from ..publication import Document
from ..requestid import REQUEST_ID, request_id_of

_log = logging.getLogger("nachlass")
_MOST_DESCRIPTION = 300
_MOST_POINTER = 1000


def send(resp: Any, body: bytes, *, status: int = 200, content_type: str = JSON, policy: str = NOTHING) -> None:
    """Fill in the response; browsers are told to believe its content type, since labels come from user data.

    `policy` is what a browser may do with it (Content Security Policy): by default, nothing but show it.
    """
    resp.status = status
    resp.data = body
    resp.content_type = content_type
    resp.set_header("X-Content-Type-Options", "nosniff")
    resp.set_header("Content-Security-Policy", policy)


def send_document(req: Any, resp: Any, document: Document, *, content_type: str, policy: str) -> None:
    """Fill in the response with a file for browsers, or 304 when the client has it already."""
    send(resp, document.body, content_type=content_type, policy=policy)
    resp.set_header("Referrer-Policy", "no-referrer")
    resp.set_header("ETag", f'"{document.etag}"')
    # Kept, but asked for each time: the next image has another at the same address.
    resp.set_header("Cache-Control", "no-cache")
    if any(known in ("*", document.etag) for known in req.if_none_match or ()):
        resp.status = 304
        resp.data = None


def identify(req: Any, resp: Any) -> str:
    """Return the request's id, which the answer carries: the client's own, or a new one where that isn't harmless."""
    request_id = request_id_of(req.get_header(REQUEST_ID))
    resp.set_header(REQUEST_ID, request_id)
    return request_id


def problem_of(error: Exception, req: Any, resp: Any, request_id: str) -> Problem:
    """Return what the client is told of an error; what is not its fault is told to the log."""
    if isinstance(error, RequestError):
        pointer = None if error.pointer is None else _bounded_pointer(error.pointer)
        return Problem(status=error.status, message=error.message, code=error.code, pointer=pointer)
    if isinstance(error, UnansweredError):
        if error.log is not None:
            _log.error("%s %s failed, request_id=%s\n%s", req.method, req.path, request_id, error.log.rstrip())
        if error.retry_after_s is not None:
            resp.set_header("Retry-After", str(error.retry_after_s))
        told = request_id if error.log is not None else None
        return Problem(status=error.status, message=error.message, code=error.code, request_id=told)
    if isinstance(error, falcon.HTTPError):
        return _problem_of_http(error, req, resp)
    _log.error("%s %s failed, request_id=%s", req.method, req.path, request_id, exc_info=error)
    return Problem(status=500, message=FAILED, code="internal-error", request_id=request_id)


def _bounded_pointer(pointer: str) -> str:
    """Return a JSON pointer, or, where a key of the request makes it very long, that of what the key is in."""
    if len(pointer) <= _MOST_POINTER:
        return pointer
    return pointer[: max(pointer.rfind("/", 0, _MOST_POINTER), 0)]


def _problem_of_http(error: falcon.HTTPError, req: Any, resp: Any) -> Problem:
    status = falcon.http_status_to_code(error.status)
    headers = dict(error.headers or {})
    for name, value in headers.items():
        resp.set_header(name, value)
    if status == 404:
        return Problem(
            status=404, message=f"There is no {bounded(req.path)}. GET / lists what there is.", code="not-found"
        )
    if status == 405:
        message = f"{bounded(req.path)} does not answer {bounded(req.method)}; use {headers.get('Allow', '')}."
        return Problem(status=405, message=message, code="method-not-allowed")
    told = error.description or error.title or str(status)
    return Problem(status=status, message=bounded(told, _MOST_DESCRIPTION), code="invalid-request")
