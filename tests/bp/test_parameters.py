"""Parameters: what a value is taken for, which of two places wins, and where the cell goes."""

from __future__ import annotations

import math
from typing import Any

import nbformat
import pytest

from nachlass_bp import parameters
from nachlass_bp.parameters import Parameters

_v4: Any = nbformat.v4  # Untyped.


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1,b=text", {"a": 1, "b": "text"}),
        ("a = 1.5 , b=1e3,", {"a": 1.5, "b": 1000.0}),
        ("a=True,b=False,c=None,d=true", {"a": True, "b": False, "c": None, "d": "true"}),
        ('a="x,y",b=\'1\',c="True"', {"a": "x,y", "b": "1", "c": "True"}),
        ("a=", {"a": ""}),
        ("a=x=y,b=in the middle", {"a": "x=y", "b": "in the middle"}),
        ("größe=3", {"größe": 3}),
        ('{"a": [1, 2.5, null], "b": {"c": true}}', {"a": [1, 2.5, None], "b": {"c": True}}),
    ],
)
def test_text_is_taken_for_what_papermill_takes_it_for(text: str, values: dict[str, object]) -> None:
    given = parameters.parse(text).shared
    assert given == values
    assert [type(value) for value in given.values()] == [type(value) for value in values.values()]


@pytest.mark.parametrize(
    "value",
    [
        *("a", "1a=2", "class=1", "a b=1", "=1", 'a="x', 'a="x" y', "[1]", '{"a": '),
        *(3, {"not a name": 1}, {"x.ipynb": {"if": 1}}),
    ],
)
def test_what_no_notebook_could_be_given_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        parameters.parse(value)


def test_variable_wins_over_the_file_and_a_notebooks_own_value_over_the_one_for_all() -> None:
    file = parameters.parse({"a": 1, "b": 1, "c": 1, "n/./x.ipynb": {"a": 2, "b": 2}, "y.ipynb": {"d": 2}})
    both = parameters.parse('{"a": 3, "y.ipynb": {"c": 4}}').over(file)
    assert both.of("n/x.ipynb") == {"a": 3, "b": 2, "c": 1}
    assert both.of("y.ipynb") == {"a": 3, "b": 1, "c": 4, "d": 2}
    assert Parameters().over(file) == file


def test_literals_are_the_values() -> None:
    values = {
        "t": 'it\'s "so"\n\\',
        "f": 0.1,
        "i": -(10**20),
        "b": True,
        "n": None,
        "l": [1, {"k": (None, "x")}],
        "d": {},
    }
    namespace: dict[str, Any] = {}
    for name, value in values.items():
        exec(f"{name} = {parameters.literal(value)}", namespace)
    assert {name: namespace[name] for name in values} == {**values, "l": [1, {"k": [None, "x"]}]}
    for value in (float("inf"), float("-inf"), float("nan")):
        found = eval(parameters.literal(value))
        assert math.isnan(found) if math.isnan(value) else found == value


def notebook(*cells: tuple[str, str], minor: int = 5) -> Any:
    made = _v4.new_notebook(
        cells=[_v4.new_code_cell(source, metadata={"tags": [tag]} if tag else {}) for source, tag in cells]
    )
    made.nbformat_minor = minor
    if minor < 5:
        for cell in made.cells:
            del cell["id"]
    return made


@pytest.mark.parametrize(
    ("cells", "place"),
    [
        ([("import os", ""), ("a = 0", "parameters"), ("a = 5", "parameters"), ("a", "")], 2),
        ([("import os", ""), ("a = 0", "")], 0),
        ([("a = 0", "parameters"), ("print()", ""), ("a = 7", "injected-parameters")], 2),
    ],
    ids=["behind the first tagged cell", "at the top", "in place of an injected one"],
)
@pytest.mark.parametrize("minor", [4, 5])
def test_cell_goes_where_papermill_puts_it(cells: list[tuple[str, str]], place: int, minor: int) -> None:
    original = notebook(*cells, minor=minor)
    before = [cell.source for cell in original.cells]
    changed = parameters.injected(original, {"a": 1, "b": "x"})
    assert changed.cells[place].source == "# Parameters\na = 1\nb = 'x'"
    assert changed.cells[place].metadata.tags == ["injected-parameters"]
    rest = [cell.source for cell in changed.cells if cell is not changed.cells[place]]
    assert rest == [source for source, tag in cells if tag != "injected-parameters"]
    nbformat.validate(changed)
    assert [cell.source for cell in original.cells] == before, "the author's own notebook stays as it is"


def test_name_without_a_value_is_told_as_such() -> None:
    with pytest.raises(parameters.NoValueError, match="'n_estimators' has no value there"):
        parameters.parse("C=1, n_estimators ,kind=char")


def test_value_for_all_notebooks_goes_to_those_that_assign_its_name_if_any_does() -> None:
    contents = {
        "prepare.ipynb": notebook(("import os", "")),
        "features.ipynb": notebook(("%matplotlib inline\nsize: int = 1\n(kind, other) = 'a', 2", "parameters")),
        "model.ipynb": notebook(("C = 1.0\nkind = 'b'", "parameters")),
    }
    given = parameters.parse({"kind": "x", "C": 2, "prepare.ipynb": {"size": 3}}).given(contents)
    assert given == {
        "prepare.ipynb": {"size": 3},
        "features.ipynb": {"kind": "x"},
        "model.ipynb": {"kind": "x", "C": 2},
    }
    unknown = parameters.parse("sizes=5,C=2").given(contents)
    assert unknown == {
        "prepare.ipynb": {"sizes": 5},
        "features.ipynb": {"sizes": 5},
        "model.ipynb": {"sizes": 5, "C": 2},
    }
