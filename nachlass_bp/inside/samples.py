"""Collect candidate inputs for the composed pipeline from a notebook that has run.

Which of them is an input of the whole pipeline shows only when it predicts (`scorer.check`); the order here is a guess.
"""

from __future__ import annotations

import functools
import io
import json
import os
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .observe import observed_inputs
from .rows import ROW_LIMIT, first_rows, spread_rows

_MOST_CANDIDATES = 40
_LARGEST_BYTES = 1 << 20
_ALL_BYTES = 8 << 20
_ALL_REFERENCES_BYTES = 16 << 20
_READABLE = frozenset(
    {"_codecs", "builtins", "collections", "copyreg", "datetime", "decimal", "numpy", "pandas", "pyarrow", "zoneinfo"}
)
"""Packages whose objects a fresh process can load without the notebook or the repository."""

More = Callable[[], Any]
"""Returns more rows of what a candidate is the head of, or None: asked only for candidates that are kept."""


def collect_samples(path: str, limit: int = ROW_LIMIT) -> str:
    """Pickle a list of candidate inputs, best first, to `path` (mode 0600: they are rows of the data).

    First the variable `nachlass_sample`, then what estimators were fitted on, then what the notebook's variables hold:
    frames, texts, arrays. A second pickle in the file is a list that has, for each of them, more rows of the same
    object, or None. Returns `{"count": n, "nachlass_sample": "used" | "absent" | "unusable"}`.
    """
    variables = _user_variables()
    chosen: dict[bytes, list[More]] = {}
    size = 0
    for candidate, more in _candidates(variables, limit):
        data = _portable_pickle(candidate, _LARGEST_BYTES)
        if data is None:
            continue
        if data in chosen:
            # The first rows of a variable may be all of another one.
            chosen[data].append(more)
        elif size + len(data) <= _ALL_BYTES:
            chosen[data] = [more]
            size += len(data)
        if len(chosen) == _MOST_CANDIDATES:
            break
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        pickle.dump([pickle.loads(data) for data in chosen], file)  # noqa: S301 - made right here.
        pickle.dump(_references(list(chosen.values())), file)
    return json.dumps({"count": len(chosen), "nachlass_sample": _fate_of_explicit(variables, chosen)})


def _references(wanted: Sequence[Sequence[More]]) -> list[Any]:
    """Return them as the proof can load them, None for what it can't, or where they would be too many bytes in all."""
    # Of one object there may be several candidates.
    pickled: dict[int, bytes | None] = {}
    references: list[Any] = []
    size = 0
    for ways in wanted:
        reference = next((rows for more in ways if (rows := _told(more)) is not None), None)
        if reference is not None and id(reference) not in pickled:
            data = _portable_pickle(reference, _ALL_REFERENCES_BYTES - size)
            pickled[id(reference)] = data
            size += len(data or b"")
        references.append(reference if pickled.get(id(reference)) else None)
    return references


def _told(more: More) -> Any:
    try:
        return more()
    except Exception:  # noqa: BLE001 - an object of the user's may be anything.
        return None


def _more_of(value: Any) -> More:
    """Return what tells more rows of a value, and the same object each time."""
    return functools.cache(functools.partial(spread_rows, value))


def _fate_of_explicit(variables: dict[str, Any], chosen: dict[bytes, list[More]]) -> str:
    if "nachlass_sample" not in variables:
        return "absent"
    return "used" if _portable_pickle(variables["nachlass_sample"], _LARGEST_BYTES) in chosen else "unusable"


def _user_variables() -> dict[str, Any]:
    """Return what the notebook named, in the order in which the names first appeared."""
    shell = sys.modules["IPython"].get_ipython()
    hidden = set(shell.user_ns_hidden)
    return {name: value for name, value in shell.user_ns.items() if not name.startswith("_") and name not in hidden}


def _candidates(variables: dict[str, Any], limit: int) -> list[tuple[Any, More]]:
    explicit = variables.get("nachlass_sample")
    frames: list[tuple[Any, More]] = []
    texts: list[tuple[Any, More]] = []
    others: list[tuple[Any, More]] = []
    # By convention X is the input; besides, what came later is closer to the model.
    latest_first = list(variables.items())[::-1]
    for _, value in sorted(latest_first, key=lambda item: not item[0].startswith(("X", "x_"))):
        try:
            heads = first_rows(value, limit)
            more = _more_of(value)
            texts += _text_columns(value, limit)
        except Exception:  # noqa: BLE001, S112 - whatever this variable is, it is no input.
            continue
        if not heads:
            continue
        place = texts if _is_text(heads[0]) else frames if hasattr(heads[0], "columns") else others
        place += [(head, more) for head in heads]
    # Labels are texts, too, and shorter than what a model reads.
    texts.sort(key=lambda item: _mean_length(item[0]), reverse=True)
    first = [(explicit, _more_of(explicit))] if "nachlass_sample" in variables else []
    observed = [(head, functools.partial(_itself, more)) for head, more in observed_inputs()]
    return [*first, *observed, *frames, *texts, *others]


def _itself(rows: Any) -> Any:
    return rows


def _text_columns(value: Any, limit: int) -> list[tuple[Any, More]]:
    pandas = sys.modules.get("pandas")
    if pandas is None or not issubclass(type(value), pandas.DataFrame):
        return []
    found: list[tuple[Any, More]] = []
    for column in range(len(value.columns)):
        if heads := first_rows(value.iloc[:limit, column], limit):
            more = _more_of(value.iloc[:, column])
            found += [(head, more) for head in heads]
    return found


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


def _portable_pickle(candidate: Any, most_bytes: int) -> bytes | None:
    """Return the candidate's pickle, or None if it is too large or cannot be loaded elsewhere."""
    try:
        data = pickle.dumps(candidate)
        if len(data) > most_bytes:
            return None
        _PortableUnpickler(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - objects of the user's may fail in any way.
        return None
    return data
