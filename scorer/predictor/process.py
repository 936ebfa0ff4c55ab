"""The predictor process: the only place of the service where the model's code runs."""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import RequestError
from ..matrix import Matrix, Rows
from ..packed import Packed
from ..same import same
from . import columnar, wire
from .answers import Answerer, RefusalError

_MOST_TRACEBACK_CHARACTERS = 20_000


def run(channel: socket.socket, answerer: Answerer) -> None:
    """Answer calls until the worker has ended."""
    _die_first()
    while (call := wire.receive(channel)) is not None:
        channel.sendall(wire.pack(_reply(call, answerer)))


def ignore_signals() -> None:
    """Leave ending to the worker, which finishes what is being answered: a terminal sends its signals to all."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def _die_first() -> None:
    """Where memory is short, let the kernel take this process, which is replaced, and not the worker."""
    with contextlib.suppress(OSError):  # It is no Linux, or a container that shows no /proc.
        Path("/proc/self/oom_score_adj").write_text("1000")


def _reply(call: wire.Call, answerer: Answerer) -> wire.Reply:
    methods, sent, checked = call
    if methods == wire.UNPACK:
        return 0.0, [_unpacked(*sent[0][0])], False
    parts = [Matrix(*part) if isinstance(part, tuple) else part for part in sent]
    started = time.perf_counter()
    outcomes = [_outcome(answerer, parts[0], methods)] if len(parts) == 1 else _merged(answerer, parts, methods)
    seconds = time.perf_counter() - started
    if _agree([outcomes[i] for i in checked], [_outcome(answerer, parts[i], methods) for i in checked]):
        return seconds, outcomes, False
    return seconds, [_outcome(answerer, part, methods) for part in parts], True


def _merged(answerer: Answerer, parts: Sequence[Rows], methods: Sequence[str]) -> list[wire.Outcome]:
    try:
        values = answerer.answer(_joined(parts), methods)
    # One of them is at fault, and the others must not know.
    except BaseException:  # noqa: BLE001 - whatever the model's code raises
        return [_outcome(answerer, part, methods) for part in parts]
    rest = iter(values)
    return [("values", list(itertools.islice(rest, len(part)))) for part in parts]


def _joined(parts: Sequence[Rows]) -> Rows:
    matrices = [part for part in parts if isinstance(part, Matrix)]
    if len(matrices) == len(parts):
        return Matrix.joined(matrices)
    return [row for part in parts for row in (part.to_rows() if isinstance(part, Matrix) else part)]


def _outcome(answerer: Answerer, rows: Rows, methods: Sequence[str]) -> wire.Outcome:
    try:
        return "values", answerer.answer(rows, methods)
    except RefusalError as refusal:
        return "refused", refusal.message, refusal.is_about_missing
    except BaseException:  # noqa: BLE001 - SystemExit as well: it ends no more than this call
        return "failed", traceback.format_exc()[-_MOST_TRACEBACK_CHARACTERS:]


def _unpacked(form: Any, data: bytes, wanted: tuple[str, ...] | None, max_rows: int, max_bytes: int) -> wire.Outcome:
    value: wire.Table | wire.Refusal
    try:
        packed = Packed(form=form, data=data, wanted=wanted, max_rows=max_rows, max_bytes=max_bytes)
        table = columnar.unpack(packed)
        value = ("table", table.names, table.cells, table.others)
    except RequestError as refusal:
        value = ("refusal", refusal.message, refusal.code, refusal.status)
    except BaseException:  # noqa: BLE001 - a pyarrow that can't be imported, say
        return "failed", traceback.format_exc()[-_MOST_TRACEBACK_CHARACTERS:]
    return "values", [value]


def _agree(left: Sequence[wire.Outcome], right: Sequence[wire.Outcome]) -> bool:
    if [each[0] for each in left] != [each[0] for each in right]:
        return False
    return same(_values(left), _values(right))


def _values(outcomes: Sequence[wire.Outcome]) -> list[Any]:
    return [value for outcome in outcomes if outcome[0] == "values" for value in outcome[1]]
