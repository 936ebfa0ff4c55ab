"""Leaving the `stages` layer to the previous image, when the build would only make and prove the same one again.

The layer's own metadata says what it was made from; what its proof looked at in the repository is in the stage cache.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import toml

from nachlass_bp.cache.store import BlobError, Proof, Store
from nachlass_bp.cache.trace import Trace, digest_of
from nachlass_bp.cache.view import View
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.layers.stages import Plan

LARGEST_METADATA_BYTES = 4096
"""It becomes part of a label of the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What has to be said of a layer again in every build: the image's labels, and lines for the log.

    `sbom` is the layer's bill of materials, empty for the one that the platform has restored.
    """

    labels: Mapping[str, str]
    lines: Sequence[str]
    sbom: str = ""


def previous_metadata(layer: Layer) -> dict[str, Any]:
    """Return the metadata that the platform has restored, empty if there is none that can be read."""
    try:
        found = toml.loads(layer.toml.read_text(encoding="utf-8")).get("metadata", {})
    except (OSError, ValueError, IndexError):  # toml 0.10.2 raises the last one for some damages
        return {}
    return found if isinstance(found, dict) else {}


def inputs_of(traces: Sequence[Trace], lineage: str, plan: Plan, view: View, service_key: str) -> str:
    """Return the digest of everything that a `stages` layer is made from, apart from the files that the proof opens.

    `lineage` is the digest of `provenance.Lineage`.
    """
    return digest_of(
        {
            "runs": [[asdict(trace.key), trace.stage, trace.samples] for trace in traces],
            "lineage": lineage,
            "outputs": {path: output.entry for path, output in view.outputs.items()},
            "service": service_key,
            "launch": asdict(plan.launch),
            "interpreter": asdict(plan.interpreter),
            "versions": dict(plan.versions),
            "name": plan.name,
            "nachlass": plan.nachlass_version,
            "ship": [list(plan.ship), plan.ship_sample, plan.keeps_reference],
        }
    )


def find(metadata: Mapping[str, Any], inputs: str, store: Store, view: View, sample_out: Path | None) -> Facts | None:
    """Return what to say of the previous image's layer if it is the one that this build would make, else None.

    The sample goes to `sample_out`, if anybody wants it.
    """
    if metadata.get("inputs") != inputs:
        return None
    proof = store.proof(inputs)
    if proof is None:
        return None
    try:
        if _looked_at(proof.files, proof.directories, view) != proof.looked_at:
            return None
        if sample_out is not None:
            if proof.sample is None:
                return None
            sample_out.parent.mkdir(parents=True, exist_ok=True)
            store.verify(proof.sample)
            store.restore(proof.sample, sample_out, mode=0o600)
    except (OSError, ValueError, BlobError):
        return None
    return Facts(labels=proof.labels, lines=proof.lines, sbom=proof.sbom)


def keep(store: Store, inputs: str, facts: Facts, opened: frozenset[str], view: View, sample: Path | None) -> None:
    """Remember what the proof of a layer looked at."""
    files = sorted(path for path in opened if path not in view.outputs)
    directories = sorted({"", *(os.path.dirname(path) for path in opened)})  # noqa: PTH120 - "" is the root
    proof = Proof(
        labels=dict(facts.labels),
        lines=list(facts.lines),
        sbom=facts.sbom,
        files=files,
        directories=directories,
        looked_at=_looked_at(files, directories, view),
        sample=store.add(sample) if sample is not None and sample.exists() else None,
    )
    store.write_proof(inputs, proof)


def _looked_at(files: Sequence[str], directories: Sequence[str], view: View) -> str:
    # The names beside them, too: a new module may hide one that the stages import.
    return digest_of([[view.entry(path) for path in files], [view.listing(path) for path in directories]])


def metadata(key: str, inputs: str | None, told: Mapping[str, str] | None = None) -> dict[str, str | int]:
    """Return the metadata of a layer; `told` is what `previous_image` has to say."""
    data: dict[str, str | int] = {"key": key}
    if inputs is not None:
        data["inputs"] = inputs
    data.update(told or {})
    assert len(str(data)) < LARGEST_METADATA_BYTES
    return data
