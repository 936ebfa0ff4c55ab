"""The token of a service that asks for one, for whoever started it: our own check, and the command that we print."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

_VARIABLE, _FILE = "NACHLASS_TOKEN", "NACHLASS_TOKEN_FILE"


def headers(env: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that a request needs for a service of this environment.

    Raises:
        OSError: The file of its tokens can't be read; the service says so, too.
    """
    text = env.get(_VARIABLE) or (Path(env[_FILE]).read_text(encoding="utf-8") if env.get(_FILE) else "")
    tokens = text.split()
    return {"Authorization": f"Bearer {tokens[0]}"} if tokens else {}


def curl_option(env: Mapping[str, str]) -> str:
    """Return what a command line with `curl` needs for it, without the token itself; empty where there is none."""
    if tokens := env.get(_VARIABLE, "").split():
        # Of several, the first.
        value = f"${_VARIABLE}" if len(tokens) == 1 else f"${{{_VARIABLE}%%[[:space:]]*}}"
        return f'-H "Authorization: Bearer {value}" '
    if env.get(_FILE):
        return f'-H "Authorization: Bearer $(head -n 1 {shlex.quote(env[_FILE])})" '
    return ""
