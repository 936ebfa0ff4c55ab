"""What is known of a request once it is answered."""

from __future__ import annotations

from typing import NamedTuple

from .trace import Context


class Record(NamedTuple):
    """One request and its answer.

    `started_ns` is the Unix time; `status` is None if there was no answer. `route` is the path with
    the names of its parameters, None for what predicts nothing; `predict_s` are the beginning, in seconds after the
    request's, and the length of the wait for the model.
    """

    context: Context
    started_ns: int
    seconds: float
    client: str | None
    method: str
    path: str
    status: int | None
    size_bytes: int
    request_id: str | None
    route: str | None = None
    predict_s: tuple[float, float] | None = None
