"""The tokens that clients have to show, from wherever the platform keeps secrets.

Sources: RFC 6750, "The OAuth 2.0 Authorization Framework: Bearer Token Usage", section 2.1; Service Binding
Specification for Kubernetes, "Workload Projection".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLE = "NACHLASS_TOKEN"
FILE = "NACHLASS_TOKEN_FILE"
_BINDINGS = "SERVICE_BINDING_ROOT"
_TYPE = "nachlass"
_KEY = "token"
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class TokenError(ValueError):
    """A place for tokens holds none that could be sent; the message shows nothing of what is in it."""


def find_tokens(environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the tokens of all places, none if no place has been named.

    Each place may hold several, separated by white space, so that one can follow another without a gap.

    Raises:
        TokenError: A place that has been named can't be read, is empty, or holds what is no token.
    """
    tokens: list[bytes] = []
    for place, text in _places(environ):
        found = text.split()
        if not found:
            raise TokenError(f"{place} is empty, and without a token everybody could ask. Put one in, or take it away.")
        if not all(_TOKEN.fullmatch(token) for token in found):
            raise TokenError(
                f"{place} holds a character that no token may have. Use letters, digits and any of - . _ ~ + /; "
                "for instance what `openssl rand -hex 32` prints."
            )
        tokens += [token.encode() for token in found]
    return tuple(dict.fromkeys(tokens))


def _places(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if environ.get(VARIABLE):
        yield VARIABLE, environ[VARIABLE]
    if environ.get(FILE):
        yield FILE, _read(FILE, Path(environ[FILE]))
    if environ.get(_BINDINGS):
        for binding in _bindings(Path(environ[_BINDINGS])):
            if (binding / _KEY).exists():
                name = f"The key '{_KEY}' of the binding {binding.name}"
                yield name, _read(name, binding / _KEY)


def _bindings(root: Path) -> Iterator[Path]:
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        raise TokenError(f"{_BINDINGS} can't be read: {error}. Correct it, or unset it.") from error
    for entry in entries:
        if (entry / "type").is_file() and _read(f"The binding {entry.name}", entry / "type").strip().lower() == _TYPE:
            yield entry


def _read(place: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TokenError(f"{place} can't be read: {error}. Let the service's user read it, or unset it.") from error
