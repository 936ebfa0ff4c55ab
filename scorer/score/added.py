"""What the output has besides the input: names and values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..manifest import ColumnKind, Model
from .stopping import Status, StopError

_KINDS: dict[type, ColumnKind] = {str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """The columns that are added, for what `methods` answer."""

    methods: tuple[str, ...]
    names: tuple[str, ...]
    kinds: tuple[ColumnKind | None, ...]
    """What each column holds, None where only the values tell."""

    def cells(self, answer: Any) -> list[Any]:
        """Return the values of one row, in the order of the names."""
        return [_finite(value) for value in _flat(answer)]


def added_columns(model: Model, *, probabilities: Sequence[Any] | None, prefix: str) -> Added:
    """Return what is added.

    Args:
        model: What is known of the model.
        probabilities: As many as a row has, in lists if it has some for each output; None where they are not wanted.
        prefix: How the names begin.
    """
    count = model.outputs
    predictions = ["prediction"] if count is None else [f"prediction_{number}" for number in range(1, count + 1)]
    kinds: list[ColumnKind | None] = [_prediction_kind(model)] * len(predictions)
    methods: tuple[str, ...] = ("predict",)
    names = predictions
    if probabilities is not None:
        methods = ("predict", "predict_proba")
        names = [*predictions, *(f"probability_{name}" for name in _classes(model, probabilities))]
        kinds += ["number"] * (len(names) - len(predictions))
    return Added(methods=methods, names=tuple(prefix + name for name in names), kinds=tuple(kinds))


def require_free(added: Added, names: Sequence[str] | None) -> None:
    """Make sure that the input has no column of a name that is added.

    Raises:
        StopError: It has.
    """
    taken = next((name for name in added.names if name in (names or ())), None)
    if taken is not None:
        raise StopError(
            Status.NO_INPUT,
            f"The input has a column {taken!r} already: --prefix gives what is added another name, "
            "for instance --prefix new_",
        )


def _classes(model: Model, probabilities: Sequence[Any]) -> Iterator[str]:
    """Yield what the probabilities of one row are of: classes, or the numbers of outputs and of their classes."""
    if model.outputs is None and len(model.classes) == len(probabilities):
        yield from map(str, model.classes)
        return
    for number, each in enumerate(probabilities, start=1):
        if isinstance(each, list):
            yield from (f"{number}_{inner}" for inner in range(1, len(each) + 1))
        else:
            yield str(number)


def _prediction_kind(model: Model) -> ColumnKind | None:
    if model.outputs is not None:
        return None
    if model.task == "regressor":
        return "number"
    kinds = {type(label) for label in model.classes}
    return _KINDS[kinds.pop()] if len(kinds) == 1 else None


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _finite(value: Any) -> Any:
    """Return null for NaN and the infinities, as the service does."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
