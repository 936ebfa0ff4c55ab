"""What the application serves: one model, ready to predict."""

from __future__ import annotations

import gc
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import diagram
from . import manifest as manifests
from . import model as models
from .diagram import Node
from .errors import StageError
from .manifest import Manifest, ManifestError, Model
from .predictor.answers import prepare_sklearn
from .publication import Published
from .ui import Page

PROVENANCE = "provenance.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """A loaded model and what is known about it; `published` are its notebooks, None when they are not in the image.

    `page` is the one for people, None where it is switched off. `diagram` is what the pipeline looks like, as
    `diagram.draw` has it.
    """

    manifest: Manifest
    model: Model
    pipeline: Any
    diagram: Node
    published: Published | None = None
    page: Page | None = None
    provenance: Any = None
    """The document that the build left beside the manifest, None if there is none."""


def load(path: Path) -> Service:
    """Load the model that the manifest at `path` describes, with every stage verified.

    Raises:
        ManifestError: The manifest can't be read, or is the draft of a build that was not finished.
        StageError: A stage doesn't load.
        OSError: The manifest isn't there.
    """
    manifest = manifests.read(path)
    model = manifests.finished(manifest)
    # Unpickling makes many objects and no garbage: collecting in between only costs time.
    gc.disable()
    try:
        pipeline = models.compose(models.load_stages(manifest, path.parent))
    finally:
        gc.enable()
    if model.input.kind == "frame" or model.input.dtype == "series":
        import pandas  # noqa: F401, ICN001, PLC0415 - once before the fork, not in each worker at its first request.
    prepare_sklearn()
    return Service(
        manifest=manifest,
        model=model,
        pipeline=pipeline,
        diagram=diagram.draw(pipeline),
        provenance=_provenance(path.parent / PROVENANCE),
    )


def describe(error: StageError, path: Path) -> str:
    """Say which stage of the manifest at `path` can't be loaded, and why."""
    where = ""
    if error.stage is not None:
        stage = manifests.read(path).stages[error.stage]
        where = f"Stage {error.stage + 1} ({stage.notebook}): "
    return f"The model can't be served. {where}{error.message}"


def _provenance(file: Path) -> Any:
    """Return the document; the proof runs before there is one."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ManifestError("", f"{file} is not JSON: {error}") from error
