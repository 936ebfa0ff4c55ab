"""The service's predictor: one call at a time, to a process of its own, with the rows of all who wait if that is sound.

A call starts at the end of a turn of the event loop, so that requests that were read together go together; those that
come while it lasts go into the next one. Nobody waits for a timer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import socket
from dataclasses import dataclass
from typing import Any

from ..caller import Caller
from ..decode import Batch
from ..errors import FAILED, RequestError, UnansweredError
from ..packed import Packed, Unpacked
from . import link as links
from . import wire
from .answers import RefusalError
from .link import Link
from .pace import Pace
from .protocol import Observer
from .queue import Job, Piece, Queue

_log = logging.getLogger("nachlass")

_MOST_CALL_BYTES = 1024 * 1024
_MOST_WAITING_BYTES = 256 * 1024 * 1024
_CHECKED_EVERY = 1000
"""Of so many requests that shared a call, one is repeated alone: of a slow model, all of a call took too long."""
_TURNS = 3
"""In the first answers are written, in the second requests read, in the third understood."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long a call of `predict` may last, how many requests may wait, and whether their rows may share a call.

    `overlaps` says whether the worker and its predictor have a processor each, so that they do better side by side.
    """

    predict_timeout_s: float
    queue: int
    merges: bool
    overlaps: bool


class BatchingPredictor:
    """Answers for one worker. It has to be used on one event loop."""

    def __init__(self, keeper: socket.socket, limits: Limits, observer: Observer) -> None:
        """Take over the keeper's socket.

        Args:
            keeper: See `keeper.start`.
            limits: See there.
            observer: Who is told of predictions, calls and restarts.
        """
        self._keeper = keeper
        keeper.settimeout(0)
        self._most_jobs = limits.queue
        self._timeout_s = limits.predict_timeout_s
        self._observer = observer
        self._pace = Pace()
        self._queue = Queue(self._pace, merges=limits.merges, most_bytes=_MOST_CALL_BYTES)
        self._link: Link | None = None
        self._pieces: list[Piece] = []
        self._is_scheduled = False
        self._deadline: asyncio.TimerHandle | None = None
        self._overlaps = limits.overlaps
        self._unchecked = 0
        self._next_checked = 0
        self._starting: asyncio.Task[None] | None = None
        self._has_killed = False
        self._has_given_up = False

    async def predict(
        self, batch: Batch, *, size_bytes: int, methods: tuple[str, ...] = ("predict",), caller: Caller | None = None
    ) -> list[Any]:
        """Return one JSON value per row of the batch: the prediction, or a list of it and of what else was asked for.

        Args:
            batch: The rows.
            methods: `predict` and what else, see `answers.METHODS`.
            size_bytes: How long they were in the request.
            caller: Who asks.

        Raises:
            RequestError: The model refuses the values.
            UnansweredError: There is no answer: too many wait, the caller has gone, the call took too long, or the
                model's code failed.
        """
        self._require_room(size_bytes)
        job = Job(
            rows=batch.rows, methods=methods, size_bytes=size_bytes, future=asyncio.get_running_loop().create_future()
        )
        try:
            return await self._answer(job, caller)
        except RefusalError as refused:
            pointer = batch.null_pointer if refused.is_about_missing else None
            raise RequestError(refused.message, code="refused-by-model", pointer=pointer) from None

    async def _answer(self, job: Job, caller: Caller | None) -> list[Any]:
        self._queue.add(job)
        self._schedule()
        if caller is None:
            return await job.future
        caller.when_gone(lambda: self._abandon(job))
        try:
            return await job.future
        except asyncio.CancelledError:
            if caller.has_gone:
                raise UnansweredError("The client has gone.", code="client-gone", status=499) from None
            raise

    def _abandon(self, job: Job) -> None:
        if not job.future.done():
            self._queue.discard(job)
            job.future.cancel()

    async def unpack(self, packed: Packed, *, caller: Caller | None = None) -> Unpacked:
        """Return a table's columns, read in the process that may end of it.

        Raises:
            RequestError: It is damaged, or too much.
            UnansweredError: As `predict` does.
        """
        size_bytes = len(packed.data)
        self._require_room(size_bytes)
        job = Job(
            rows=[dataclasses.astuple(packed)],
            methods=wire.UNPACK,
            size_bytes=size_bytes,
            future=asyncio.get_running_loop().create_future(),
            is_unpacking=True,
        )
        (kind, *rest) = (await self._answer(job, caller))[0]
        if kind == "refusal":
            message, code, status = rest
            raise RequestError(message, code=code, status=status)
        names, cells, others = rest
        return Unpacked(names=names, cells=cells, others=others)

    def _require_room(self, size_bytes: int) -> None:
        queue = self._queue
        if self._has_given_up:
            raise _ending()
        if queue.jobs >= self._most_jobs or (queue.jobs and queue.size_bytes + size_bytes > _MOST_WAITING_BYTES):
            raise UnansweredError(
                "Too many requests wait for a prediction. Send this one again later.",
                code="overloaded",
                status=503,
                retry_after_s=1,
            )

    @property
    def waiting(self) -> int:
        """How many requests wait for the process."""
        return self._queue.jobs

    # --- calls ---

    def _schedule(self) -> None:
        if not self._is_scheduled and not self._pieces:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        self._is_scheduled = False
        if self._pieces:
            return
        if self._link is None:
            if self._starting is None:
                self._starting = asyncio.get_running_loop().create_task(self.start())
            return
        self._pieces = self._queue.next()
        if not self._pieces:
            return
        methods = self._pieces[0].job.methods
        self._link.call(methods, [piece.rows for piece in self._pieces], checked=self._checked())
        self._deadline = asyncio.get_running_loop().call_later(self._timeout_s, self._is_late)

    def _checked(self) -> list[int]:
        """Return the places of those requests of the next call that are to be repeated alone."""
        pieces = self._pieces
        if len(pieces) == 1:
            return []
        self._unchecked += len(pieces)
        if self._unchecked < _CHECKED_EVERY:
            return []
        self._unchecked -= _CHECKED_EVERY
        # A place after the other: what merging changes may be the first row of a call, or the last.
        self._next_checked += 1
        return [(self._next_checked - 1) % len(pieces)]

    def _is_answered(self, reply: wire.Reply) -> None:
        seconds, outcomes, differs = reply
        pieces, self._pieces = self._pieces, []
        self._stop_clock()
        if not pieces[0].job.is_unpacking:
            rows = sum(len(piece.rows) for piece in pieces)
            self._pace.observe(rows, seconds)
            self._observer.observe_call(rows)
        if self._overlaps and not differs:
            self._call()  # The predictor need not wait for what follows.
        share_s = seconds / len(pieces)
        for piece, outcome in zip(pieces, outcomes, strict=True):
            self._settle(piece, outcome, share_s)
        if differs:
            # After these slices have found their requests, which begin anew.
            self._queue.stop_merging()
            self._observer.count_end_of_merging()
            _log.warning("Merging changed what the model predicts: from now on each request is predicted alone.")
            if self._overlaps:
                self._call()
        if not self._overlaps and self._queue.jobs:
            self._is_scheduled = True
            self._call_after(_TURNS)

    def _call_after(self, turns: int) -> None:
        """Call after so many turns of the event loop, in which answers are written and further requests read."""
        if turns:
            asyncio.get_running_loop().call_soon(self._call_after, turns - 1)
        else:
            self._call()

    def _settle(self, piece: Piece, outcome: wire.Outcome, seconds: float) -> None:
        job = piece.job
        if outcome[0] == "values":
            job.values = job.values + outcome[1] if job.values else outcome[1]
            job.seconds += seconds
            if len(job.values) == len(job.rows) and not job.future.done():
                if not job.is_unpacking:
                    predictions = [value[0] for value in job.values] if len(job.methods) > 1 else job.values
                    self._observer.observe(job.seconds, job.rows, predictions)
                job.future.set_result(job.values)
        elif job.future.done():
            pass  # Its client has gone, or another slice of it failed.
        elif outcome[0] == "refused":
            job.future.set_exception(RefusalError(outcome[1], is_about_missing=outcome[2]))
        else:
            job.future.set_exception(UnansweredError(FAILED, code="internal-error", status=500, log=outcome[1]))

    # --- the predictor's life ---

    async def start(self) -> None:
        """Start the process that predicts: before the first request, so that it needn't wait, and after each end."""
        try:
            self._link, status = await links.connect(self._keeper, self._is_answered, self._is_lost)
        except OSError as error:
            self._give_up(error)
            return
        finally:
            self._starting = None
        if status and not self._has_killed:
            _log.error("The process that predicted has ended: %s.", _describe(status))
        self._has_killed = False
        self._schedule()

    def _give_up(self, error: OSError) -> None:
        """End the worker, in which nothing will predict any more: gunicorn starts another."""
        _log.critical("This worker ends, because its predictor can't be started anew: %s", error)
        self._has_given_up = True
        for job in self._queue.drain():
            if not job.future.done():
                job.future.set_exception(_ending())
        os.kill(os.getpid(), signal.SIGQUIT)

    def _is_late(self) -> None:
        self._has_killed = True
        is_unpacking = bool(self._pieces) and self._pieces[0].job.is_unpacking
        who, what = ("The service", "read the table") if is_unpacking else ("The model", "predict")
        text = f"{who} took longer than {self._timeout_s:g} s to {what}."
        self._replace(UnansweredError(text, code="predict-timeout", status=504))

    def _is_lost(self) -> None:
        text = "The model ended the process that predicts."
        self._replace(UnansweredError(text, code="predictor-ended", status=500))

    def _replace(self, cause: UnansweredError) -> None:
        """Start another predictor, and call it with each request of the call alone, to find the guilty one.

        A request that was alone is guilty if the call took too long, or if it is the second time: the predictor may
        have been killed from outside.
        """
        _log.error("%s It is started anew.", cause.message)
        self._observer.count_restart()
        self._stop_clock()
        if self._link is not None:
            self._link.close()
            self._link = None
        pieces, self._pieces = self._pieces, []
        if len(pieces) == 1 and (self._has_killed or pieces[0].job.is_suspect):
            if not pieces[0].job.future.done():
                pieces[0].job.future.set_exception(cause)
        else:
            self._queue.put_back(pieces)
        self._schedule()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _ending() -> UnansweredError:
    text = "This part of the service is about to end. Send the request again."
    return UnansweredError(text, code="overloaded", status=503, retry_after_s=1)


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = ", perhaps for want of memory" if number == signal.SIGKILL else ""
        return f"killed by signal {number} ({signal.Signals(number).name}){hint}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"
