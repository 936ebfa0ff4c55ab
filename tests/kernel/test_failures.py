"""What the kernel tells about a cell that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kernel.user_kernel import UserKernel


def describe(kernel: UserKernel, cell: str) -> dict[str, Any]:
    outcome = kernel.run(cell)
    assert outcome.error
    answer: dict[str, Any] = kernel.ask("describe_error()")
    return answer


@pytest.mark.parametrize(
    ("cell", "line", "number"),
    [
        ("a = 1\na / 0", "a / 0", 2),
        ("\n\n\na = 1\na / 0\nb = 2", "a / 0", 5),
        ("def f(x):\n    return 1 / x\n\nf(0)", "return 1 / x", 2),
        ("%%time\nx = 1\nx / 0", "x / 0", 3),
        ("import json\njson.loads('{')", "json.loads('{')", 2),
        ("x = 1\nif x\n    pass", "if x", 2),
        ("int(\n    'a'\n)", "int(", 1),
    ],
    ids=["second line", "blank lines first", "function", "timed", "library", "syntax", "several lines"],
)
def test_failing_line_is_the_cells(bare_kernel: UserKernel, cell: str, line: str, number: int) -> None:
    answer = describe(bare_kernel, cell)
    assert (answer["line"], answer["line_number"]) == (line, number)


def test_failing_line_is_of_this_cell_when_an_earlier_ones_function_raises(bare_kernel: UserKernel) -> None:
    bare_kernel.run("# A comment\n\ndef divide(x):\n    return 1 / x")
    answer = describe(bare_kernel, "y = 0\ndivide(y)")
    assert (answer["line"], answer["line_number"]) == ("divide(y)", 2)


def test_names_of_cells_depend_on_their_source_alone_and_lead_to_it(bare_kernel: UserKernel) -> None:
    for name in ("first", "second"):
        bare_kernel.run(f"def {name}():\n    return 1")
    files = bare_kernel.value("[each.__code__.co_filename for each in (first, second)]")
    assert len(set(files)) == 2
    assert all(file.startswith("/tmp/ipykernel_0/") for file in files)
    bare_kernel.run("x = 5")
    bare_kernel.run("def first():\n    return 1")
    assert bare_kernel.value("first.__code__.co_filename") == files[0]
    assert bare_kernel.value("__import__('inspect').getsource(second)") == "def second():\n    return 1\n"


def test_place_outside_the_cell_is_told(bare_kernel: UserKernel, tree: Path) -> None:
    (tree / "helper.py").write_text("def fail():\n    raise ValueError('no such luck')\n")
    answer = describe(bare_kernel, "import helper\nhelper.fail()")
    assert answer["line"] == "helper.fail()"
    assert (answer["module"], answer["module_line"]) == ("helper", 2)
    assert answer["module_file"] == str(tree / "helper.py")
    assert (answer["type"], answer["message"]) == ("ValueError", "no such luck")


@pytest.mark.parametrize(
    "cell",
    [
        "open('data/absent.csv')",
        "import pathlib; pathlib.Path('data/absent.csv').read_text()",
        "try:\n    open('data/absent.csv')\nexcept OSError as error:\n    raise RuntimeError('no data') from error",
        "try:\n    open('data/absent.csv')\nexcept OSError:\n    {}['x']",
    ],
    ids=["open", "pathlib", "cause", "context"],
)
def test_missing_file_is_named_with_its_whole_path(bare_kernel: UserKernel, tree: Path, cell: str) -> None:
    answer = describe(bare_kernel, cell)
    assert answer["filename"] == str(tree / "data" / "absent.csv")
    assert answer["dvc"] is False


def test_error_without_a_missing_file_names_none(bare_kernel: UserKernel) -> None:
    assert describe(bare_kernel, "1 / 0")["filename"] is None


@pytest.mark.parametrize("pointer", ["tracked/x.csv.dvc", "tracked.dvc"])
def test_missing_file_that_dvc_has_is_recognised(bare_kernel: UserKernel, tree: Path, pointer: str) -> None:
    (tree / "tracked").mkdir(exist_ok=True)
    (tree / pointer).write_text("outs:\n- path: x.csv\n")
    answer = describe(bare_kernel, "open('tracked/x.csv')")
    (tree / pointer).unlink()
    assert answer["dvc"] is True


def test_exception_that_was_handled_long_ago_is_not_reported(tree: Path, bare_kernel: UserKernel) -> None:
    assert tree.is_dir()
    bare_kernel.run("try:\n    open('other.csv')\nexcept OSError:\n    pass")
    assert describe(bare_kernel, "raise ValueError(1)")["filename"] is None
