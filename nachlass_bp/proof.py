"""The proof: start the service's own launcher on the new stages, and believe only what it reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nachlass_bp import process
from nachlass_bp.errors import (
    BuildpackError,
    ProofFailedError,
    ShippedFileMissingError,
    StageCannotPredictError,
    StageNotATransformerError,
    StageUnreadableError,
)
from scorer import manifest
from scorer.manifest import Manifest

_SAMPLE_HINT = (
    "nachlass tried what your notebooks left in their variables as inputs. Tell it what the pipeline takes, in the\n"
    "notebook that saves the first stage:\n  nachlass_sample = X_train.head()"
)


_OTHER_HINT = (
    "Load the saved stages in a fresh Python and predict with them to see the same error. What a stage needs when\n"
    "it predicts has to be in the repository, in requirements.txt or in the stage itself."
)
_CHAIN_HINT = (
    "A stage is given what the stage before it returns, here that of '{before}', and not the notebooks' data. If\n"
    "'{notebook}' saves a whole pipeline, which prepares the data by itself, list that notebook alone, or let\n"
    "those before it save no stage, if it needs the data that they write.\n\n"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Launcher:
    """How `web` will be started: the interpreter, the launcher's file and the launch environment."""

    python: Path
    file: Path
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to prove; see docs/architecture.md, "Proof"."""

    samples: Sequence[Path]
    watch: Path | None = None
    ship_sample: bool = False
    sample_out: Path | None = None
    limit_s: float | None = None
    is_seeded: bool = False
    keeps_reference: bool = True
    lists_imports: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What the service's own code found out about the pipeline.

    `imported` are the source files of the modules that it took, if the request wants to know.
    """

    model: manifest.Model
    estimators: tuple[str, ...]
    formats: tuple[manifest.StageFormat, ...]
    predictions: Sequence[Any]
    repeatable: bool
    opened: tuple[str, ...]
    listed_by_imports: Mapping[str, int]
    warnings: tuple[str, ...]
    imported: tuple[str, ...]


def run(launcher: Launcher, draft: Manifest, manifest_file: Path, request: Request, scratch: Path) -> Proof:
    """Write the draft, run `launcher check`, and return its report.

    Raises:
        BuildpackError: The pipeline doesn't load, compose or predict; the stage's notebook is named.
    """
    draft.write(manifest_file)
    report_file, request_file = scratch / "report.json", scratch / "request.json"
    report_file.unlink(missing_ok=True)
    request_file.write_text(
        json.dumps(
            {
                "report": str(report_file),
                "samples": [str(path) for path in request.samples],
                "watch": str(request.watch) if request.watch else None,
                "ship_sample": request.ship_sample,
                "sample_out": str(request.sample_out) if request.sample_out else None,
                "is_seeded": request.is_seeded,
                "keeps_reference": request.keeps_reference,
                "lists_imports": request.lists_imports,
            }
        ),
        encoding="utf-8",
    )
    try:
        finished = process.run(
            [launcher.python, launcher.file, "check", request_file],
            # No bytecode: it would go into the layers of other buildpacks.
            env={**launcher.env, "NACHLASS_MANIFEST": str(manifest_file), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=scratch,
            limit_s=request.limit_s,
        )
    except process.TimeLimitError as error:
        raise ProofFailedError(
            notebook=draft.stages[-1].notebook,
            problem=f"Loading the stages and predicting a few rows took longer than {request.limit_s:g} seconds.",
            hint="NACHLASS_TIMEOUT, or 'timeout' in [tool.nachlass], sets that limit. The service would be as slow.",
        ) from error
    try:
        report = json.loads(report_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _died(finished, draft) from error
    if not report["ok"]:
        raise _failure(report, draft)
    return Proof(
        model=manifest.model_from_json(report["model"]),
        estimators=tuple(stage["estimator"] for stage in report["stages"]),
        formats=tuple(stage["format"] for stage in report["stages"]),
        predictions=report["predictions"],
        repeatable=report["repeatable"],
        opened=tuple(report["opened"]),
        listed_by_imports=report["listed_by_imports"],
        warnings=tuple(report["warnings"]),
        imported=tuple(report["imported"]),
    )


def _died(finished: process.Finished, draft: Manifest) -> BuildpackError:
    if finished.exit_code < 0 or finished.exit_code > 128:
        return ProofFailedError(
            notebook=draft.stages[-1].notebook,
            problem=f"The process that loads the stages and predicts ended with status {finished.exit_code}.",
            hint="A crash in compiled code, or too little memory for the model, are the usual causes.",
            details=finished.output or None,
        )
    return ProofFailedError(
        notebook=draft.stages[-1].notebook,
        problem="Loading the stages or predicting ended the process that did it "
        f"(status {finished.exit_code}), before it could say anything.",
        hint="Something in a stage calls os._exit() or ends the interpreter in another way. Raise an error instead.",
        details=finished.output or None,
    )


def _failure(report: Mapping[str, Any], draft: Manifest) -> BuildpackError:
    index = report.get("stage")
    notebook = draft.stages[index if index is not None else -1].notebook
    problem, details = str(report["message"]), report.get("details")
    missing = report.get("missing")
    match report["kind"]:
        case "stage-unreadable" | "version-mismatch":
            return StageUnreadableError(notebook=notebook, problem=problem, details=details)
        case "stage-not-a-transformer":
            return StageNotATransformerError(notebook=notebook, problem=problem)
        case "stage-cannot-predict":
            return StageCannotPredictError(notebook=notebook, problem=problem)
        case "no-sample":
            return ProofFailedError(notebook=notebook, problem=problem, hint=_SAMPLE_HINT, details=details)
        case _:
            if missing:
                return ShippedFileMissingError(notebook=notebook, path=str(missing))
            return ProofFailedError(
                notebook=notebook,
                problem=problem,
                hint=_chain_hint(index, draft) + _OTHER_HINT,
                details=details,
            )


def _chain_hint(index: int | None, draft: Manifest) -> str:
    """Return what to say first of a stage that comes after another: the input that it is given may be the mistake."""
    position = len(draft.stages) - 1 if index is None else index
    if position == 0:
        return ""
    notebook = draft.stages[position].notebook
    return _CHAIN_HINT.format(before=draft.stages[position - 1].notebook, notebook=notebook)
