"""What the tests of the stage cache share: one installation of the packages, and labs with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cache.lab import Lab
from tests.support.installed import installed_once, platform_like
from tests.support.phases import Phases

LabMaker = Callable[..., Lab]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Phases:
    """Return a platform whose tools, kernel, service and packages are in place."""
    return installed_once(tmp_path_factory)


@pytest.fixture(scope="session")
def make_lab(tmp_path_factory: pytest.TempPathFactory, installed: Phases) -> LabMaker:
    """Return a function that builds a repository cold on a platform of its own."""

    def make(repository: Path, env: Mapping[str, str] | None = None) -> Lab:
        root = tmp_path_factory.mktemp("lab")
        return Lab(platform_like(installed, root / "platform", repository, env or {}), repository)

    return make
