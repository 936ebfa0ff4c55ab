"""The form of 2019 in every encoding that clients send, and the limit of a body."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.body import extract_json
from tests.scorer.conftest import Serve
from tests.scorer.image import Image
from tests.support.service import Service

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=limit"


def _send(service: Service, body: bytes | Iterator[bytes], content_type: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    with contextlib.closing(connection):
        # http.client sends an iterator in chunks.
        connection.request("POST", "/predict", body=body, headers={"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.mark.parametrize(
    "body",
    [
        'json_args=["tasty — dinner"]'.encode(),
        b"json_args=" + quote('["tasty — dinner"]').encode(),
        b"json_args=%5B%22tasty+dinner%22%5D",
        b'=&other=1&json_args=["tasty"]&json_args=["my lord"]',
    ],
)
def test_urlencoded_forms_are_read_however_they_are_encoded(spam: Service, body: bytes) -> None:
    assert _send(spam, body, FORM) == (200, ["spam"])
    assert _send(spam, body, FORM + "; charset=UTF-8") == (200, ["spam"])


def test_multipart_forms_are_read(spam: Service) -> None:
    body = '--limit\r\nContent-Disposition: form-data; name="json_args"\r\n\r\n["tasty —"]\r\n--limit--\r\n'
    assert _send(spam, body.encode(), MULTIPART) == (200, ["spam"])


def test_chunked_bodies_are_read(spam: Service) -> None:
    assert _send(spam, iter([b"json_args=", b'["tas', b'ty"]']), FORM) == (200, ["spam"])
    assert _send(spam, iter([b'["tas', b'ty"]']), "application/json") == (200, ["spam"])


def test_bytes_that_are_not_utf8_are_refused(spam: Service) -> None:
    for body, content_type in ((b'["\xff"]', "application/json"), (b'json_args=["%FF"]', FORM)):
        status, answer = _send(spam, body, content_type)
        assert (status, answer["code"]) == (400, "invalid-json")
        assert "UTF-8" in answer["error"]


def test_a_body_above_the_limit_is_refused_whole_or_in_chunks(spam_image: Image, serve: Serve) -> None:
    with serve(spam_image, NACHLASS_MAX_BODY_BYTES="100") as service:
        for body in (b'["' + b"a" * 100 + b'"]', iter([b'["', b"a" * 60, b"a" * 60, b'"]'])):
            status, answer = _send(service, body, "application/json")
            assert (status, answer["code"]) == (413, "too-large")
        assert _send(service, b'["tasty"]', "application/json") == (200, ["spam"])


@pytest.mark.parametrize("body", [b"json_args=" + b"%" * 1_000_000, b"&" * 1_000_000])
def test_form_that_is_costly_to_read_is_refused(spam: Service, body: bytes) -> None:
    status, answer = _send(spam, body, FORM)
    assert (status, answer["code"]) == (400, "invalid-form")


@given(
    at=st.integers(65_530, 65_540) | st.integers(131_060, 131_080),
    text=st.text("%4aF+&", max_size=12).map(str.encode) | st.binary(max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_escapes_of_a_long_form_are_read_wherever_they_stand(at: int, text: bytes) -> None:
    value = b"a" * at + text.replace(b"&", b"%") + b"z"
    assert extract_json(b"json_args=" + value, FORM) == unquote_to_bytes(value.replace(b"+", b" "))


def test_multipart_name_that_is_no_text_is_refused(spam: Service) -> None:
    body = b'--limit\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\n[]\r\n--limit--\r\n'
    status, answer = _send(spam, body, MULTIPART)
    assert (status, answer["code"]) == (400, "invalid-form")
