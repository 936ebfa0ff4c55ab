"""The image of `examples/spam`, built as the README says: once for all processes of a run."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import uuid
from pathlib import Path

from tests.support.pack import PREFIX, Platform, cache, remove_images
from tests.support.pythons import CACHE, ROOT

NOTEBOOKS = "01-features.ipynb,02-model.ipynb"
IMAGE = f"{PREFIX}-shared-spam"
"""Also the name of the cache of its build."""
REQUIREMENTS = (ROOT / "examples/spam/requirements.txt").read_text(encoding="utf-8").splitlines()
"""Repositories with these find their packages in a copy of that cache."""
_STAMP = CACHE / "shared-spam"
_RUN = "NACHLASS_TEST_RUN"


def build(machine: Platform, image: str, directory: Path) -> str:
    """Build an image of the example, with a cache of the image's name, and return the log."""
    repository = directory / "spam"
    shutil.copytree(ROOT / "examples/spam", repository)
    (repository / "project.toml").unlink(missing_ok=True)  # The variable is what everybody can set.
    done = machine.pack(*_readme_command(image), "--path", repository, *machine.options, *cache(image))
    assert done.exit_code == 0, done.output
    return done.output


def begin_run() -> None:
    """Say that a test run begins: to this process, and to those that it starts."""
    os.environ[_RUN] = uuid.uuid4().hex


def shared(machine: Platform, directory: Path) -> str:
    """Return the image that all processes of a test run share, with a cache of the same name; nobody may change it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _STAMP.open("a+") as stamp:
        fcntl.flock(stamp, fcntl.LOCK_EX)
        if not _is_of_this_run():
            remove_images(IMAGE)
            build(machine, IMAGE, directory)
            stamp.truncate(0)
            stamp.write(os.environ[_RUN])
    return IMAGE


def end_run() -> None:
    """Remove what was shared, if this run has made it: one that it has started may end earlier."""
    if _is_of_this_run():
        _STAMP.unlink()
        remove_images(IMAGE)


def _is_of_this_run() -> bool:
    return _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == os.environ[_RUN]


def _readme_command(image: str) -> list[str]:
    """Return the words after `pack` that the README has for a repository like this one, with another name."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"^pack (build my-model (?:[^\n]*\\\n)*[^\n]*)$", text, re.MULTILINE)
    assert found
    words = shlex.split(found[1].replace("\\\n", " "))
    assert f"NACHLASS_NOTEBOOKS={NOTEBOOKS}" in words
    return [image if word == "my-model" else word for word in words]
