"""KServe's first protocol, which is TensorFlow Serving's and Vertex AI's: `instances` in, `predictions` out.

Source: kserve.github.io, "V1 Inference Protocol"; cloud.google.com, "Custom container requirements".
"""

from __future__ import annotations

from ..decode import Decoder, parse_json
from ..encode import dump
from ..errors import RequestError
from ..rows import kind_of
from .base import Problem, Question, Request, predictions, require_json
from .names import Names
from .pointers import below

_KEYS = ("instances", "inputs")


class V1:
    """`POST /v1/models/NAME:predict`, and Vertex AI's route."""

    def __init__(self, names: Names, decoder: Decoder) -> None:
        self._names = names
        self._decoder = decoder

    def read(self, request: Request) -> Question:
        """Read `{"instances": rows}`."""
        self._names.require(request.model)
        require_json(request.accept)
        value = parse_json(request.body)
        if not isinstance(value, dict):
            raise RequestError(f'Expected {{"instances": [rows]}}, got {kind_of(value)}.', pointer="")
        key = next((key for key in _KEYS if key in value), None)
        if key is None:
            raise RequestError('Expected {"instances": [rows]}: the key is missing.', pointer="")
        return Question(batch=below(f"/{key}", self._decoder.decode, value[key]), render=predictions)

    def error(self, problem: Problem) -> bytes:
        """Return `{"error": …}`."""
        return dump({"error": problem.message})
