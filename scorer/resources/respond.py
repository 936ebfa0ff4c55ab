"""What every answer has in common."""

from __future__ import annotations

from typing import Any

JSON = "application/json"


def send(resp: Any, body: bytes, *, status: int = 200, content_type: str = JSON) -> None:
    """Fill in the response; browsers are told to believe its content type, since labels come from user data."""
    resp.status = status
    resp.data = body
    resp.content_type = content_type
    resp.set_header("X-Content-Type-Options", "nosniff")
