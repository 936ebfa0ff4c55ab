"""The one loader of stages and composer of the pipeline, for the service and for the build's proof alike."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sklearn.base import is_classifier, is_outlier_detector, is_regressor
from sklearn.pipeline import Pipeline

from .encode import to_json_value
from .errors import StageError, one_line
from .manifest import Label, Manifest, Stage, StageFormat, Task

_CHUNK_BYTES = 1 << 20
_COMPRESSED = (b"\x78", b"\x1f\x8b", b"BZ", b"\x5d\x00", b"\xfd7zXZ", b"\x04\x22\x4d\x18")
_JOBLIB_MARK = b"joblib.numpy_pickle"
_ZIP = b"PK\x03\x04"
_TASKS: dict[Task, Callable[[Any], bool]] = {
    "classifier": is_classifier,
    "regressor": is_regressor,
    "outlier_detector": is_outlier_detector,
}
_INLIER_AND_OUTLIER = (1, -1)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedStage:
    """One stage as it was unpickled."""

    name: str
    estimator: Any
    format: StageFormat

    @property
    def estimator_name(self) -> str:
        """The estimator's class with its module."""
        kind = type(self.estimator)
        return f"{kind.__module__}.{kind.__qualname__}"


class FittedPipeline(Pipeline):  # type: ignore[misc]  # scikit-learn has no types
    """A pipeline whose steps are taken to be fitted, since notebooks saved them to be used.

    scikit-learn looks for attributes that a fit leaves behind, and so refuses an estimator of the author's own that
    needs none, or that does not derive from BaseEstimator.
    """

    def __sklearn_is_fitted__(self) -> bool:
        return True


def load_stages(manifest: Manifest, directory: Path) -> list[LoadedStage]:
    """Load every stage of the manifest in `directory`, in list order.

    From then on the notebooks' directories come first on `sys.path`, where Jupyter has them: what a stage imports is
    what its notebook imported.

    Raises:
        StageError: A file isn't the one that was built, doesn't load, or was made by another scikit-learn.
    """
    place = _place_of_notebooks(sys.path)
    sys.path[place:place] = manifest.launch.notebook_paths
    return [_load_stage(stage, directory, index) for index, stage in enumerate(manifest.stages)]


def _place_of_notebooks(path: Sequence[str]) -> int:
    """Return where IPython puts the notebook's directory: behind the standard library, before installed packages.

    Source: IPython.core.shellapp, init_sys_path. In front, without any installed packages' directory.
    """
    for index, entry in enumerate(path):
        if Path(entry).name in {"site-packages", "dist-packages"}:
            return index
    return 0


def compose(stages: Sequence[LoadedStage]) -> FittedPipeline:
    """Return the `sklearn.pipeline.Pipeline` of the stages.

    Raises:
        StageError: A stage before the last has no `transform`, or the last has no `predict`.
    """
    if not stages:
        raise StageError("stage-cannot-predict", "No notebook saved a stage, so there is nothing to predict with.")
    for index, stage in enumerate(stages[:-1]):
        if not hasattr(stage.estimator, "transform"):
            raise StageError(
                "stage-not-a-transformer",
                f"{stage.estimator_name} has no transform, which every stage but the last needs.",
                stage=index,
            )
    last = stages[-1]
    if not hasattr(last.estimator, "predict"):
        raise StageError(
            "stage-cannot-predict",
            f"What it saved ({last.estimator_name}) has no predict, which the last stage needs.",
            stage=len(stages) - 1,
        )
    for stage in stages:
        _use_one_job(stage.estimator)
    names = _step_names([stage.name for stage in stages])
    return FittedPipeline([(name, stage.estimator) for name, stage in zip(names, stages, strict=True)])


def find_task(estimator: Any) -> Task:
    """Return what the estimator does, for scikit-learn with tags, for older ones, and for look-alikes."""
    last = final_estimator(estimator)
    for task, test in _TASKS.items():
        try:
            if test(last):
                return task
        except (AttributeError, TypeError):
            continue  # An estimator without tags, in a scikit-learn that asks for them.
    declared = getattr(last, "_estimator_type", None)
    for task in _TASKS:
        if declared == task:
            return task
    return "classifier" if hasattr(last, "classes_") else "other"


def find_classes(estimator: Any) -> tuple[Label, ...]:
    """Return the labels that it predicts as JSON has them, each once; none when the estimator doesn't tell."""
    if find_task(estimator) == "outlier_detector":
        return _INLIER_AND_OUTLIER
    classes = getattr(final_estimator(estimator), "classes_", None)
    if classes is None:
        return ()
    labels: dict[tuple[type, Label], Label] = {}
    for label in _flatten(to_json_value(classes)):
        if isinstance(label, (str, int, float, bool)):
            labels.setdefault((type(label), label), label)
    return tuple(labels.values())


def final_estimator(estimator: Any) -> Any:
    """Return the estimator that predicts, however deep pipelines are nested."""
    while hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def first_estimator(estimator: Any) -> Any:
    """Return the step that sees the request's data first, however deep pipelines are nested."""
    while hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
        estimator = steps[0] if steps else None
    return estimator


def _load_stage(stage: Stage, directory: Path, index: int) -> LoadedStage:
    try:
        with open(directory / stage.file, "rb") as file:
            digest, kind = _inspect(file)
            if digest != stage.sha256:
                raise StageError(
                    "stage-unreadable",
                    f"{stage.file} is not the file that the build saved: its sha256 is {digest}, "
                    f"the manifest has {stage.sha256}. It was not unpickled. Build again.",
                    stage=index,
                )
            file.seek(0)
            estimator = _unpickle(file, kind, index)
    except OSError as error:
        raise StageError("stage-unreadable", f"{stage.file} can't be read: {one_line(error)}", stage=index) from error
    return LoadedStage(name=stage.name, estimator=estimator, format=kind)


def _inspect(file: IO[bytes]) -> tuple[str, StageFormat]:
    """Return the sha256 of the file and the format that its bytes have."""
    digest = hashlib.sha256()
    head = file.read(_CHUNK_BYTES)
    is_zip, is_joblib = head.startswith(_ZIP), head.startswith(_COMPRESSED)
    chunk, tail = head, b""
    while chunk:
        digest.update(chunk)
        # joblib names its array wrapper inside an ordinary pickle, maybe across two chunks.
        is_joblib = is_joblib or _JOBLIB_MARK in tail + chunk
        tail = chunk[-len(_JOBLIB_MARK) :]
        chunk = file.read(_CHUNK_BYTES)
    return digest.hexdigest(), "skops" if is_zip else "joblib" if is_joblib else "pickle"


def _unpickle(file: IO[bytes], kind: StageFormat, index: int) -> Any:
    with warnings.catch_warnings():
        # The class exists since scikit-learn 1.3; the first words of its message are older.
        warnings.filterwarnings("error", message="Trying to unpickle estimator")
        try:
            return _read(file, kind)
        except OSError:
            raise
        except Warning as error:
            raise StageError("version-mismatch", one_line(error), stage=index) from error
        # Unpickling runs code of the stage, which may raise anything.
        except Exception as error:
            raise StageError("stage-unreadable", _why_unreadable(error), stage=index) from error


def _read(file: IO[bytes], kind: StageFormat) -> Any:
    if kind == "joblib":
        import joblib  # noqa: PLC0415 - comes with scikit-learn, costs time where no stage needs it.

        return joblib.load(file)
    if kind == "skops":
        import skops.io  # noqa: PLC0415 - optional: there if the notebook could write with it.

        data = file.read()
        # This very build wrote the file and its sha256 is checked: the image is the boundary of trust.
        return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    return pickle.load(io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file)  # noqa: S301 - sha256 checked


def _why_unreadable(error: Exception) -> str:
    text = one_line(error)
    if isinstance(error, ModuleNotFoundError):
        return f"It needs the module {error.name!r}, which neither the requirements nor the repository provide."
    if isinstance(error, EOFError):
        return "The file is empty or ends too early."
    if isinstance(error, AttributeError) and "__main__" in text:
        name = getattr(error, "name", None) or text.partition("attribute '")[2].partition("'")[0] or text
        return f"It uses '{name}', which only the notebook defines."
    return f"{type(error).__name__}: {text}"


def _step_names(names: Sequence[str]) -> list[str]:
    """Return the names as scikit-learn allows them: unique, and without the '__' that separates parameters."""
    unique: list[str] = []
    for name in names:
        base = name.replace("__", "_") or "stage"
        candidate, number = base, 2
        while candidate in unique:
            candidate, number = f"{base}-{number}", number + 1
        unique.append(candidate)
    return unique


def _use_one_job(estimator: Any) -> None:
    """Set `n_jobs` to 1 on every estimator inside: for one request a pool costs more than it gives."""
    for part in _walk(estimator, set()):
        if getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1


def _walk(value: Any, seen: set[int]) -> Iterator[Any]:
    if id(value) in seen:
        return
    if isinstance(value, tuple):
        children: Any = value
    elif isinstance(value, (list, dict)):
        children = value.values() if isinstance(value, dict) else value
        # A vocabulary has a million entries, and none of them is an estimator.
        if isinstance(next(iter(children), None), (str, bytes, int, float, type(None))):
            return
    elif hasattr(value, "get_params") and hasattr(value, "__dict__"):
        seen.add(id(value))
        yield value
        children = vars(value).values()
    else:
        return
    seen.add(id(value))
    for child in children:
        yield from _walk(child, seen)


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _flatten(item)
    else:
        yield value
