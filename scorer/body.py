"""From an HTTP request's body to the JSON in it: plain, or in the field `json_args` of a form."""

from __future__ import annotations

import io
import re
from itertools import islice
from typing import Protocol
from urllib.parse import unquote_to_bytes

from .caller import Caller
from .errors import RequestError, bounded, shown

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

_FIELD = "json_args"
_PICKLE_FIELD = "args"
_MOST_FIELDS = 1000
_MOST_LONE = 1000
_MOST_PARTS = 64
_MOST_CONTENT_TYPE = 300
"""A boundary has up to 70 characters (RFC 2046); Falcon takes quadratic time for parameters, those of parts, too."""
_LONG_BYTES = 10_000
_AT_A_TIME = 64 * 1024
_LONE_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class _Chunks(Protocol):
    def __aiter__(self) -> _Chunks: ...
    async def __anext__(self) -> bytes: ...


async def read_body(stream: _Chunks, *, declared: int | None, limit_bytes: int, caller: Caller | None = None) -> bytes:
    """Return the whole body, whether its length was declared or it came in chunks.

    Raises:
        RequestError: It is longer than `limit_bytes` (413), or its `caller` went before it was whole (400).
    """
    if declared is not None and declared > limit_bytes:
        raise too_large(limit_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        chunks.append(chunk)
    if caller is not None and not caller.has_sent_all:
        raise RequestError("The body ended before it was whole.", code="incomplete-body")
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def too_large(limit_bytes: int) -> RequestError:
    """Return the refusal of a body that is longer than `limit_bytes`."""
    return RequestError(
        f"The body is longer than {limit_bytes} bytes. Send fewer rows at a time, or raise NACHLASS_MAX_BODY_BYTES.",
        code="too-large",
        status=413,
    )


def extract_json(body: bytes, content_type: str | None) -> bytes:
    """Return the JSON text of a body of the given content type.

    Raises:
        RequestError: The type isn't one that `/predict` takes (415), or the form has no `json_args`.
    """
    media_type, _, parameters = (content_type or "").partition(";")
    media_type = media_type.strip().lower()
    is_json = media_type in ("application/json", "text/json") or (
        media_type.startswith("application/") and media_type.endswith("+json")
    )
    if is_json or media_type == FORM:
        check_charset(parameters)
    if is_json:
        found = body
    elif media_type == FORM:
        found = _from_fields(_urlencoded(body), body)
    elif media_type == MULTIPART:
        found = _from_fields(_multipart(body, content_type or ""), body)
    else:
        given = f"not {shown(media_type)}" if media_type else "and the request has no Content-Type"
        raise RequestError(
            f"Send application/json, or a form with the field {_FIELD}, {given}.",
            code="unsupported-media-type",
            status=415,
        )
    if not found.strip():
        raise RequestError("The input is empty: send the rows to predict as JSON.", code="no-rows")
    return found


def check_charset(parameters: str) -> None:
    """Make sure that the parameters of a content type name no other encoding than UTF-8.

    Raises:
        RequestError: They do (415).
    """
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8", "us-ascii"):
            raise RequestError("Send UTF-8.", code="unsupported-media-type", status=415)


def _from_fields(fields: dict[str, bytes], body: bytes) -> bytes:
    if _FIELD in fields:
        return fields[_FIELD]
    if _PICKLE_FIELD in fields:
        raise RequestError(
            f"Pickled input ({_PICKLE_FIELD}) is refused, since unpickling runs whatever code the sender likes. "
            f"Send the same rows as JSON in {_FIELD}.",
            code="pickle-refused",
        )
    hint = ""
    if body.lstrip()[:1] in (b"[", b"{", b'"'):
        hint = " The body looks like JSON: send it with Content-Type: application/json."
    raise RequestError(f"The form has no field {_FIELD}.{hint}", code="missing-field")


def _urlencoded(body: bytes) -> dict[str, bytes]:
    """Return the first value of each field; raw UTF-8 is as good as percent-encoded."""
    if body.count(b"&") >= _MOST_FIELDS:
        raise RequestError(f"The form has more than {_MOST_FIELDS} fields.", code="invalid-form")
    fields: dict[str, bytes] = {}
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        key = _unquoted(name).decode("utf-8", "replace")
        if key in {_FIELD, _PICKLE_FIELD}:
            fields.setdefault(key, _unquoted(value))
    return fields


def _unquoted(text: bytes) -> bytes:
    """Return text without percent-encoding, a piece at a time: Python's own function makes objects of each escape."""
    if b"%" not in text and b"+" not in text:
        return text
    found = bytearray()
    lone = start = 0
    while start < len(text):
        piece = text[start : start + _AT_A_TIME]
        # An escape that the piece has a part of is left to the next one.
        if start + len(piece) < len(text) and (cut := piece.rfind(b"%", -2)) > 0:
            piece = piece[:cut]
        start += len(piece)
        # A lone % is taken as it is, at the price of an exception inside of Python: nobody writes thousands of them.
        lone += sum(1 for _ in islice(_LONE_PERCENT.finditer(piece), _MOST_LONE + 1))
        if lone > _MOST_LONE and len(text) > _LONG_BYTES:
            raise RequestError("The form isn't percent-encoded: write % as %25.", code="invalid-form")
        found += unquote_to_bytes(piece.replace(b"+", b" "))
    return bytes(found)


def _multipart(body: bytes, content_type: str) -> dict[str, bytes]:
    import falcon  # noqa: PLC0415 - this module is also imported where there is no Falcon.
    from falcon.media import MultipartFormHandler  # noqa: PLC0415

    if len(content_type) > _MOST_CONTENT_TYPE:
        raise RequestError("The Content-Type is too long for that of a multipart form.", code="invalid-form")
    handler = MultipartFormHandler()
    handler.parse_options.max_body_part_headers_size = _MOST_CONTENT_TYPE
    handler.parse_options.max_body_part_count = _MOST_PARTS
    handler.parse_options.max_body_part_buffer_size = len(body) + 1
    fields: dict[str, bytes] = {}
    try:
        for part in handler.deserialize(io.BytesIO(body), content_type, len(body)):
            fields.setdefault(part.name or "", part.get_data())
    except falcon.HTTPError as error:
        raise RequestError(
            f"The multipart form can't be read: {bounded(error.description or error.title or str(error))}",
            code="invalid-form",
        ) from error
    except ValueError as error:  # Falcon's parser lets bytes of a header that aren't text through to Python.
        raise RequestError(f"The multipart form can't be read: {bounded(str(error))}", code="invalid-form") from error
    return fields
