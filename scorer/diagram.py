"""What a fitted pipeline looks like: a tree of plain values, for people and for the page that draws it.

It is made of whatever objects the author's notebooks saved, so nothing here trusts them: whatever one of them raises
costs its own part of the tree, sizes are bounded, and only values of Python's own types are ever spelled out.
"""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .schema import resolve

Node = dict[str, Any]
"""`class` and `module`, and what there is of: `name`, the step's; `parameters` that differ from their defaults, as
texts; `columns` that it gets, and `more_columns`; `children` with their `arrangement`, and `more_children`."""

MOST_DEPTH = 8
MOST_NODES = 200
MOST_PARAMETERS = 16
MOST_COLUMNS = 20
LONGEST = 80
"""Characters of one text."""

_METHODS = ("fit", "transform", "predict")
_NOTHING = ("drop", "passthrough")
_HELD_BACK = "****"
_PRIVATE_NAME = re.compile(r"(?:^|_)(?:password|passwd|secret|api_?key|credentials?|auth|token)$", re.IGNORECASE)
_PRIVATE_VALUE = re.compile(r"://[^/\s]*@")


def draw(pipeline: Any) -> Node:
    """Return the tree of the pipeline that the service composed of its stages; `arrangement` says how children stand.

    `sequence`: one after the other. `parallel`: side by side, on the same input. `inside`: of an estimator that uses
    them as it likes.
    """
    return {**_Painter().node(None, pipeline, 0), "class": "Pipeline", "module": "sklearn.pipeline"}


class _Painter:
    def __init__(self) -> None:
        self._left = MOST_NODES

    def node(self, name: Any, estimator: Any, depth: int) -> Node:
        self._left -= 1
        found: Node = {} if name is None else {"name": _text(name)}
        if estimator is None or (isinstance(estimator, str) and estimator in _NOTHING):
            return {**found, "class": estimator or "passthrough", "module": ""}
        kind = type(estimator)
        found |= {"class": _text(kind.__qualname__), "module": _text(kind.__module__)}
        # Properties and methods of the author's own may raise anything, and no picture of them ends the service.
        try:
            found |= self._inside(estimator, depth)
        except (Exception, SystemExit):  # noqa: BLE001 - as above
            return found
        return found

    def _inside(self, estimator: Any, depth: int) -> Node:
        parameters = _parameters(estimator)
        parts = {name: value for name, value in parameters.items() if _is_estimator(value) or _is_list_of_steps(value)}
        found: Node = {}
        changed = _changed(estimator, {name: parameters[name] for name in parameters if name not in parts})
        if changed:
            found["parameters"] = changed
        if "steps" in parts:
            return found | self._children("sequence", parts["steps"], depth)
        if "transformers" in parts:
            return found | self._branches(estimator, parts["transformers"], depth)
        if "transformer_list" in parts:
            return found | self._children("parallel", parts["transformer_list"], depth)
        return found | self._children("inside", list(_fitted(estimator, parts)), depth)

    def _children(self, arrangement: str, steps: Iterable[Sequence[Any]], depth: int) -> Node:
        steps = list(steps)
        children: list[Node] = []
        for step in steps:
            if depth >= MOST_DEPTH or self._left <= 0:
                break
            children.append(self.node(step[0], step[1], depth + 1))
        found: Node = {"arrangement": arrangement, "children": children} if children else {}
        if len(children) < len(steps):
            found["more_children"] = len(steps) - len(children)
        return found

    def _branches(self, estimator: Any, transformers: Any, depth: int) -> Node:
        """Return the branches of a ColumnTransformer with their columns; one is what becomes of the other columns."""
        # What a fit makes of "passthrough" is a transformer of scikit-learn's own.
        passed = {step[0] for step in transformers if isinstance(step[1], str)}
        if isinstance(getattr(estimator, "remainder", None), str):
            passed.add("remainder")
        steps = [
            (name, "passthrough" if name in passed and part != "drop" else part, columns)
            for name, part, columns in getattr(estimator, "transformers_", transformers)
            if _has_columns(columns)
        ]
        found = self._children("parallel", steps, depth)
        names = [str(name) for name in getattr(estimator, "feature_names_in_", ())]
        for child, step in zip(found.get("children", ()), steps, strict=False):
            columns = _columns(step[2], names)
            child["columns"] = [_text(column) for column in columns[:MOST_COLUMNS]]
            if len(columns) > MOST_COLUMNS:
                child["more_columns"] = len(columns) - MOST_COLUMNS
        return found


def _fitted(estimator: Any, parts: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield what a meta-estimator works with: what it fitted where that is one for one, else what it was given.

    Source: scikit-learn's names for what is fitted: `best_estimator_` of a search, else the parameter's with `_`.
    """
    for name, value in parts.items():
        fitted = getattr(estimator, f"{name}_", None)
        if not _is_list_of_steps(value):
            best = getattr(estimator, "best_estimator_", None) if name == "estimator" else None
            chosen = next((each for each in (best, fitted) if each is not None and _is_estimator(each)), value)
            yield ("best_estimator" if chosen is best else name), chosen
            continue
        kept = [step for step in value if step[1] != "drop"]
        used = fitted if isinstance(fitted, list) and len(fitted) == len(kept) else [step[1] for step in kept]
        yield from zip([step[0] for step in kept], used, strict=True)


def _parameters(estimator: Any) -> dict[str, Any]:
    ask = getattr(estimator, "get_params", None)
    return {str(name): value for name, value in ask(deep=False).items()} if callable(ask) else {}


def _changed(estimator: Any, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters whose values aren't those that the constructor has by default."""
    defaults = inspect.signature(type(estimator)).parameters
    found: dict[str, str] = {}
    for name, value in parameters.items():
        if len(found) == MOST_PARAMETERS:
            break
        default = defaults[name].default if name in defaults else inspect.Parameter.empty
        if value is default:
            continue
        text = _short(value)
        if type(value) is not type(default) or text != _short(default):
            hidden = _PRIVATE_NAME.search(name) is not None or _PRIVATE_VALUE.search(text) is not None
            found[_text(name)] = _HELD_BACK if hidden else text
    return found


def _is_estimator(value: Any) -> bool:
    return hasattr(value, "fit") and not isinstance(value, type)


def _is_step(value: Any) -> bool:
    # An author's own class may have no more than the one method that is called here.
    return value in _NOTHING if isinstance(value, str) else any(hasattr(value, each) for each in _METHODS)


def _is_list_of_steps(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(each, tuple) and len(each) in (2, 3) and isinstance(each[0], str) for each in value)
        and any(_is_step(each[1]) for each in value)
    )


def _has_columns(columns: Any) -> bool:
    return not hasattr(columns, "__len__") or isinstance(columns, str) or len(columns) > 0


def _columns(columns: Any, names: Sequence[str]) -> list[str]:
    if names:
        return resolve(columns, names)
    # Of an array, whose columns have no names.
    if isinstance(columns, slice):
        return [":".join("" if end is None else str(end) for end in (columns.start, columns.stop))]
    items = list(columns) if hasattr(columns, "__iter__") and not isinstance(columns, str) else [columns]
    chosen = [i for i, each in enumerate(items) if each] if all(map(_is_flag, items)) else items
    return [str(each) for each in chosen]


def _is_flag(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_")


def _text(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _short(value: Any) -> str:
    return _text(" ".join(_spell.repr(value).split()))


class _Spelling(reprlib.Repr):
    """`repr` of Python's own types, in short; of all others nothing but the name: theirs may be long, slow or raise."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = LONGEST
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 8

    def repr1(self, x: Any, level: int) -> str:
        kind = type(x)
        if kind.__module__ == "numpy":
            shape = getattr(x, "shape", None)
            if shape:
                return f"{kind.__name__} of shape {shape}"
            if shape == ():
                return self.repr1(x.item(), level)
        if kind in (bool, int, float, complex, type(None), str, bytes, list, tuple, set, frozenset, dict, range):
            return super().repr1(x, level)
        if kind is slice:
            return repr(x)
        if isinstance(x, type) or inspect.isroutine(x):
            return str(getattr(x, "__qualname__", kind.__name__))
        return f"{kind.__name__}(…)"


_spell = _Spelling()
