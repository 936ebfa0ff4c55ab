"""The service's description of itself: OpenAPI 3.1 with the model's own columns and labels, in each protocol.

Source: OpenAPI Specification 3.1.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..manifest import Manifest
from ..protocols.names import Names
from . import kserve, mlflow, native
from .parts import Document
from .schemas import schemas
from .security import guarded

__all__ = ["Document", "document", "guarded"]


def document(
    manifest: Manifest,
    names: Names,
    *,
    is_strict: bool,
    has_notebooks: bool,
    binary: Sequence[str],
    routes: Mapping[str, str],
) -> Document:
    """Return the whole description.

    Args:
        manifest: Of a finished build.
        names: How the model is called.
        is_strict: Whether columns that the model doesn't know are refused.
        has_notebooks: Whether the notebooks are published.
        binary: The media types of `/invocations` that are bytes.
        routes: Paths that are chosen by settings: `predict` and `health`, where they are set.
    """
    model = manifest.model
    assert model is not None
    count, version = len(manifest.stages), manifest.nachlass_version
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.name,
            "version": manifest.version,
            "description": f"A scikit-learn pipeline ({model.task.replace('_', ' ')}) trained by "
            f"{count} notebook{'s' if count > 1 else ''}, served by nachlass {version}.",
        },
        "paths": {
            **native.paths(model, has_notebooks=has_notebooks),
            **mlflow.paths(model, version, binary),
            **kserve.paths(model, names, version, routes),
        },
        "components": {
            "schemas": {
                **schemas(model, is_strict=is_strict),
                **native.SCHEMAS,
                **mlflow.SCHEMAS,
                **kserve.schemas(model, names),
            }
        },
    }
