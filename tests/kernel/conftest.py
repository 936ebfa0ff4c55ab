"""One kernel with scikit-learn for all tests that only look at what a notebook did in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.user_kernel import UserKernel, user_environment, user_kernel
from tests.support.pythons import this_python


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tree")


@pytest.fixture(scope="module")
def bare_kernel(tree: Path) -> Iterator[UserKernel]:
    with user_kernel(user_environment(this_python(), []), tree) as kernel:
        yield kernel


@pytest.fixture(scope="session")
def data_python() -> Path:
    return user_environment(this_python(), ["scikit-learn", "pandas", "cloudpickle"])
