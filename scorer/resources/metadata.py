from __future__ import annotations

import dataclasses
from typing import Any

from ..encode import dump
from ..manifest import Manifest
from .respond import send


class Metadata:
    """`GET /metadata`: what was trained, from what, and what it takes; nothing of the machine that it runs on."""

    def __init__(self, manifest: Manifest, provenance: Any) -> None:
        # Once, not for each request: the provenance of a model of ten thousand files is a megabyte.
        self._body = dump({**describe(manifest), "provenance": provenance})

    async def on_get(self, _req: Any, resp: Any) -> None:
        """Answer with the facts."""
        send(resp, self._body)


def describe(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest's facts without the paths of this machine."""
    model = manifest.model
    assert model is not None
    return {
        "name": manifest.name,
        "nachlass": manifest.nachlass_version,
        "task": model.task,
        "classes": list(model.classes),
        "input": dataclasses.asdict(model.input),
        "merging": None if model.merging is None else dataclasses.asdict(model.merging),
        "sample_shape": list(model.sample_shape),
        "example": model.example,
        "example_is_real": model.example_is_real,
        "stages": [
            {
                "name": stage.name,
                "notebook": stage.notebook,
                "estimator": stage.estimator,
                "format": stage.format,
                "sha256": stage.sha256,
                "size_bytes": stage.size_bytes,
                "versions": dict(stage.versions),
            }
            for stage in manifest.stages
        ],
        "python": {
            "implementation": manifest.interpreter.implementation,
            "version": manifest.interpreter.version,
            "abi": manifest.interpreter.abi,
        },
        "versions": dict(manifest.versions),
    }
