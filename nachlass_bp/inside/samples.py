"""Collect candidate inputs for the composed pipeline from a notebook that has run.

Which of them is an input of the whole pipeline shows only when it predicts (`scorer.check`); the order here is a guess.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
from typing import Any

from .observe import observed_inputs
from .rows import ROW_LIMIT, first_rows

_MOST_CANDIDATES = 40
_LARGEST_BYTES = 1 << 20
_ALL_BYTES = 8 << 20
_READABLE = frozenset(
    {"_codecs", "builtins", "collections", "copyreg", "datetime", "decimal", "numpy", "pandas", "pyarrow", "zoneinfo"}
)
"""Packages whose objects a fresh process can load without the notebook or the repository."""


def collect_samples(path: str, limit: int = ROW_LIMIT) -> str:
    """Pickle a list of candidate inputs, best first, to `path` (mode 0600: they are rows of the data).

    First the variable `nachlass_sample`, then what estimators were fitted on, then what the notebook's variables hold:
    frames, texts, arrays. Returns `{"count": n, "nachlass_sample": "used" | "absent" | "unusable"}`.
    """
    variables = _user_variables()
    chosen: list[bytes] = []
    size = 0
    for candidate in _candidates(variables, limit):
        data = _portable_pickle(candidate)
        if data is None or data in chosen or size + len(data) > _ALL_BYTES:
            continue
        chosen.append(data)
        size += len(data)
        if len(chosen) == _MOST_CANDIDATES:
            break
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        pickle.dump([pickle.loads(data) for data in chosen], file)  # noqa: S301 - made right here.
    return json.dumps({"count": len(chosen), "nachlass_sample": _fate_of_explicit(variables, chosen)})


def _fate_of_explicit(variables: dict[str, Any], chosen: list[bytes]) -> str:
    if "nachlass_sample" not in variables:
        return "absent"
    return "used" if _portable_pickle(variables["nachlass_sample"]) in chosen else "unusable"


def _user_variables() -> dict[str, Any]:
    """Return what the notebook named, in the order in which the names first appeared."""
    shell = sys.modules["IPython"].get_ipython()
    hidden = set(shell.user_ns_hidden)
    return {name: value for name, value in shell.user_ns.items() if not name.startswith("_") and name not in hidden}


def _candidates(variables: dict[str, Any], limit: int) -> list[Any]:
    explicit = [variables["nachlass_sample"]] if "nachlass_sample" in variables else []
    frames: list[Any] = []
    texts: list[Any] = []
    others: list[Any] = []
    # By convention X is the input; besides, what came later is closer to the model.
    latest_first = list(variables.items())[::-1]
    for _, value in sorted(latest_first, key=lambda item: not item[0].startswith(("X", "x_"))):
        try:
            heads = first_rows(value, limit)
            texts += _text_columns(value, limit)
        except Exception:  # noqa: BLE001, S112 - whatever this variable is, it is no input.
            continue
        if not heads:
            continue
        place = texts if _is_text(heads[0]) else frames if hasattr(heads[0], "columns") else others
        place += heads
    # Labels are texts, too, and shorter than what a model reads.
    texts.sort(key=_mean_length, reverse=True)
    return [*explicit, *observed_inputs(), *frames, *texts, *others]


def _text_columns(value: Any, limit: int) -> list[Any]:
    pandas = sys.modules.get("pandas")
    if pandas is None or not issubclass(type(value), pandas.DataFrame):
        return []
    return [rows for column in range(len(value.columns)) for rows in first_rows(value.iloc[:limit, column], limit)]


def _is_text(rows: Any) -> bool:
    return type(rows) is list and type(rows[0]) is str


def _mean_length(texts: Any) -> float:
    lengths = [len(text) for text in texts]
    return sum(lengths) / len(lengths)


class _PortableUnpickler(pickle.Unpickler):
    """Refuses what belongs to the notebook or to packages that a sample has no need of."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] not in _READABLE:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return super().find_class(module, name)


def _portable_pickle(candidate: Any) -> bytes | None:
    """Return the candidate's pickle, or None if it is too large or cannot be loaded elsewhere."""
    try:
        data = pickle.dumps(candidate)
        if len(data) > _LARGEST_BYTES:
            return None
        _PortableUnpickler(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - objects of the user's may fail in any way.
        return None
    return data
