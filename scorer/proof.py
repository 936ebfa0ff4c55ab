"""The proof's own work: find a sample that predicts, and hold the service's answer against a direct `predict`."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .decode import Decoder, parse_json
from .encode import dump, to_json_value
from .errors import RequestError, StageError, one_line
from .independence import find_merging
from .manifest import Input, InputKind, Model
from .model import find_classes, find_task
from .predictor.answers import METHODS, Answerer, RefusalError
from .reference import find_reference
from .sample import UnusableSampleError, normalise, synthetic_row, to_rows
from .schema import derive_input, require_all
from .synthesis import synthetic_candidates

_MOST_REPEATS = 8
_REPEATING_S = 1.0


@dataclass(kw_only=True, eq=False)
class ProofError(Exception):
    """What the proof found wrong; `kind` is one of those in docs/architecture.md."""

    kind: str
    message: str
    stage: int | None = None
    details: str | None = None
    missing: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """A model that the service answers for as `predict` does.

    `rows` are the sample as JSON rows; `repeatable` says whether the same rows get the same answer twice.
    """

    model: Model
    rows: list[Any]
    predictions: list[Any]
    repeatable: bool
    warnings: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    kind: InputKind
    data: Any
    direct: list[Any]


def prove(
    pipeline: Any, candidates: Sequence[Any], *, ship_sample: bool, references: Sequence[Any] | None = None
) -> Proof:
    """Return what the service will answer, shown on the first candidate that predicts.

    Args:
        pipeline: The composed stages.
        candidates: Inputs as the notebooks left them.
        ship_sample: Whether a row of the sample may be the example.
        references: For each candidate more rows of the same object, or None; None if no reference is wanted.

    Raises:
        ProofError: No sample predicts, or the service would answer otherwise than `predict`.
    """
    sample, chosen = _find_sample(pipeline, candidates)
    is_real = chosen is not None
    rows = to_rows(sample.kind, sample.data)
    warnings: list[str] = []
    if not is_real:
        warnings.append("No sample of the notebooks predicts; the proof used one made from the fitted stages.")
    repeatable = _is_repeatable(pipeline, sample)
    if not repeatable:
        warnings.append("predict answers differently each time, so its answers were not compared.")
    spec, predictions = _agreeing_input(sample, rows, pipeline, compare=repeatable)
    example = rows[0] if ship_sample and is_real else _example(pipeline, spec)
    if example is None:
        warnings.append("No synthetic example could be made that the model takes.")
    shape = (len(rows),) if sample.kind == "text" else (len(rows), spec.width)
    checked = Decoder(spec).rows(parse_json(dump(rows)))
    methods = _other_methods(pipeline, spec, checked)
    model = Model(
        merging=find_merging(pipeline, spec, checked, methods=methods, is_repeatable=repeatable),
        task=find_task(pipeline),
        classes=find_classes(pipeline),
        input=spec,
        sample_shape=shape,
        example=example,
        example_is_real=ship_sample and is_real,
        outputs=len(predictions[0]) if isinstance(predictions[0], list) else None,
        methods=methods,
    )
    if references is not None and chosen is not None:
        more = _in_order(candidates, references, chosen, kind=sample.kind)
        model = replace(model, reference=find_reference(pipeline, model, more, is_repeatable=repeatable))
    return Proof(model=model, rows=rows, predictions=predictions, repeatable=repeatable, warnings=warnings)


def failure_of(error: BaseException, kind: str, message: str, *, stage: int | None = None) -> ProofError:
    """Return the failure for an exception, with its traceback and the file that it misses, if any."""
    missing = None
    chain: BaseException | None = error
    while chain is not None and missing is None:
        if isinstance(chain, FileNotFoundError) and chain.filename is not None:
            missing = str(chain.filename)
        chain = chain.__cause__ or chain.__context__
    cause = error.__cause__ if isinstance(error, StageError) else error
    return ProofError(kind=kind, message=message, stage=stage, details=_frames(cause), missing=missing)


def _frames(error: BaseException | None) -> str | None:
    """Return the traceback without the service's own frames, None if no other is left: the message says the rest."""
    if error is None:
        return None
    shown = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = shown
    has_frames = False
    while part is not None:
        part.stack[:] = [frame for frame in part.stack if not _is_ours(frame.filename)]
        has_frames = has_frames or bool(part.stack)
        part = part.__cause__ or part.__context__
    return "".join(shown.format()) if has_frames else None


def _is_ours(file: str) -> bool:
    return Path(file).parent == Path(__file__).parent or Path(file).name == "launcher.py"


def _in_order(candidates: Sequence[Any], references: Sequence[Any], chosen: int, *, kind: InputKind) -> Iterator[Any]:
    """Yield what the reference may be made of, best first: the chosen candidate, with more of its rows if there are.

    For a table of named columns others will do, if they have the same ones: `nachlass_sample` is often a few rows.
    """
    positions = [chosen, *range(len(candidates))] if kind == "frame" else [chosen]
    for position in positions:
        more = references[position] if position < len(references) else None
        yield candidates[position] if more is None else more


def _find_sample(pipeline: Any, candidates: Sequence[Any]) -> tuple[_Sample, int | None]:
    """Return the first candidate that predicts, and which it is; None for one that was made up."""
    errors: list[Exception] = []
    for real, group in ((True, candidates), (False, synthetic_candidates(pipeline))):
        for position, candidate in enumerate(group):
            try:
                kind, data = normalise(candidate, pipeline)
                direct = to_json_value(pipeline.predict(data))
                if not isinstance(direct, list) or len(direct) != len(data):
                    given = f"{len(direct)} values" if isinstance(direct, list) else type(direct).__name__
                    errors.append(UnusableSampleError(f"predict returned {given} for {len(data)} rows"))
                    continue
                return _Sample(kind=kind, data=data, direct=direct), position if real else None
            # The stages' own code runs here and may raise anything.
            except Exception as error:  # noqa: BLE001
                errors.append(error)
    raise _telling(errors, has_candidates=bool(candidates))


def _telling(errors: Sequence[Exception], *, has_candidates: bool) -> ProofError:
    """Return the failure that says most: a missing file, then an error that isn't about the input, then the first."""
    raised = [error for error in errors if not isinstance(error, UnusableSampleError)]
    if not raised:
        return ProofError(
            kind="no-sample",
            message="The notebooks left no input behind that the pipeline could be tried with.",
        )
    missing_files = [error for error in raised if isinstance(error, FileNotFoundError)]
    not_about_input = [error for error in raised if not isinstance(error, (ValueError, KeyError))]
    chosen = [*missing_files, *not_about_input, *raised][0]
    kind = "predict-failed" if has_candidates or not isinstance(chosen, ValueError) else "no-sample"
    return failure_of(chosen, kind, f"{type(chosen).__name__}: {one_line(chosen)}")


def _agreeing_input(sample: _Sample, rows: list[Any], pipeline: Any, *, compare: bool) -> tuple[Input, list[Any]]:
    """Return the input by which the service answers as `predict` does, and its answer."""
    derived = derive_input(sample.kind, sample.data, pipeline)
    specs = [derived, *_fallbacks(derived)]
    problem: ProofError | None = None
    for spec in specs:
        try:
            answer = _answer(pipeline, spec, rows)
        except (RequestError, RefusalError) as error:
            pointer = getattr(error, "pointer", None)
            text = error.message if pointer is None else f"{error.message} (at {pointer})"
            problem = problem or failure_of(error, "service-disagrees", f"The service refuses the sample: {text}")
            continue
        except Exception as error:  # noqa: BLE001 - the stages' own code.
            problem = problem or failure_of(
                error,
                "service-disagrees",
                f"The sample fails when it comes as JSON: {type(error).__name__}: {one_line(error)}",
            )
            continue
        received = parse_json(dump(answer))
        if not compare or _agree(received, parse_json(dump(sample.direct))):
            return spec, received
        problem = problem or ProofError(
            kind="service-disagrees",
            message=f"For the sample as JSON the service answers {str(received)[:200]}, "
            f"but predict answers {str(sample.direct)[:200]}.",
        )
    assert problem is not None
    raise problem


def _answer(pipeline: Any, spec: Input, rows: Any) -> list[Any]:
    """Answer rows as the service does that gets them as JSON."""
    return Answerer(pipeline, spec).answer(Decoder(spec).rows(parse_json(dump(rows))))


def _other_methods(pipeline: Any, spec: Input, rows: Sequence[Any]) -> tuple[str, ...]:
    """Return what the pipeline can be asked beside `predict`; one that fails on the sample isn't offered."""
    found = []
    for method in METHODS[1:]:
        try:
            if hasattr(pipeline, method):
                Answerer(pipeline, spec).answer(rows, (method,))
                found.append(method)
        except Exception:  # noqa: BLE001, S112 - the stages' own code; that it raised is the finding.
            continue
    return tuple(found)


def _fallbacks(spec: Input) -> list[Input]:
    if any(column.optional for column in spec.columns):
        # A first stage may look at more columns than it names.
        return [require_all(spec)]
    return []


def _example(pipeline: Any, spec: Input) -> Any:
    row = synthetic_row(spec)
    try:
        _answer(pipeline, spec, row)
    except Exception:  # noqa: BLE001 - the stages' own code; an example is a courtesy, the caller warns.
        return None
    return row


def _is_repeatable(pipeline: Any, sample: _Sample) -> bool:
    """Tell whether the same rows get the same answer each time: of two labels and few rows, twice says little."""
    until = time.monotonic() + _REPEATING_S
    for _ in range(_MOST_REPEATS):
        if not _agree(to_json_value(pipeline.predict(sample.data)), sample.direct):
            return False
        if time.monotonic() > until:
            break
    return True


def _agree(left: Any, right: Any) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_agree, left, right))
    if isinstance(left, float) or isinstance(right, float):
        if not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
            return False
        return math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-9) or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and bool(left == right)
