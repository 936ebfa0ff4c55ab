"""Values that replace a notebook's own: read from the settings, put into a cell as papermill does.

Source: papermill 2.7, `parameterize_notebook`, `_resolve_type` and `PythonTranslator`.
"""

from __future__ import annotations

import ast
import copy
import difflib
import json
import keyword
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nbformat

from nachlass_bp.output import Output

if TYPE_CHECKING:  # They read this module's values, and say how.
    from nachlass_bp.config import Setting
    from nachlass_bp.notebooks import Notebook

TAG = "parameters"
VARIABLE = "NACHLASS_PARAMETERS"
INJECTED_TAG = "injected-parameters"
_CELL_ID = "nachlass-parameters"
_NOT_PYTHON = re.compile(r"\s*[%!?]")
_PART = re.compile(
    r"""\s*(?P<name>[^=,]*?)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>(?!["'])[^,]*))\s*(?:,|\Z)"""
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameters:
    """`shared` are those of every listed notebook; `own` those of one, by its name, which win."""

    shared: Mapping[str, object] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def over(self, other: Parameters) -> Parameters:
        """Return both; where both have a value for a notebook, the one of `self` counts."""
        others = {  # A value for all notebooks of the winning side wins over one for a single notebook of the other.
            name: {key: value for key, value in values.items() if key not in self.shared}
            for name, values in other.own.items()
        }
        names = {*self.own, *others}
        return Parameters(
            shared={**other.shared, **self.shared},
            own={name: {**others.get(name, {}), **self.own.get(name, {})} for name in sorted(names)},
        )

    def of(self, notebook: str) -> dict[str, object]:
        """Return the values for one notebook, were it the only one."""
        return {**self.shared, **self.own.get(notebook, {})}

    def given(self, contents: Mapping[str, Any]) -> dict[str, dict[str, object]]:
        """Return the values for each of the listed notebooks, of which `contents` has the nbformat.

        One for all goes to those whose cell of parameters assigns its name; to all of them, if none does.
        """
        assigned: dict[str, set[str]] = {
            notebook: assigned_names(content) or set() for notebook, content in contents.items()
        }
        expected = {name for names in assigned.values() for name in names}
        return {
            notebook: {
                **{name: value for name, value in self.shared.items() if name in names or name not in expected},
                **self.own.get(notebook, {}),
            }
            for notebook, names in assigned.items()
        }


class NoValueError(ValueError):
    """A name stands there without a value; its text is for the author."""


def parse(value: object) -> Parameters:
    """Read `a=1,b="x,y"`, a JSON object, or the table of pyproject.toml.

    Raises:
        ValueError, TypeError: It is none of these, or a name can't be a variable's; the text says which.
    """
    if isinstance(value, str):
        if value.strip().startswith("{"):
            value = json.loads(value)
        else:
            return Parameters(shared=_checked(dict(_assignments(value))))
    if not isinstance(value, dict):
        raise TypeError(value)
    own = {name: values for name, values in value.items() if _names_a_notebook(name, values)}
    shared = {name: each for name, each in value.items() if name not in own}
    return Parameters(shared=_checked(shared), own={os.path.normpath(name): _checked(own[name]) for name in own})


def _names_a_notebook(name: str, value: object) -> bool:
    # A value may be a table, too, but only under the name of a variable.
    return isinstance(value, dict) and not name.isidentifier()


def _checked(values: Mapping[str, object]) -> dict[str, object]:
    for name in values:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{name!r} can't be the name of a variable")
    return dict(values)


def _assignments(text: str) -> Iterator[tuple[str, object]]:
    position = 0
    while position < len(text.rstrip()):
        match = _PART.match(text, position)
        if match is None:
            part = text[position:].partition(",")[0].strip()
            if part.isidentifier():
                raise NoValueError(f"'{part}' has no value there; a value is given as {part}=VALUE.")
            raise ValueError(f"there is no name and value in {text[position:].strip()!r}")
        quoted = match["double"] if match["double"] is not None else match["single"]
        yield match["name"], quoted if quoted is not None else infer(match["plain"].strip())
        position = match.end()


def infer(text: str) -> object:
    """Return the value that papermill takes a text for: True, False, None, an int, a float, else the text."""
    if text in {"True", "False", "None"}:
        return {"True": True, "False": False, "None": None}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def literal(value: object) -> str:
    """Return Python source for a value of TOML or JSON; what Python has no literal for, such as dates, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(literal(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {literal(each)}' for key, each in value.items())}}}"
    return repr(str(value))


def canonical(values: Mapping[str, object]) -> str:
    """Return a text that two sets of values share only if notebooks can't tell them apart; "" for none."""
    return json.dumps(sorted((name, literal(value)) for name, value in values.items())) if values else ""


def has_place(content: Any) -> bool:
    """Whether a notebook says where its parameters are."""
    return any(_is_tagged(cell, TAG) or _is_tagged(cell, INJECTED_TAG) for cell in content.cells)


def assigned_names(content: Any) -> set[str] | None:
    """Return the names that a notebook's cell of parameters assigns, None if it has none or it can't be read."""
    place = _first(content.cells, TAG)
    place = _first(content.cells, INJECTED_TAG) if place is None else place
    if place is None:
        return None
    source = "\n".join("" if _NOT_PYTHON.match(line) else line for line in content.cells[place].source.splitlines())
    try:
        nodes = [*ast.walk(ast.parse(source))]
    except (SyntaxError, ValueError):
        return None
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def injected(content: Any, values: Mapping[str, object]) -> Any:
    """Return a notebook with the values in a cell of their own; itself when there are none.

    The cell replaces one that an earlier run has injected, or follows the first that is tagged `parameters`, or comes
    first of all.
    """
    if not values:
        return content
    source = "# Parameters\n" + "\n".join(f"{name} = {literal(value)}" for name, value in values.items())
    cell: Any = nbformat.v4.new_code_cell(source, id=_CELL_ID, metadata={"tags": [INJECTED_TAG]})  # type: ignore[no-untyped-call]  # nbformat is half typed
    if (content.nbformat, content.nbformat_minor) < (4, 5):
        del cell["id"]  # Unknown there.
    changed = copy.copy(content)
    cells = list(content.cells)
    old = _first(cells, INJECTED_TAG)
    own = _first(cells, TAG)
    if old is not None:
        cells[old] = cell
    else:
        cells.insert(0 if own is None else own + 1, cell)
    changed.cells = cells
    return changed


def _first(cells: list[Any], tag: str) -> int | None:
    return next((index for index, cell in enumerate(cells) if _is_tagged(cell, tag)), None)


def _is_tagged(cell: Any, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def say(setting: Setting[Parameters], notebooks: Sequence[Notebook], output: Output) -> None:
    """Name the parameters, and the notebooks that don't expect any; values may be nobody's business but theirs."""
    if setting.value == Parameters():
        return
    output.step(f"Parameters ({setting.source}):")
    given = {each.name: each.parameters for each in notebooks}
    for notebook, values in given.items():
        if values:
            output.detail(f"{notebook}: {', '.join(values)}")
    without = {each.name: each.parameters for each in notebooks if each.parameters and not has_place(each.content)}
    if without:
        names = {name for values in without.values() for name in values}
        is_one = len(without) == 1
        output.warning(
            f"{', '.join(without)} {'has' if is_one else 'have'} no cell tagged '{TAG}': "
            f"{', '.join(sorted(names))} {'is' if len(names) == 1 else 'are'} set at the top"
        )
    for each in {each.name: each for each in notebooks}.values():
        for name, near in _unexpected(each):
            guess = f"; did you mean {near}?" if near else ""
            output.warning(
                f"{each.name}: its cell tagged '{TAG}' doesn't assign {name}, which is set all the same{guess}"
            )


def _unexpected(notebook: Notebook) -> Iterator[tuple[str, str | None]]:
    """Yield the parameters that the notebook's cell of parameters doesn't assign, and what may have been meant."""
    assigned = assigned_names(notebook.content)
    for name in notebook.parameters:
        if assigned is not None and name not in assigned:
            near = difflib.get_close_matches(name, sorted(assigned), n=1, cutoff=0.6)
            yield name, near[0] if near else None
