"""One platform for all cases that differ only in the repository: its cache makes a build a few seconds long."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.installed import installed_once, platform_like
from tests.support.phases import Built, Phases
from tests.support.pythons import this_python, wheelhouse
from tests.support.repositories import classifier_repository


class Workshop:
    """Builds one repository after another with the same cached tools, kernel and packages."""

    def __init__(self, phases: Phases) -> None:
        self.phases = phases
        self._usual_env = {file.name: file.read_text() for file in (phases.platform / "env").iterdir()}

    def prepare(
        self,
        repository: Path,
        env: Mapping[str, str] | None = None,
        bindings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Phases:
        """Set the platform up for a repository; nothing of an earlier test's settings is left."""
        for directory in (self.phases.platform / "env", self.phases.platform / "bindings", self.report):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
        self.phases.set_env({**self._usual_env, "NACHLASS_REPORT_DIR": str(self.report), **(env or {})})
        for name, content in (bindings or {}).items():
            self.phases.add_binding(name, content)
        self.phases.repository = repository
        return self.phases

    def build(
        self,
        repository: Path,
        env: Mapping[str, str] | None = None,
        bindings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Built:
        """Build a repository; `env` is what its user sets."""
        return self.prepare(repository, env, bindings).build()

    @property
    def report(self) -> Path:
        """Where the build leaves what a platform may show."""
        return self.phases.root / "report"


@pytest.fixture(scope="session")
def offline() -> dict[str, str]:
    """Return what a platform's user sets to install from a directory of wheels instead of a package index."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheelhouse(this_python()))}


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    root = tmp_path_factory.mktemp("workshop")
    phases = platform_like(installed_once(tmp_path_factory), root / "platform", classifier_repository(root / "r"), {})
    built = phases.build()
    assert built.exit_code == 0, built.output
    return Workshop(phases)
