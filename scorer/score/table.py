"""Which of an input's columns are the model's."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import counted, names_shown, shown
from ..inputs import array_column
from ..manifest import Column, Input
from .stopping import Status, StopError

TEXT = Column(name="", kind="string", dtype="object")


def used_columns(spec: Input) -> Sequence[Column]:
    """Return what each value of a row is to the model: the named columns that it uses, or `width` that have no name."""
    match spec.kind:
        case "text":
            return [TEXT]
        case "array":
            return [array_column(spec)] * spec.width
        case "frame":
            return [column for column in spec.columns if not column.optional]


def positions_by_name(spec: Input, names: Sequence[str], chosen: Sequence[str]) -> list[int]:
    """Return where each value of the model's stands among an input's named columns.

    Args:
        spec: The model's input.
        names: The input's columns.
        chosen: For a model whose input has no names: those that the person named, if any.

    Raises:
        StopError: One is missing, is there twice, or nobody knows which it is.
    """
    wanted = [column.name for column in used_columns(spec)] if spec.kind == "frame" else list(chosen)
    if not wanted:
        if len(names) != spec.width:
            raise StopError(Status.NO_INPUT, unclear(spec, names))
        return list(range(spec.width))
    if missing := [name for name in wanted if name not in names]:
        columns = "column" if len(missing) == 1 else "columns"
        found = f"The input has no {columns} {names_shown(missing, shown)}"
        raise StopError(Status.NO_INPUT, f"{found}. It has: {names_shown(names)}.")
    for name in wanted:
        if names.count(name) != 1:
            found = f"The input has {names.count(name)} columns {name!r}"
            raise StopError(Status.NO_INPUT, f"{found}. It has: {names_shown(names)}.")
    return [names.index(name) for name in wanted]


def unclear(spec: Input, names: Sequence[str]) -> str:
    """Say that a row has another number of values than a model without names takes."""
    values = "one text" if spec.kind == "text" else "one value" if spec.width == 1 else f"{spec.width} values"
    return (
        f"The model takes {values} a row, and the input has {counted(len(names), 'column')} ({names_shown(names)}): "
        "say with --column which to take."
    )
