"""The `stages` layer: stage files, the manifest, and the tree that the service works in."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nachlass_bp import proof as proofs
from nachlass_bp import provenance as provenances
from nachlass_bp.cnb import launch
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import ProofFailedError, StageUnreadableError
from nachlass_bp.inotify import Openings, Watch, WatchError
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output, size_text
from nachlass_bp.proof import Launcher, Proof, Request
from nachlass_bp.provenance import Lineage
from nachlass_bp.tree import WorkingTree
from scorer.manifest import SCHEMA_VERSION, Interpreter, Manifest, Stage
from scorer.manifest import Launch as ManifestLaunch

MANIFEST = "manifest.json"
TREE = "tree"
_FILES = "stages"


@dataclass(frozen=True, kw_only=True, slots=True)
class SavedStage:
    """A stage file as a notebook left it, outside the layer."""

    notebook: Notebook
    file: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Everything about the service but the stages themselves."""

    name: str
    nachlass_version: str
    interpreter: Interpreter
    launch: ManifestLaunch
    versions: Mapping[str, str]
    launcher: Launcher
    ship: Sequence[str]
    ship_sample: bool
    sample_out: Path | None
    limit_s: float | None
    is_seeded: bool
    keeps_reference: bool
    lists_imports: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A filled layer. `opened` are the files of the tree that the proof opened, None where not all can be told.

    `provenance` is the document of that name; `imported` are the source files of the service's modules, if the plan
    wants to know.
    """

    manifest: Manifest
    provenance: Mapping[str, Any]
    opened: frozenset[str] | None
    imported: Sequence[str]


def layer(context: BuildContext) -> Layer:
    """Return the layer: launch only, so that an unchanged model is reused from the previous image."""
    return Layer(layers_dir=context.layers_dir, name="stages", launch=True)


def finish(  # noqa: PLR0913 - all that a layer is made from
    stages: Layer,
    tree: WorkingTree,
    saved: Sequence[SavedStage],
    samples: Sequence[Path],
    plan: Plan,
    lineage: Lineage,
    output: Output,
) -> Finished:
    """Fill the layer from what the notebooks left, and prove that the service works with it.

    Raises:
        BuildpackError: The pipeline does not load, compose or predict as `web` would run it.
    """
    described = [_take(stage, index, stages.path) for index, stage in enumerate(_unique_names(saved))]
    draft = Manifest(
        schema_version=SCHEMA_VERSION,
        nachlass_version=plan.nachlass_version,
        name=plan.name,
        stages=tuple(described),
        interpreter=plan.interpreter,
        launch=plan.launch,
        versions=plan.versions,
    )
    proof, opened = _prove(stages, tree, draft, samples, plan, output)
    for warning in proof.warnings:
        output.warning(warning)
    final = replace(
        draft,
        model=proof.model,
        stages=tuple(
            replace(stage, estimator=estimator, format=kind, versions=_versions_of(plan.versions))
            for stage, estimator, kind in zip(draft.stages, proof.estimators, proof.formats, strict=True)
        ),
    )
    final.write(stages.path / MANIFEST)
    document = lineage.document(final)
    provenance = stages.path / provenances.FILE
    provenance.write_text(provenances.to_json(document), encoding="utf-8")
    provenance.chmod(0o644)
    launch.write_env(stages.path, {"NACHLASS_MANIFEST": str(stages.path / MANIFEST)})
    return Finished(manifest=final, provenance=document, opened=opened, imported=proof.imported)


def _unique_names(saved: Sequence[SavedStage]) -> list[tuple[str, SavedStage]]:
    """Name the pipeline's steps after their notebooks; `__` is reserved by scikit-learn's parameter names."""
    named: dict[str, SavedStage] = {}
    for stage in saved:
        base = stage.notebook.stem.replace("__", "_").strip("_") or "stage"
        name, number = base, 2
        while name in named:
            name, number = f"{base}-{number}", number + 1
        named[name] = stage
    return list(named.items())


def _short(name: str) -> str:
    """Return at most 150 bytes of a name: file systems end at 255, and ours has more in it."""
    return os.fsencode(name)[:150].decode("utf-8", "ignore")


def _take(named: tuple[str, SavedStage], index: int, layer_path: Path) -> Stage:
    name, saved = named
    size = saved.file.stat().st_size
    if size == 0:
        raise StageUnreadableError(
            notebook=saved.notebook.name,
            problem="The file is empty (0 bytes). It may never have been closed: write it in a `with open(…)` block.",
        )
    directory = layer_path / _FILES
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    target = directory / f"{index + 1:02d}-{_short(name)}.stage"
    shutil.copyfile(saved.file, target)
    target.chmod(0o644)
    with target.open("rb") as file:
        sha256 = hashlib.sha256()
        while block := file.read(1 << 20):
            sha256.update(block)
    return Stage(
        name=name,
        notebook=saved.notebook.name,
        file=f"{_FILES}/{target.name}",
        sha256=sha256.hexdigest(),
        size_bytes=size,
        format="pickle",  # The proof finds out.
        estimator="",
    )


def _prove(
    stages: Layer, tree: WorkingTree, draft: Manifest, samples: Sequence[Path], plan: Plan, output: Output
) -> tuple[Proof, frozenset[str] | None]:
    """Prove the pipeline where the notebooks ran, ship what it read there, and prove it again as the image has it.

    Returns:
        The proof, and the files of the tree that it opened, None where not all of them can be told.
    """
    scratch = samples[0].parent if samples else stages.path.parent
    file = stages.path / MANIFEST
    final = Request(
        samples=samples,
        ship_sample=plan.ship_sample,
        sample_out=plan.sample_out,
        limit_s=plan.limit_s,
        watch=tree.root,
        is_seeded=plan.is_seeded,
        keeps_reference=plan.keeps_reference,
        lists_imports=plan.lists_imports,
    )
    openings: Openings | None = None
    with _watching(tree) as watch:
        there = proofs.run(plan.launcher, draft, file, final, scratch)
        if watch is not None:
            openings = watch.take()
    opened = frozenset({*map(os.path.normpath, there.opened), *(openings.files if openings is not None else ())})
    told = opened if openings is not None and openings.problem is None else None
    ship = _to_ship(tree, opened, plan.ship)
    for name in ship:
        output.step(f"Shipping {name}, which the model reads ({size_text((tree.root / name).stat().st_size)})")
    outputs = [name for name in tree.outputs() if not name.endswith(".sav")]
    tree.shrink(ship)
    if not ship and (not outputs or (openings is not None and not _could_notice(there, openings, outputs))):
        # The model opened nothing of what is gone now, nor looked where it was: it can't notice.
        return there, told
    here = proofs.run(plan.launcher, draft, file, replace(final, watch=None), scratch)
    if there.repeatable and here.predictions != there.predictions:
        raise ProofFailedError(
            notebook=draft.stages[-1].notebook,
            problem="The pipeline predicts one thing where the notebooks ran and another in the image's files.",
            hint="It reads a file that a notebook wrote, in a way that nachlass can't see. Name such files:\n"
            "  NACHLASS_SHIP=data/vocabulary.json",
        )
    return here, told


@contextmanager
def _watching(tree: WorkingTree) -> Iterator[Watch | None]:
    """Yield a watch of the tree, None where there is no inotify that can be trusted."""
    try:
        watch = Watch(tree.root)
    except WatchError:
        yield None
        return
    try:
        watch.prove()
        yield watch
    except WatchError:
        yield None
    finally:
        watch.stop()


def _could_notice(proof: Proof, openings: Openings, outputs: Sequence[str]) -> bool:
    """Whether the model may have looked where an output is, otherwise than by opening it."""
    if openings.problem is not None or any(name.endswith((".py", ".so")) for name in outputs):
        return True
    directories = {os.path.dirname(name) for name in outputs}  # noqa: PTH120 - "" is the root
    return any(openings.directories[each] > proof.listed_by_imports.get(each, 0) for each in directories)


def _to_ship(tree: WorkingTree, opened: AbstractSet[str], patterns: Sequence[str]) -> list[str]:
    outputs = set(tree.outputs())
    wanted = set(tree.matching(patterns)) if patterns else set()
    return sorted((outputs & opened) | wanted)


def _versions_of(versions: Mapping[str, str]) -> dict[str, str]:
    """Return what a pickle binds to, for each stage, because a stage may one day come from another build."""
    return {name: versions[name] for name in ("python", "scikit-learn", "numpy", "cloudpickle") if name in versions}


def content_key(path: Path) -> str:
    """Return the digest of everything in the layer: names, modes, link targets and bytes."""
    digest = hashlib.sha256()
    for root, directories, files in os.walk(path):
        directories.sort()
        for name in sorted([*files, *(each for each in directories if os.path.islink(os.path.join(root, each)))]):  # noqa: PTH114, PTH118
            entry = Path(root, name)
            digest.update(os.fsencode(entry.relative_to(path)) + b"\0")
            content = os.fsencode(entry.readlink()) if entry.is_symlink() else entry.read_bytes()
            digest.update(len(content).to_bytes(8, "big") + content)
    return f"stages-{digest.hexdigest()[:32]}"
