from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..body import read_body
from ..caller import CALLER, Caller
from ..errors import RequestError
from ..metrics import Metrics
from ..observing.observed import PREDICTED, ROUTE
from ..predictor.protocol import Predictor
from ..protocols.base import Answer, Problem, Question, Request, ScoringProtocol, Sealed
from ..turns import Turns
from .respond import identify, problem_of, send

_SHORT_BYTES = 4 * 1024
"""Longer bodies are read one in a turn of the event loop."""
_LONG_BYTES = 40 * 1024
"""Longer ones are read beside it: they may take more than the 5 ms after which a thread gives way."""
_SLOWER = 4
"""By what other bodies than JSON take longer to read: CSV, and forms full of escapes."""

_CELL_BYTES = 16
"""Of a cell that came packed: about what it would have been as JSON."""
_MANY_ROWS = 512
"""From so many on, the answer is written there as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scorer:
    """What all scoring routes share; `beside` has one thread: more would only take turns, with all their memory."""

    predictor: Predictor
    turns: Turns
    beside: ThreadPoolExecutor
    max_body_bytes: int
    metrics: Metrics


class Scoring:
    """`POST` of one protocol: rows in, predictions out."""

    def __init__(self, protocol: ScoringProtocol, scorer: Scorer, *, headers: Sequence[str] = ()) -> None:
        """Serve a protocol.

        Args:
            protocol: What is spoken here.
            scorer: Whom to ask.
            headers: Those that the protocol has of its own, in lower case.
        """
        self._protocol = protocol
        self._scorer = scorer
        self._headers = headers

    async def on_post(self, req: Any, resp: Any, model: str | None = None, version: str | None = None) -> None:
        """Answer one request, whatever is wrong with it in the protocol's own words."""
        request_id = identify(req, resp)
        metrics = self._scorer.metrics
        started = time.perf_counter()
        predict_s = 0.0
        route = req.scope[ROUTE] = req.uri_template.rstrip("/")
        metrics.in_flight += 1
        try:
            question, size_bytes = await self._read(req, model, version)
            asked = time.perf_counter()
            try:
                values = await self._scorer.predictor.predict(
                    question.batch, size_bytes=size_bytes, methods=question.methods, caller=req.scope.get(CALLER)
                )
            finally:
                predict_s = time.perf_counter() - asked
                req.scope[PREDICTED] = asked, predict_s
            if len(values) < _MANY_ROWS:
                answer = question.render(values)
            else:
                loop = asyncio.get_running_loop()
                answer = await loop.run_in_executor(self._scorer.beside, question.render, values)
            status = 200
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets the protocol's own kind of answer
            problem = problem_of(error, req, resp, request_id)
            status = problem.status
            answer = Answer(body=self._protocol.error(problem))
        finally:
            metrics.in_flight -= 1
        send(resp, answer.body, status=status, content_type=answer.content_type)
        for name, value in answer.headers.items():
            resp.set_header(name, value)
        metrics.observe_request(route, status, time.perf_counter() - started, predict_s)

    def error(self, problem: Problem) -> bytes:
        """Return the body of a refusal, as the protocol has it."""
        return self._protocol.error(problem)

    async def _read(self, req: Any, model: str | None, version: str | None) -> tuple[Question, int]:
        """Return what is asked, and how long it is: as the body was, or as what was packed in it."""
        scorer = self._scorer
        caller: Caller | None = req.scope.get(CALLER)
        body = await read_body(
            req.stream, declared=req.content_length, limit_bytes=scorer.max_body_bytes, caller=caller
        )
        request = Request(
            body=body,
            content_type=req.content_type,
            accept=req.accept,
            query=req.query_string,
            headers=self._own_headers(req) if self._headers else {},
            model=model,
            version=version,
        )
        size_bytes = len(body)
        loop = asyncio.get_running_loop()
        work = size_bytes if request.is_json else size_bytes * _SLOWER
        if work > _LONG_BYTES:
            question = await loop.run_in_executor(scorer.beside, self._protocol.read, request)
        else:
            if work > _SHORT_BYTES:
                await scorer.turns.take()
            question = self._protocol.read(request)
        if isinstance(question, Sealed):
            table = await scorer.predictor.unpack(question.packed, caller=caller)
            question = await loop.run_in_executor(scorer.beside, question.read, table)
            size_bytes = max(size_bytes, _CELL_BYTES * sum(map(len, table.cells)))
        if question.batch.extra:
            scorer.metrics.count_extra(question.batch.extra)
        return question, size_bytes

    def _own_headers(self, req: Any) -> dict[str, str]:
        found = ((name, req.get_header(name)) for name in self._headers)
        return {name: value for name, value in found if value is not None}


class OfModel:
    """`GET` of a document about the model, at a path that has its name."""

    def __init__(
        self, body: bytes, require: Callable[[str | None, str | None], None], protocol: ScoringProtocol
    ) -> None:
        """Answer with `body`, once `require` has found that the name and the version in the path are the model's."""
        self._body = body
        self._require = require
        self._protocol = protocol

    async def on_get(self, req: Any, resp: Any, model: str, version: str | None = None) -> None:
        """Answer with the document; 404 for another model."""
        request_id = identify(req, resp)
        try:
            self._require(model, version)
        except RequestError as error:
            problem = problem_of(error, req, resp, request_id)
            send(resp, self._protocol.error(problem), status=problem.status)
            return
        send(resp, self._body)

    on_head = on_get
