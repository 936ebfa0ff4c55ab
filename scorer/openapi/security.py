"""What a token changes in the description."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from .parts import Document, answer, ref

_SCHEME = "token"
_OF_KSERVE = (":predict", "/infer")
"""How the paths end at which its protocols predict."""


def guarded(found: Document, *, open_paths: Collection[str], predict_route: str | None) -> Document:
    """Return the description of a service that asks for a token.

    Args:
        found: The description without.
        open_paths: That are answered without a token.
        predict_route: A path that is answered in KServe's protocol, if there is one.
    """
    schemas = {"/invocations": "MLflowError", "/score": "ErrorText", predict_route: "ErrorText"}

    def described(path: str, part: Any) -> Any:
        if not isinstance(part, dict):  # What all operations of a path share, such as the names in it.
            return part
        if path in open_paths:
            return {**part, "security": []}
        default = "ErrorText" if path.endswith(_OF_KSERVE) else "Error"
        refused = answer("There is no token, or it is another.", ref(schemas.get(path, default)))
        return {**part, "responses": {**part["responses"], "401": refused}}

    schemes = {_SCHEME: {"type": "http", "scheme": "bearer"}}
    return {
        **found,
        "paths": {
            path: {key: described(path, part) for key, part in parts.items()} for path, parts in found["paths"].items()
        },
        "components": {**found["components"], "securitySchemes": schemes},
        "security": [{_SCHEME: []}],
    }
