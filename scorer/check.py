"""The build's proof: load the stages as the service will, score a sample through its own code, write a report."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import imported
from . import manifest as manifests
from . import model as models
from .encode import dump
from .errors import StageError
from .manifest import ManifestError
from .predictor.answers import prepare_sklearn
from .proof import Proof, ProofError, failure_of, prove
from .randomness import unseeded_warnings
from .watch import ReadWatch


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the build asks for: see "Proof" in docs/architecture.md."""

    report: Path
    samples: tuple[Path, ...]
    watch: Path | None = None
    ship_sample: bool = False
    sample_out: Path | None = None
    is_seeded: bool = False
    keeps_reference: bool = True
    lists_imports: bool = False


def main(request_path: str) -> int:
    """Run the proof that the file asks for; return 0 once the report is written, whatever it says."""
    request = read_request(Path(request_path))
    prepare_sklearn()
    watch = None if request.watch is None else ReadWatch(request.watch)
    try:
        report = _run(request, watch)
    except ProofError as failure:
        report = {"ok": False, **dataclasses.asdict(failure)}
    except SystemExit as ending:  # The stages' own code: in the service it would end a worker.
        message = f"The stages' code ends the interpreter: SystemExit: {ending.code}"
        report = {"ok": False, **dataclasses.asdict(failure_of(ending, "predict-failed", message))}
    request.report.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    return 0


def read_request(path: Path) -> Request:
    """Read REQUEST.json, which the build wrote: a surprise in it is a bug, and raised as it is."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Request(
        report=Path(data["report"]),
        samples=tuple(Path(sample) for sample in data["samples"]),
        watch=Path(data["watch"]) if data.get("watch") else None,
        ship_sample=bool(data.get("ship_sample")),
        sample_out=Path(data["sample_out"]) if data.get("sample_out") else None,
        is_seeded=bool(data.get("is_seeded")),
        keeps_reference=bool(data.get("keeps_reference", True)),
        lists_imports=bool(data.get("lists_imports")),
    )


def _run(request: Request, watch: ReadWatch | None) -> dict[str, Any]:
    manifest_path = Path(os.environ["NACHLASS_MANIFEST"])
    try:
        manifest = manifests.read(manifest_path)
        stages = models.load_stages(manifest, manifest_path.parent)
        pipeline = models.compose(stages)
    except StageError as error:
        raise failure_of(error, error.kind, error.message, stage=error.stage) from error
    except (ManifestError, OSError) as error:
        raise failure_of(error, "stage-unreadable", f"The manifest can't be read: {error}") from error
    candidates, references, skipped = _read_candidates(request.samples)
    proof = prove(
        pipeline,
        candidates,
        ship_sample=request.ship_sample,
        references=references if request.keeps_reference else None,
    )
    if request.sample_out is not None:
        _write_private(request.sample_out, dump(proof.rows))
    notebooks = [stage.notebook for stage in manifest.stages]
    unseeded = [] if request.is_seeded else unseeded_warnings([stage.estimator for stage in stages], notebooks)
    if request.lists_imports:
        imported.import_processes()  # Before the report, so that the watch counts what this lists.
    report = _report(proof, stages, watch, [*skipped, *unseeded])
    return {**report, "imported": imported.sources() if request.lists_imports else []}


def _report(
    proof: Proof, stages: list[models.LoadedStage], watch: ReadWatch | None, warnings: list[str]
) -> dict[str, Any]:
    return {
        "ok": True,
        "model": dataclasses.asdict(proof.model),
        "stages": [{"estimator": stage.estimator_name, "format": stage.format} for stage in stages],
        "predictions": proof.predictions,
        "repeatable": proof.repeatable,
        "opened": [] if watch is None else watch.opened(),
        "listed_by_imports": {} if watch is None else watch.listed_by_imports(),
        "warnings": [*warnings, *proof.warnings],
    }


def _read_candidates(paths: tuple[Path, ...]) -> tuple[list[Any], list[Any], list[str]]:
    """Return the candidates of all files, more rows of each or None, and a line for each file that doesn't load."""
    candidates: list[Any] = []
    references: list[Any] = []
    skipped: list[str] = []
    for path in paths:
        try:
            with path.open("rb") as file:
                found = pickle.load(file)  # noqa: S301 - the build wrote it, minutes ago.
                more = pickle.load(file) if file.peek(1) else []  # noqa: S301 - as above
        # A sample is an object of the notebook's, whose class may need anything.
        except Exception as error:  # noqa: BLE001
            skipped.append(f"The sample {path.name} can't be read: {type(error).__name__}: {error}")
        else:
            candidates += found
            references += [*more, *[None] * len(found)][: len(found)]
    return candidates, references, skipped


def _write_private(path: Path, body: bytes) -> None:
    """Write rows that may be personal data so that nobody else reads them, not even for a moment."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(body)
