"""Where in a protocol's body the decoder's complaint belongs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from ..decode import Batch
from ..errors import RequestError


def moved(decode: Callable[[Any], Batch], value: Any, move: Callable[[str], str]) -> Batch:
    """Decode `value`, with each JSON pointer changed from one into it to one into the body.

    Raises:
        RequestError: As `decode` does.
    """
    try:
        batch = decode(value)
    except RequestError as error:
        pointer = None if error.pointer is None else move(error.pointer)
        raise RequestError(error.message, code=error.code, pointer=pointer, status=error.status) from error
    if batch.null_pointer is None:
        return batch
    return dataclasses.replace(batch, null_pointer=move(batch.null_pointer))


def below(parent: str, decode: Callable[[Any], Batch], value: Any) -> Batch:
    """Decode the value that stands at `parent` in the body."""
    return moved(decode, value, lambda pointer: parent + pointer)
