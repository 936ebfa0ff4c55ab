"""What decides whether a notebook is reused: for the build, and for those who ask what the next build would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nachlass_bp import provenance
from nachlass_bp.cache.compare import World
from nachlass_bp.cache.digests import Digester
from nachlass_bp.cache.key import code_digest, key_of, packages_of
from nachlass_bp.cache.store import Store
from nachlass_bp.cache.terms import Terms
from nachlass_bp.cache.trace import Key
from nachlass_bp.cache.view import View
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.hidden import Hidden
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import packages
from nachlass_bp.notebooks import Notebook
from nachlass_bp.runner.kernel import visible_variables

OFF = "the cache is off"
"""Why a notebook runs that nobody asks about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One build's list, settings, Python and secrets; what earlier notebooks leave comes by the view."""

    context: BuildContext
    configuration: Configuration
    to_run: Sequence[Notebook]
    user: Interpreter
    secrets: Mapping[str, str]

    def key(self, notebook: Notebook, keyed: Callable[[str], str]) -> Key:
        """Return what the notebook is now; `keyed` is the store's `keyed_digest`."""
        return key_of(
            notebook,
            self.user,
            self.context.buildpack_dir / "locks" / "kernel.txt",
            offline=self.configuration.offline.value,
            seed=self.configuration.seed.value,
            keyed=keyed,
        )

    @property
    def private_directories(self) -> Sequence[str]:
        """The directories of which no record says anything."""
        return provenance.private_directories(self.context.platform_dir, self.context.bindings_dir)

    def digester(self, store: Store) -> Digester:
        """Return what digests for this build: of files that hold secrets, nobody without the store may guess more."""
        context, hidden = self.context, Hidden(self.secrets)
        private = self.private_directories
        of_repository = f"{context.app_dir}/"

        def is_secret(path: str) -> bool:
            if path.startswith(of_repository):  # It is in the image as it is, whatever its digest tells.
                return False
            if provenance.is_private(path, private):
                return True
            try:
                return hidden.in_file(path) is not None
            except OSError:
                return True

        return Digester(is_secret, store.keyed_digest)

    def world(self, store: Store, view: View, digester: Digester) -> World:
        """Return what a run would find: `view` is the tree at this point of the list."""
        return World(
            view=view,
            env=visible_variables(packages.user_environment(self.context.env, self.user), self.secrets),
            keyed=store.keyed_digest,
            digester=digester,
            code={notebook.name: code_digest(notebook) for notebook in self.to_run},
            packages=packages_of(self.user),
        )

    def terms(self, notebook: Notebook) -> Terms:
        """Return on which terms a run of the notebook is reused: those of now, whatever they were when it ran."""
        settings = self.configuration
        return Terms(
            is_network_stable=settings.assume_stable_network.value or notebook.options.network == "stable",
            whole="NACHLASS_CACHE=conservative" if settings.cache.value == "conservative" else None,
        )

    def forced_reason(self, notebook: Notebook) -> str | None:
        """Return why the notebook runs whatever its earlier runs say, None if nobody wants that."""
        if notebook.name in self.configuration.always_run.value:
            return f"{self.configuration.always_run.source} names it"
        return "its metadata says always_run" if notebook.options.always_run else None
