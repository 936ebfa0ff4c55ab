"""The `notebooks` layer: the notebooks as pages, when NACHLASS_PUBLISH_NOTEBOOKS asks for them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nachlass_bp import reuse, shown
from nachlass_bp.cache.trace import digest_of
from nachlass_bp.cnb import launch
from nachlass_bp.cnb.layer import Layer, make_world_readable
from nachlass_bp.config import PublishMode
from nachlass_bp.context import BuildContext
from nachlass_bp.layers.publish import Renderer
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output
from scorer import publication
from scorer.publication import Page, Publication


def layer(context: BuildContext) -> Layer:
    """Return the layer: launch only, so that pages that have not changed stay with the previous image."""
    return Layer(layers_dir=context.layers_dir, name="notebooks", launch=True)


def can_stay(context: BuildContext, mode: PublishMode) -> bool:
    """Whether the previous image's pages, or that it has none, are what a build in this mode wants."""
    return mode == "off" or bool(reuse.previous_metadata(layer(context)).get("key"))


def stay(context: BuildContext, mode: PublishMode) -> None:
    """Leave the layer to the previous image, of which everything is the same."""
    made = layer(context)
    key = reuse.previous_metadata(made).get("key")
    made.discard()
    if mode != "off":
        made.declare({"key": str(key)})


def publish(
    renderer: Renderer,
    mode: PublishMode,
    to_run: Sequence[Notebook],
    executed: Mapping[str, Path],
    scratch: Path,
    output: Output,
) -> None:
    """Make the layer, or leave it to the previous image, which has the same.

    Args:
        renderer: Makes the pages.
        mode: Not "off".
        to_run: The notebooks; one that is listed twice has one page, of its last run.
        executed: For each notebook the file that its run left.
        scratch: A directory for passing things on.
        output: The log, which knows the secrets.

    Raises:
        PublishFailedError: A notebook could not be turned into a page.
    """
    context = renderer.context
    job = _job(context, mode, to_run, executed, output)
    made = layer(context)
    # Of what is in the image for everyone to see: no digest here tells more than the pages themselves.
    key = f"notebooks-{digest_of([renderer.key, job])[:32]}"
    names = ", ".join(page["name"] for page in job["pages"])
    is_kept = reuse.previous_metadata(made).get("key") == key
    if is_kept:
        made.discard()
    else:
        root = made.empty()
        renderer.render(job, root, scratch)
        _contract(job).write(root)
        launch.write_env(root, {"NACHLASS_PUBLISHED_NOTEBOOKS": str(root)})
        make_world_readable(root)
        made.seal(key)
    made.declare({"key": key})
    what = "with their outputs" if mode == "outputs" else "without outputs"
    as_before = " (as in the previous build)" if is_kept else ""
    output.step(f"Published {what} at /notebooks/: {names}{as_before}")


def _job(
    context: BuildContext,
    mode: PublishMode,
    to_run: Sequence[Notebook],
    executed: Mapping[str, Path],
    output: Output,
) -> dict[str, Any]:
    css = (context.buildpack_dir / "nachlass_bp" / "publishing" / "style.css").read_text(encoding="utf-8")
    distinct = list({notebook.name: notebook for notebook in to_run}.values())
    return {
        "style": css,
        "style_sha256": base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        "index": publication.INDEX,
        "pages": [
            shown.page_of(
                number,
                notebook,
                json.loads(executed[notebook.name].read_text(encoding="utf-8"))
                if mode == "outputs"
                else notebook.parameterised.content,
                context.app_dir,
                output.redact,
                outputs=mode == "outputs",
            )
            for number, notebook in enumerate(distinct, start=1)
        ],
    }


def _contract(job: Mapping[str, Any]) -> Publication:
    return Publication(
        schema_version=publication.SCHEMA_VERSION,
        style_sha256=job["style_sha256"],
        pages=tuple(Page(file=page["file"], name=page["name"], title=page["title"]) for page in job["pages"]),
    )
