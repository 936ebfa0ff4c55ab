"""Which rows of which requests go into the next call."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..matrix import Rows
from .pace import Pace


@dataclass(kw_only=True, eq=False, slots=True)
class Job:
    """One request's rows on their way; `future` gets their values, or what became of them instead."""

    rows: Rows
    methods: tuple[str, ...]
    size_bytes: int
    future: asyncio.Future[list[Any]]
    sent: int = 0
    values: list[Any] = field(default_factory=list)
    seconds: float = 0.0
    is_unpacking: bool = False
    """It is no call of the model, and shares none."""
    is_suspect: bool = False
    """A call that it was part of took the predictor with it: it goes alone from now on."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of one request, from `start` on."""

    job: Job
    start: int
    rows: Rows


_SHORT = 8
"""A request is short if so many of its kind make one call."""
_MOST_SHORT_BYTES = 64 * 1024
"""What is longer may take long however few its rows are: texts."""
_MANY = 256
"""Calls of so many rows are long enough to halve: of one request no more at a time, for others wait for its end."""


class Queue:
    """Requests that wait, in the order of their arrival of three kinds: short ones, long ones, and tables to unpack.

    Every second call is of short ones, if any wait. So a short request waits for one call of others at most, however
    much these have sent.
    """

    def __init__(self, pace: Pace, *, merges: bool, most_bytes: int) -> None:
        self._merges = merges
        self._pace = pace
        self._most_bytes = most_bytes
        self._suspects: deque[Job] = deque()
        self._short: deque[Job] = deque()
        self._long: deque[Job] = deque()
        self._tables: deque[Job] = deque()
        self._last: deque[Job] | None = None
        self._last_other: deque[Job] | None = None
        self.jobs = 0
        self.size_bytes = 0

    def add(self, job: Job) -> None:
        """Append a request."""
        self.jobs += 1
        self.size_bytes += job.size_bytes
        if job.is_unpacking:
            self._tables.append(job)
        elif len(job.rows) > max(self._pace.rows // _SHORT, 1) or job.size_bytes > _MOST_SHORT_BYTES:
            self._long.append(job)
        else:
            self._short.append(job)

    def put_back(self, pieces: Sequence[Piece]) -> None:
        """Take back what a call was lost with, to go first and each request alone."""
        for piece in reversed(pieces):
            if piece.job.future.done():  # Its client has gone.
                continue
            if piece.job.sent >= len(piece.job.rows):
                self.jobs += 1
                self.size_bytes += piece.job.size_bytes
            else:
                self._long.remove(piece.job)
            piece.job.sent, piece.job.is_suspect = piece.start, True
            self._suspects.appendleft(piece.job)

    def discard(self, job: Job) -> None:
        """Take out a request for which nobody waits any more, unless all of it is in a call already."""
        for jobs in self._all:
            if job in jobs:
                jobs.remove(job)
                self._forget(job)

    def next(self) -> list[Piece]:
        """Take what goes into the next call, [] when nobody waits."""
        while self._suspects:
            job = self._suspects.popleft()
            if not job.future.done():
                return [self._rest(job)]
            self._forget(job)
        others = [self._tables, self._long] if self._last_other is self._long else [self._long, self._tables]
        for jobs in [*others, self._short] if self._last is self._short else [self._short, *others]:
            if pieces := self._merged(jobs):
                self._last = jobs
                if jobs is not self._short:
                    self._last_other = jobs
                return pieces
        return []

    def stop_merging(self) -> None:
        """Give each request a call of its own from now on, those too of which slices have been predicted already."""
        self._merges = False
        for job in self._long:
            job.sent, job.values = 0, []

    def drain(self) -> list[Job]:
        """Take all that waits."""
        jobs = [job for waiting in self._all for job in waiting]
        for waiting in self._all:
            waiting.clear()
        self.jobs = self.size_bytes = 0
        return jobs

    @property
    def _all(self) -> tuple[deque[Job], ...]:
        return self._suspects, self._short, self._long, self._tables

    def _merged(self, jobs: deque[Job]) -> list[Piece]:
        """Take the first of `jobs`, or as much of it as a call may have, and those that fit into the same call."""
        pieces: list[Piece] = []
        rows = size_bytes = 0
        limit, most = self._pace.merged_rows, self._pace.rows
        if most >= _MANY:
            most //= 2
        while jobs:
            job = jobs[0]
            if job.future.done():  # Its client has gone.
                self._forget(jobs.popleft())
                continue
            left = len(job.rows) - job.sent
            rows, size_bytes = rows + left, size_bytes + job.size_bytes
            if pieces and (
                not self._merges
                or rows > limit
                or size_bytes > self._most_bytes
                or job.methods != pieces[0].job.methods
                or job.is_unpacking
            ):
                break
            is_sliced = self._merges and jobs is self._long
            if is_sliced and not pieces and left > 1 and self._pace.wants_one and (left > most or len(jobs) > 1):
                return [self._part(job, 1)]  # Its next rows stay the first that wait.
            jobs.popleft()
            if is_sliced and left > most:
                calls = math.ceil(left / most)
                pieces.append(self._part(job, math.ceil(left / calls)))
                self._long.append(job)  # The others wait behind everybody else's.
                break
            pieces.append(self._rest(job))
        return pieces

    def _part(self, job: Job, rows: int) -> Piece:
        piece = Piece(job, job.sent, job.rows[job.sent : job.sent + rows])
        job.sent += rows
        return piece

    def _rest(self, job: Job) -> Piece:
        self._forget(job)
        piece = Piece(job, job.sent, job.rows[job.sent :] if job.sent else job.rows)
        job.sent = len(job.rows)
        return piece

    def _forget(self, job: Job) -> None:
        self.jobs -= 1
        self.size_bytes -= job.size_bytes
