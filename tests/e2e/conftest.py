"""What tests with real pack and docker share: a machine with the Debian builder, and names that are cleared away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import spam as spams
from tests.support.pack import PREFIX, Platform, platform, remove_images


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Return a machine with pack and the builder."""
    return platform(tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def name(request: pytest.FixtureRequest, machine: Platform) -> Iterator[str]:
    """Yield the beginning of the names of this file's images; they are gone before and after."""
    del machine  # It skips where there is no engine.
    prefix = f"{PREFIX}-{Path(request.node.name).stem.removeprefix('test_')}".replace("_", "-")
    remove_images(prefix)
    yield prefix
    remove_images(prefix)


@pytest.fixture(scope="session")
def spam(machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the name of an image of `examples/spam`, and of its cache, which nobody may change."""
    return spams.shared(machine, tmp_path_factory.mktemp("shared"))
