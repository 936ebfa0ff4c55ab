"""Keeping the previous image's model where the platform has no cache: all is as it was, or the notebooks run.

The metadata of the `stages` layer comes back even then, and nothing else. So one digest in it stands for the whole
repository, the environment and the settings, and it is only there when no run looked at anything else: otherwise the
reason stands in its place. The facts that the lifecycle forgets (labels) are in it, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from nachlass_bp import reuse, self_contained
from nachlass_bp.cache.digests import Digester
from nachlass_bp.cache.key import code_digest, key_of
from nachlass_bp.cache.trace import digest_of
from nachlass_bp.cache.view import View
from nachlass_bp.config import Configuration
from nachlass_bp.layers import stage_store, stages
from nachlass_bp.layers.stages import Plan
from nachlass_bp.notebooks import Notebook
from nachlass_bp.provenance import Run
from nachlass_bp.reuse import LARGEST_METADATA_BYTES, Facts
from nachlass_bp.room import Room

_WHOLE, _MISSING, _FACTS, _SYSTEM = "whole", "whole_missing", "facts", "system_files"
_NOT_OF_THE_MODEL = frozenset({"cache", "cache_max_bytes", "upgrade", "commit", "parameters", "memory_limit_bytes"})
"""Settings that decide how a build goes, and not what comes out; parameters are in the notebooks' keys."""
_LONGEST_REASON = 300
_SPARE_BYTES = 200


class PreviousImage:
    """The model of the previous image as its metadata tells of it, against what this build would make."""

    def __init__(
        self,
        room: Room,
        configuration: Configuration,
        to_run: Sequence[Notebook],
        secrets: Sequence[str],
        plan: Plan,
        metadata: Mapping[str, Any],
    ) -> None:
        self.metadata = metadata
        self._room = room
        self._configuration = configuration
        self._to_run = to_run
        self._secrets = sorted(secrets)
        self._plan = plan
        self._layer = stages.layer(room.context)
        self._view = View(room.context.app_dir, self._layer.path / stages.TREE, Digester())

    def keep(self) -> Facts | None:
        """Leave the layer to the previous image and return what to say of it; None where the notebooks have to run."""
        if not self.metadata or not self._applies():
            return None
        output = self._room.output
        output.heading("Previous image")
        facts = self._facts()
        if isinstance(facts, str):
            output.step(f"There is no stage cache, and the previous image's model can't be kept: {facts}")
            return None
        for notebook in self._to_run:
            output.step(f"{notebook.name}: reused (in the previous image)")
        output.step(
            "Keeping the model of the previous image: nothing of the repository, its packages or settings has changed"
        )
        self.declare(self.metadata.get("inputs"))
        if not self._layer.sbom.exists():
            output.warning("The platform didn't restore the model's bill of materials, so the new image has none.")
        return facts

    def declare(self, inputs: str | None) -> None:
        """Declare the layer without contents; what was said of it for builds without a cache goes on being true."""
        told = {
            name: str(self.metadata[name]) for name in (_WHOLE, _MISSING, _FACTS, _SYSTEM) if self.metadata.get(name)
        }
        self._layer.discard()
        self._layer.declare(reuse.metadata(self.metadata["key"], inputs, told))

    def describe(self, runs: Sequence[Run], facts: Facts, metadata: Mapping[str, str | int]) -> dict[str, str]:
        """Return what a new layer's metadata has to say besides `metadata`, so that a later build may keep it."""
        build = self_contained.Build(
            context=self._room.context,
            configuration=self._configuration,
            to_run=self._to_run,
            secrets=self._secrets,
            view=self._view,
        )
        if reason := self_contained.why_not(runs, build):
            return {_MISSING: reason[:_LONGEST_REASON]}
        told = _json({"labels": dict(facts.labels), "lines": list(facts.lines)})
        system = self_contained.system_files(run.trace for run in runs if run.trace is not None)
        described = {_WHOLE: self._digest(system), _FACTS: told, _SYSTEM: _json(system)}
        if len(json.dumps({**metadata, **described})) + _SPARE_BYTES > LARGEST_METADATA_BYTES:
            return {_MISSING: "its notebooks are too many to be described in an image's metadata"}
        return described

    def _applies(self) -> bool:
        """Whether there is no cache to ask, in a build that may reuse and of which nothing but an image is wanted."""
        context = self._room.context
        is_off = self._configuration.cache.value == "off"
        return not is_off and context.report_dir is None and not stage_store.is_there(context)

    def _facts(self) -> Facts | str:
        """Return what to say of the previous image's layer, or why the notebooks run."""
        if not self.metadata.get(_WHOLE):
            return str(self.metadata.get(_MISSING) or "another version of nachlass made it")
        try:
            if self.metadata[_WHOLE] != self._digest(json.loads(self.metadata[_SYSTEM])):
                return "the repository, its packages or the settings have changed"
            facts = json.loads(self.metadata[_FACTS])
            return Facts(labels=facts["labels"], lines=facts["lines"])
        except (ValueError, KeyError, TypeError):
            return "what its metadata says is damaged"

    def _digest(self, system: Sequence[str]) -> str:
        """Return the digest of everything that a model is made from: one for all, so that no part can be guessed."""
        digester = Digester()
        context, plan = self._room.context, self._plan
        # Where the image has their pages, their text counts, too.
        is_shown = self._configuration.publish_notebooks.value != "off"
        code = {} if is_shown else {notebook.name: code_digest(notebook) for notebook in self._to_run}
        tree = [path for path in self._view.walk() if not self_contained.is_of_git(path)]
        return digest_of(
            {
                "tree": [(path, code.get(path) or self._view.entry(path)) for path in tree],
                "notebooks": [self._key(each) for each in self._to_run],
                "settings": {
                    field.name: str(getattr(self._configuration, field.name).value)
                    for field in fields(self._configuration)
                    if field.name not in _NOT_OF_THE_MODEL
                },
                "names": [self_contained.chosen_variables(context), self._secrets],
                "target": context.target,
                "system": [(path, digester.entry(os.path.realpath(path))) for path in sorted({*system})],
                "service": [self._room.service.key, plan.nachlass_version, plan.name],
                "launch": [asdict(plan.launch), asdict(plan.interpreter), dict(plan.versions)],
            }
        )

    def _key(self, notebook: Notebook) -> Mapping[str, str]:
        lock = self._room.context.buildpack_dir / "locks" / "kernel.txt"
        # Parameters that a variable gives are in no image's metadata (`self_contained`); others are in the repository.
        settings = self._configuration
        return asdict(
            key_of(
                notebook,
                self._room.user,
                lock,
                offline=settings.offline.value,
                seed=settings.seed.value,
                keyed=digest_of,
            )
        )


def _json(value: object) -> str:
    # DEL is the one character that JSON has as it is and TOML hasn't.
    return json.dumps(value).replace("\x7f", "\\u007f")
