"""nachlass's own: rows as JSON, or in the field `json_args` of a form as since 2019; a bare list of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from ..body import extract_json
from ..decode import Decoder, parse_json
from ..encode import dump
from ..errors import RequestError, bounded, error_body
from ..manifest import Label, Model
from .base import Answer, Problem, Question, Request, bare, require_json

_SWITCH = {"": True, "1": True, "true": True, "0": False, "false": False}


class Native:
    """`POST /predict`; `?probabilities=true` asks for the probability of each class as well."""

    def __init__(self, model: Model, decoder: Decoder) -> None:
        self._decoder = decoder
        self._classes = model.classes
        self._has_probabilities = "predict_proba" in model.methods

    def read(self, request: Request) -> Question:
        """Read rows in whatever spelling."""
        require_json(request.accept)
        batch = self._decoder.decode(parse_json(extract_json(request.body, request.content_type)))
        if request.query and _wants_probabilities(request.query):
            if not self._has_probabilities:
                raise RequestError("The model has no probabilities.", code="no-probabilities")
            return Question(batch=batch, methods=("predict", "predict_proba"), render=self._with_probabilities)
        return Question(batch=batch, render=bare)

    def error(self, problem: Problem) -> bytes:
        """Return `{"error": …, "code": …, "pointer": …}`."""
        return dump(
            error_body(problem.message, code=problem.code, pointer=problem.pointer, request_id=problem.request_id)
        )

    def _with_probabilities(self, values: list[Any]) -> Answer:
        answers = [{"prediction": value, "probabilities": _named(self._classes, each)} for value, each in values]
        return Answer(body=dump(answers))


def _named(classes: Sequence[Label], probabilities: list[Any]) -> Any:
    """Return the probabilities by class; those of several outputs, whose classes may differ, stay lists."""
    if len(classes) != len(probabilities) or any(isinstance(each, list) for each in probabilities):
        return probabilities
    return dict(zip(map(str, classes), probabilities, strict=True))


def _wants_probabilities(query: str) -> bool:
    wanted = False
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "probabilities":
            if value.lower() not in _SWITCH:
                raise RequestError(
                    f"probabilities={bounded(value)} is neither true nor false.", code="invalid-parameter"
                )
            wanted = _SWITCH[value.lower()]
    return wanted
