"""A git-lfs pointer is not read as if it were the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.user_kernel import UserKernel

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@pytest.fixture
def pointer(tree: Path) -> Path:
    path = tree / "data" / "x.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(POINTER)
    return path


@pytest.mark.parametrize(
    "cell",
    [
        "open('data/x.csv')",
        "import pathlib; pathlib.Path('data/x.csv').read_bytes()",
        "import os; os.open('data/x.csv', os.O_RDONLY)",
        "import csv, os; open(os.path.abspath('data/x.csv'), 'rb')",
        "try:\n    open('data/x.csv')\nexcept OSError:\n    data = 'a substitute'",
    ],
)
def test_reading_a_pointer_fails_in_words(bare_kernel: UserKernel, pointer: Path, cell: str) -> None:
    assert pointer.exists()
    outcome = bare_kernel.run(cell)
    assert outcome.error == "GitLfsPointerError: data/x.csv is a git-lfs pointer, not the data"


def test_pointer_can_be_replaced_by_data(bare_kernel: UserKernel, pointer: Path) -> None:
    outcome = bare_kernel.run("with open('data/x.csv', 'w') as f: f.write('a,b')\nprint(open('data/x.csv').read())")
    assert outcome.error == ""
    assert outcome.printed == "a,b\n"
    assert pointer.read_text() == "a,b"


def test_pointer_outside_the_tree_is_nobodys_data(bare_kernel: UserKernel, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(POINTER)
    assert bare_kernel.run(f"open({str(path)!r}).close()").error == ""
