"""Every test has a home and a cache of its own."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.harness import Nachlass, git, write


@pytest.fixture
def nachlass(tmp_path: Path) -> Iterator[Nachlass]:
    (tmp_path / "home").mkdir()
    command = Nachlass(home=tmp_path / "home")
    yield command
    for process in command.started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A git repository, its path with a space, with one committed and one ignored file."""
    path = tmp_path / "my repo"
    path.mkdir()
    write(path, {".gitignore": "*.csv\n", "train.ipynb": "{}", "stage.txt": "1", "data/rows.csv": "1,2\n"})
    git(path, "init", "--quiet")
    git(path, "add", ".")
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A directory that is no git repository."""
    path = tmp_path / "plain"
    path.mkdir()
    write(path, {"train.ipynb": "{}", "rows.csv": "1\n", ".hidden/secret": "s", ".env": "s"})
    return path
