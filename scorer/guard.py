"""Who shows no token is told nothing but that the service lives."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Sequence
from typing import Any

from .observing.observed import ASGI
from .protocols.base import Problem
from .refusals import Refusals

_BEARER = b"bearer "
_MESSAGES = {
    False: "This service asks for a token: send the header `Authorization: Bearer` with it.",
    True: "The token is not one of this service's.",
}


class Guard:
    """An ASGI application in front of another: it lets through who has a token, and who asks for what is open."""

    def __init__(
        self,
        app: ASGI,
        tokens: Sequence[bytes],
        *,
        open_paths: Collection[str],
        has_page: bool,
        refusals: Refusals,
    ) -> None:
        """Guard an application.

        Args:
            app: What answers.
            tokens: Of which one has to be shown.
            open_paths: That are answered without, with or without a slash at the end.
            has_page: Whether a browser gets a page at `/`, which then asks for the token.
            refusals: Who answers all others.
        """
        self._app = app
        self._tokens = tokens
        self._open = frozenset(path.rstrip("/") for path in open_paths)
        self._has_page = has_page
        self._refusals = refusals

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or let it be answered."""
        path: str = scope["path"].rstrip("/")
        given = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if path in self._open or self._is_for_page(scope) or (given is not None and self._is_known(given)):
            await self._app(scope, receive, send)
            return
        problem = Problem(status=401, message=_MESSAGES[given is not None], code="unauthorized")
        challenge = b"Bearer" if given is None else b'Bearer error="invalid_token"'
        await self._refusals.refuse(scope, send, problem, [(b"www-authenticate", challenge)])

    def _is_for_page(self, scope: Any) -> bool:
        if not self._has_page or scope["path"] != "/" or scope["method"] not in ("GET", "HEAD"):
            return False
        return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])

    def _is_known(self, authorization: bytes) -> bool:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return False
        shown = authorization[len(_BEARER) :].strip()
        # Each comparison takes its time whatever is shown; which of the tokens it is need not be a secret.
        return any(hmac.compare_digest(shown, token) for token in self._tokens)
