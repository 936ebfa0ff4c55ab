"""What the tests of the stage cache share: one installation of the packages, and labs with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cache.lab import Lab
from tests.phases.providers import bare
from tests.support.phases import Phases
from tests.support.pythons import link_tree, this_python, wheelhouse
from tests.support.repositories import classifier_repository

PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib", "cloudpickle", "pandas", "pyarrow")
LabMaker = Callable[..., Lab]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Phases:
    """Return a platform whose tools, kernel, service and packages are in place."""
    root = tmp_path_factory.mktemp("installed")
    repository = classifier_repository(root / "repository")
    (repository / "requirements.txt").write_text("".join(f"{name}\n" for name in PACKAGES))
    python = this_python()
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse(python, PACKAGES))}
    phases = Phases(root / "platform", repository, provider=bare(python), env=env)
    built = phases.build()
    assert built.exit_code == 0, built.output
    return phases


@pytest.fixture(scope="session")
def make_lab(tmp_path_factory: pytest.TempPathFactory, installed: Phases) -> LabMaker:
    """Return a function that builds a repository cold on a platform of its own."""

    def make(repository: Path, env: Mapping[str, str] | None = None) -> Lab:
        root = tmp_path_factory.mktemp("lab")
        phases = Phases(root / "platform", repository, provider=installed.provider, env=dict(env or {}))
        (repository / "requirements.txt").write_text("".join(f"{name}\n" for name in PACKAGES))
        phases.set_env({file.name: file.read_text() for file in (installed.platform / "env").iterdir()})
        phases.set_env(env or {})
        for name in ("tools", "kernel", "scorer", "packages"):
            link_tree(installed.kept_layer(name), phases.store.kept / name)
            phases.store.layers[name] = installed.store.layers[name]
        return Lab(phases, repository)

    return make
