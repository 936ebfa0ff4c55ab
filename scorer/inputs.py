"""From checked rows of any number of requests to what the pipeline was fitted on."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .columns import Codec, for_frame
from .manifest import Column, ColumnKind, Input
from .matrix import Matrix, Rows

_TEXT = Column(name="", kind="string", dtype="object")


def codecs(spec: Input) -> list[Codec]:
    """Return the codec of each used column of a frame; one for all cells of texts and arrays."""
    match spec.kind:
        case "text":
            return [Codec(_TEXT)]
        case "array":
            return [Codec(array_column(spec))]
        case "frame":
            return [Codec(column) for column in spec.columns if not column.optional]


def array_column(spec: Input) -> Column:
    """Return what each cell of an array is; null is left to the model, which knows whether it takes NaN."""
    kinds: dict[str, ColumnKind] = {"f": "number", "i": "integer", "u": "integer", "b": "boolean", "U": "string"}
    kind: ColumnKind = kinds.get(np.dtype(spec.dtype.removesuffix("[none]") or "float64").kind, "any")
    return Column(name="", kind=kind, dtype=spec.dtype, nullable=kind in ("number", "any"), is_wide=spec.is_wide)


class Assembler:
    """Makes the argument of `predict` for one model's input."""

    def __init__(self, spec: Input) -> None:
        self._spec = spec
        self._codecs = codecs(spec)
        self._names = [column.name for column in spec.columns if not column.optional]

    def assemble(self, rows: Rows) -> Any:
        """Return n texts (list, Series or array), an array of shape (n, width), or a DataFrame of n rows.

        Args:
            rows: As `decode.Batch` has them: checked, and of one request or of several.
        """
        if isinstance(rows, Matrix):
            return self._codecs[0].cast(rows.to_array().copy())  # A model may write to what is its own.
        match self._spec.kind:
            case "text":
                return self._texts(rows)
            case "array":
                cells = list(itertools.chain.from_iterable(rows))
                return self._codecs[0].to_array(cells).reshape(len(rows), self._spec.width)
            case "frame":
                return self._frame(rows)

    def _texts(self, rows: Sequence[str]) -> Any:
        if self._spec.dtype == "series":
            import pandas as pd  # noqa: PLC0415 - for the stage that asks for it.

            return pd.Series(rows)
        return np.array(rows, dtype=object) if self._spec.dtype == "ndarray" else list(rows)

    def _frame(self, rows: Sequence[Sequence[Any]]) -> Any:
        import pandas as pd  # noqa: PLC0415 - a service of texts or arrays never needs it.

        columns = zip(self._codecs, zip(*rows, strict=True), strict=True)
        arrays = (codec.to_array(cells) for codec, cells in columns)
        # A copy has its columns of one dtype side by side in memory, which is a third of a ColumnTransformer's time.
        return pd.DataFrame(dict(zip(self._names, map(for_frame, arrays), strict=True)), copy=True)
