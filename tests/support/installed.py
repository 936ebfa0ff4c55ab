"""A platform whose tools, kernel, service and packages are in place, and others that find all of it installed."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.phases.providers import bare
from tests.support.phases import Phases
from tests.support.pythons import MODEL_REQUIREMENTS, locked, this_python, wheelhouse
from tests.support.repositories import REQUIREMENTS, classifier_repository
from tests.support.trees import link_tree

LARGE = ("tools", "kernel", "scorer", "packages")
"""The layers that an installation fills."""
DATA_PACKAGES = (*MODEL_REQUIREMENTS, "pandas", "pyarrow")
"""What scikit-learn imports if it is there, which takes as long again: only for who needs it."""


def install(root: Path, packages: Sequence[str] = REQUIREMENTS) -> Phases:
    """Return a platform whose tools, kernel, service and packages are in place."""
    repository = classifier_repository(root / "repository")
    (repository / "requirements.txt").write_text("".join(f"{name}\n" for name in packages))
    python, others = this_python(), [name for name in packages if name not in MODEL_REQUIREMENTS]
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse(python, [*MODEL_REQUIREMENTS, *others]))}
    phases = Phases(root / "platform", repository, provider=bare(python), env=env)
    built = phases.build()
    assert built.exit_code == 0, built.output
    return phases


def installed_once(temporary: pytest.TempPathFactory) -> Phases:
    """Return the platform that all processes of a test run share; nobody builds on it."""
    own = temporary.getbasetemp()
    directory = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "installed"
    file = directory / "phases.pickle"
    with locked(directory.with_suffix(".lock")):
        if not file.exists():
            shutil.rmtree(directory, ignore_errors=True)
            file.write_bytes(pickle.dumps(install(directory)))
    phases: Phases = pickle.loads(file.read_bytes())
    return phases


def platform_like(
    installed: Phases, root: Path, repository: Path, env: Mapping[str, str], *, kind: type[Phases] = Phases
) -> Phases:
    """Return a platform of its own for `repository`, which finds everything installed; `env` is its user's."""
    shutil.copyfile(installed.repository / "requirements.txt", repository / "requirements.txt")
    phases = kind(root, repository, provider=installed.provider, env=env)
    phases.set_env({file.name: file.read_text() for file in (installed.platform / "env").iterdir()})
    phases.set_env(env)
    for name in LARGE:
        link_tree(installed.kept_layer(name), phases.store.kept / name)
        phases.store.layers[name] = installed.store.layers[name]
    return phases
