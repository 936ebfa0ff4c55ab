"""Azure Machine Learning's route `/score`, whose bodies are the business of each model's author: the usual ones.

Source: learn.microsoft.com, "Deploy MLflow models to online endpoints", for `input_data`.
"""

from __future__ import annotations

from ..decode import Decoder, parse_json
from ..encode import dump
from .base import Problem, Question, Request, bare, require_json
from .pointers import below

_KEYS = ("input_data", "data")


class Azure:
    """`{"input_data": rows}`, `{"data": rows}`, or rows alone; a bare list of predictions back."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def read(self, request: Request) -> Question:
        """Read rows in whatever spelling, below a key or not."""
        require_json(request.accept)
        value = parse_json(request.body)
        if isinstance(value, dict) and len(value) == 1 and (key := next(iter(value))) in _KEYS:
            return Question(batch=below(f"/{key}", self._decoder.decode, value[key]), render=bare)
        return Question(batch=self._decoder.decode(value), render=bare)

    def error(self, problem: Problem) -> bytes:
        """Return `{"error": …}`."""
        return dump({"error": problem.message})
