"""The one error model: what is wrong with a request or with a stage, as facts that each side renders for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

StageErrorKind = Literal[
    "stage-unreadable", "stage-not-a-transformer", "stage-cannot-predict", "version-mismatch", "predict-failed"
]


MOST_SHOWN = 100
"""Characters that an error quotes of a value."""
MOST_NAMES = 20
_MORE = "…"

FAILED = "The service failed to answer; its log says why."


class RequestError(Exception):
    """A request that the service refuses; always answered with a 4xx status.

    `pointer` is the JSON pointer (RFC 6901) of the offending value in the input, None where no single value is at fault.
    """

    def __init__(
        self, message: str, *, code: str = "invalid-input", pointer: str | None = None, status: int = 400
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.pointer = pointer
        self.status = status


def too_many_rows(limit: int) -> RequestError:
    """Return the refusal of a request that has more rows than one may have."""
    return RequestError(
        f"The request has more than {limit} rows. Send fewer rows at a time, or raise NACHLASS_MAX_ROWS.",
        code="too-many-rows",
        status=413,
    )


class UnansweredError(Exception):
    """A sound request that gets no answer (500, 503 or 504).

    `retry_after_s` says when it may be worth another try. `log` is what the service's log alone is told.
    """

    def __init__(
        self, message: str, *, code: str, status: int, retry_after_s: int | None = None, log: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        self.log = log


class StageError(Exception):
    """A stage that can't be part of the service; `stage` is its index in list order, None for the whole pipeline."""

    def __init__(self, kind: StageErrorKind, message: str, *, stage: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.stage = stage


def error_body(message: str, *, code: str, pointer: str | None = None, request_id: str | None = None) -> dict[str, str]:
    """Return the JSON object that every error is answered with; keys without a value are left out."""
    body = {"error": message, "code": code}
    if pointer is not None:
        body["pointer"] = pointer
    if request_id is not None:
        body["request_id"] = request_id
    return body


def shown(value: object, most: int = MOST_SHOWN) -> str:
    """Return a value that somebody sent as an error quotes it: as JSON has it, of a long one the beginning.

    A refusal must not be as long as what it refuses: that may be megabytes.
    """
    if isinstance(value, str):
        return f"{value[:most]!r}{_MORE if len(value) > most else ''}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return bounded(str(value), most)


def bounded(text: str, most: int = MOST_SHOWN) -> str:
    """Return a text that somebody sent without quotes, of a long one the beginning."""
    return text if len(text) <= most else text[:most] + _MORE


def names_shown(names: Sequence[str], show: Callable[[str], str] = bounded) -> str:
    """Return names as a list for a person: the first of them, and how many more there are."""
    first = [show(name) for name in names[:MOST_NAMES]]
    if len(names) > MOST_NAMES:
        return f"{', '.join(first)} and {len(names) - MOST_NAMES} more"
    return ", ".join(first)


def missing_columns(names: Sequence[str]) -> str:
    """Say that columns are missing."""
    return (
        f"Column {shown(names[0])} is missing."
        if len(names) == 1
        else f"Columns {names_shown(names, shown)} are missing."
    )


def counted(number: int, noun: str) -> str:
    """Return "1 cell" or "2 cells"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def one_line(error: BaseException) -> str:
    """Return the error's own message on one line, or its type where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
