"""The facts of `GET /metadata`."""

from __future__ import annotations

import dataclasses
from typing import Any

from .service import Service


def describe(service: Service) -> dict[str, Any]:
    """Return what was trained, from what, and what it takes; nothing of the machine that it runs on."""
    manifest, model = service.manifest, service.model
    return {
        "name": manifest.name,
        "version": manifest.version,
        "nachlass": manifest.nachlass_version,
        "task": model.task,
        "classes": list(model.classes),
        "outputs": model.outputs,
        "methods": ["predict", *model.methods],
        "input": dataclasses.asdict(model.input),
        "merging": None if model.merging is None else dataclasses.asdict(model.merging),
        "sample_shape": list(model.sample_shape),
        "example": model.example,
        "example_is_real": model.example_is_real,
        "pipeline": service.diagram,
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
        "provenance": service.provenance,
    }
