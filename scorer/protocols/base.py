"""What all protocols have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..decode import Batch
from ..encode import dump
from ..errors import RequestError
from ..packed import Packed, Unpacked

JSON = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a protocol may look at.

    `headers` are those that a protocol has of its own, by their name in lower case. `model` and `version` stand in
    the path of some protocols, None in those without.
    """

    body: bytes
    content_type: str | None = None
    accept: str = "*/*"
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    version: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether the body says that it is plain JSON."""
        return self.content_type is not None and self.content_type.startswith(JSON)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The body of an answer with its type, and headers that the protocol has of its own."""

    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A request that was understood: rows, what is asked of the model, and how the answer is written.

    `render` gets what `Predictor.predict` returns for `methods`.
    """

    batch: Batch
    methods: tuple[str, ...] = ("predict",)
    render: Callable[[list[Any]], Answer]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sealed:
    """A request whose table has to be unpacked first; `read` gets what came out."""

    packed: Packed
    read: Callable[[Unpacked], Question]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Why a request gets no prediction, as the error model has it."""

    status: int
    message: str
    code: str
    pointer: str | None = None
    request_id: str | None = None


class ScoringProtocol(Protocol):
    """One protocol's two halves, and how it spells an error."""

    def read(self, request: Request) -> Question | Sealed:
        """Return what is asked, or a table in which it stands.

        Raises:
            RequestError: The request is not one of this protocol, or not for this model.
        """

    def error(self, problem: Problem) -> bytes:
        """Return the body of a refusal, which is JSON."""


def bare(values: list[Any]) -> Answer:
    """Return the model's values as a JSON array."""
    return Answer(body=dump(values))


def predictions(values: list[Any]) -> Answer:
    """Return the model's values as `{"predictions": […]}`."""
    return Answer(body=dump({"predictions": values}))


def require_json(accept: str, *others: str) -> None:
    """Make sure that the client takes JSON, or one of the `others`.

    Raises:
        RequestError: It doesn't (406).
    """
    if accept == "*/*":
        return
    taken = {part.partition(";")[0].strip().lower() for part in accept.split(",")}
    if taken.isdisjoint({"", "*/*", "application/*", JSON, *others}):
        raise RequestError(f"Answers are {JSON}.", code="not-acceptable", status=406)
