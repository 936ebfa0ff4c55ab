"""How a run ends: its exit status, and what stops it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn


class Status(IntEnum):
    """Exit statuses; those from 64 on are as in sysexits.h, and as those of `web`."""

    DONE = 0
    SOME_BAD = 1
    USAGE = 2
    TOO_MANY_BAD = 65
    NO_INPUT = 66
    NO_MODEL = 69
    FAULT = 70
    NO_OUTPUT = 74
    NO_CONFIGURATION = 78
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class StopError(Exception):
    """The run can't go on; `message` is for the person, and empty where there is nothing to say."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Interrupted(BaseException):
    """A signal asks the process to end; no handler of the model's code for exceptions takes it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` at the first signal that asks to end; later ones find us tidying up already."""
    numbers = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: object) -> NoReturn:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise Interrupted(number)


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the system's refusal to read `name` into the end of the run.

    Raises:
        StopError: With what the system said.
    """
    try:
        yield
    except OSError as error:
        raise StopError(Status.NO_INPUT, f"{name} can't be read: {error.strerror or error}") from error


@contextmanager
def writing(name: str) -> Iterator[None]:
    """Turn the system's refusal to write `name` into the end of the run; a reader that has gone away is no mistake.

    Raises:
        StopError: With what the system said.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise StopError(Status.PIPE_CLOSED, "") from error
    except OSError as error:
        raise StopError(Status.NO_OUTPUT, f"{name} can't be written: {error.strerror or error}") from error
