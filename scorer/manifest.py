"""The contract between a build and the service it ships: what was trained, and how to start it.

The build writes one `manifest.json` beside the stage files; the launcher and the service read it. Both sides use this
module, which imports nothing but the standard library so that it can be read before any overlay is in place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

SCHEMA_VERSION = 1

Task = Literal["classifier", "regressor", "outlier_detector", "other"]
InputKind = Literal["text", "array", "frame"]
ColumnKind = Literal["number", "integer", "boolean", "string", "datetime", "any"]
StageFormat = Literal["pickle", "joblib", "skops"]
Label = str | int | float | bool
"""A class label as JSON can carry it."""
Measure = Literal["number", "value", "length"]
"""What of a cell is counted: the number, which of the known values it is, or how many characters the text has."""


class ManifestError(ValueError):
    """A manifest that cannot be read; `path` is the JSON pointer of what is wrong."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path or '/'}: {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One fitted step of the pipeline, in list order.

    `file` is relative to the manifest's directory; nothing is unpickled unless its bytes have `sha256`.
    """

    name: str
    notebook: str
    file: str
    sha256: str
    size_bytes: int
    format: StageFormat
    estimator: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One input column: `optional` ones are known to the model but not used by it.

    `is_wide` is set when the column held integers beyond 2^53 in training, which are refused otherwise.
    """

    name: str
    kind: ColumnKind
    optional: bool = False
    nullable: bool = False
    dtype: str = ""
    categories: tuple[Label, ...] = ()
    is_wide: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """What `predict` takes: n texts, an (n, width) array, or a DataFrame with `columns`.

    `width` is 1 for text. For an array the columns are unnamed and `columns` is empty, and `is_wide` is as of a column.
    """

    kind: InputKind
    width: int
    columns: tuple[Column, ...] = ()
    dtype: str = ""
    is_wide: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Merging:
    """Whether rows of different requests may share one call of `predict`.

    `is_reviewed` says that every estimator is one that is known to treat rows one by one, `is_proven` that the proof
    found no difference; `reason` is half a sentence for people.
    """

    is_reviewed: bool
    is_proven: bool
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """How values spread over bins.

    Of numbers and lengths, bin i holds what is above `edges[i - 1]` and not above `edges[i]`, the last bin the rest. Of
    values there is a bin for each of `values` and one for all others. `proportions` has one number for each bin and a
    last one for what is missing; they add up to 1.
    """

    measure: Measure
    edges: tuple[float, ...] = ()
    values: tuple[Label, ...] = ()
    proportions: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReference:
    """One used column of the reference; `low` and `high` are the least and the greatest number in it.

    `is_complete` says that `distribution.values`, or the categories that the model has learned, are all there were.
    `distribution` is None where none is kept: of dates, and beyond the first columns.
    """

    name: str
    low: float | None = None
    high: float | None = None
    is_complete: bool = False
    distribution: Distribution | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """What the data of the notebooks were like, in sums over `rows` rows: what requests are compared with.

    `prediction_rows` is how many of them were predicted for `predictions`; `buckets` are bounds for a histogram of a
    regressor's predictions.
    """

    rows: int
    columns: tuple[ColumnReference, ...]
    prediction_rows: int = 0
    predictions: Distribution | None = None
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What the proof found out about the composed pipeline.

    `sample_shape` is the shape of the rows that the proof scored, (n,) for texts and (n, width) otherwise; `example` is
    one JSON row that the service accepts, synthetic unless the author chose to ship a real one. `outputs` is how many
    values `predict` returns for a row that gets a list of them, None where it gets one value. `methods` are what may be
    asked for beside `predict`: `predict_proba`, `decision_function`, `transform`. `reference` is None where the build
    was told to keep none, or had too few rows.
    """

    task: Task
    classes: tuple[Label, ...]
    input: Input
    sample_shape: tuple[int, ...]
    example: Any
    example_is_real: bool = False
    merging: Merging | None = None
    outputs: int | None = None
    methods: tuple[str, ...] = ()
    reference: Reference | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """The Python that trained the stages and has to serve them."""

    executable: str
    version: str
    implementation: str
    abi: str
    """`sysconfig.get_config_var('SOABI')`, for instance `cpython-311-x86_64-linux-gnu`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """How the service's process is set up before anything else is imported; all paths are absolute.

    `overlay` holds `site` (a directory) and the top-level `names` and `distributions` that are taken from it before
    anything of the model's own environment; `fallback_paths` are appended to `sys.path` (a locked cloudpickle, when the
    requirements have none), then `import_paths` (the application's root). `notebook_paths` (the directories that the
    notebooks ran in) go before the installed packages just before the stages are loaded, because that is where Jupyter
    has them: what a stage imports must be what its notebook imported. An editable installation in `app_dir` is imported
    from the first of `import_paths`, where the notebooks had it, and what they wrote beside it.
    """

    working_dir: str
    notebook_paths: tuple[str, ...] = ()
    import_paths: tuple[str, ...]
    fallback_paths: tuple[str, ...]
    overlay_site: str
    overlay_names: tuple[str, ...]
    overlay_distributions: tuple[str, ...]
    app_dir: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One built model. `model` is None only in the draft that the proof itself reads."""

    schema_version: int
    nachlass_version: str
    name: str
    stages: tuple[Stage, ...]
    interpreter: Interpreter
    launch: Launch
    versions: Mapping[str, str]
    model: Model | None = None

    @property
    def version(self) -> str:
        """A short name for exactly these stages: another one for any other."""
        digests = "".join(stage.sha256 for stage in self.stages)
        return hashlib.sha256(digests.encode()).hexdigest()[:12]

    def to_json(self) -> str:
        """Return the manifest as stable, readable JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write the manifest, world-readable: the service runs under another user than the build."""
        path.write_text(self.to_json(), encoding="utf-8")
        path.chmod(0o644)


def read(path: Path) -> Manifest:
    """Read and check `manifest.json`.

    Raises:
        ManifestError: The file is not a manifest of this schema version; the message starts with a JSON pointer.
        OSError: The file cannot be read.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ManifestError("", f"not JSON: {error}") from error
    return from_json(data)


def finished(manifest: Manifest) -> Model:
    """Return the manifest's model.

    Raises:
        ManifestError: It is the draft of a build that was not finished.
    """
    if manifest.model is None:
        raise ManifestError("/model", "the build that wrote this manifest did not finish: build again")
    return manifest.model


def from_json(data: object) -> Manifest:
    """Check `data`, as decoded from JSON, and return the manifest that it describes."""
    if not isinstance(data, dict):
        raise ManifestError("", f"expected an object, got {_kind_of(data)}")
    version = data.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ManifestError(
            "/schema_version", f"this nachlass reads schema {SCHEMA_VERSION}, the manifest has {version!r}: build again"
        )
    return cast(Manifest, _read_value(Manifest, data, ""))


def model_from_json(data: object) -> Model:
    """Check `data`, as decoded from JSON, and return the model that it describes."""
    return cast(Model, _read_value(Model, data, ""))


T = TypeVar("T")


def read_object(kind: type[T], data: object) -> T:
    """Check `data`, as decoded from JSON, against a dataclass of the kinds that a contract is made of."""
    return _read_object(kind, data, "")


def _read_value(kind: Any, value: object, path: str) -> Any:  # noqa: C901, PLR0911 - one branch per JSON shape
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _read_object(cast(type, kind), value, path)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if value not in arguments:
            raise ManifestError(path, f"expected one of {', '.join(map(str, arguments))}, got {value!r}")
        return value
    if origin in (typing.Union, types.UnionType):
        return _read_union(arguments, value, path)
    if origin is tuple:
        if not isinstance(value, list):
            raise ManifestError(path, f"expected an array, got {_kind_of(value)}")
        return tuple(_read_value(arguments[0], item, f"{path}/{i}") for i, item in enumerate(value))
    if origin is Mapping or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, dict):
            raise ManifestError(path, f"expected an object, got {_kind_of(value)}")
        return {key: _read_value(arguments[1], item, f"{path}/{key}") for key, item in value.items()}
    if type(value) is not kind:
        raise ManifestError(path, f"expected {kind.__name__}, got {_kind_of(value)}")
    return value


def _read_union(options: tuple[Any, ...], value: object, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    for option in options:
        if dataclasses.is_dataclass(option):
            return _read_value(option, value, path)
        if type(value) is option:
            return value
    raise ManifestError(path, f"unexpected {_kind_of(value)}")


def _read_object(kind: type[T], value: object, path: str) -> T:
    if not isinstance(value, dict):
        raise ManifestError(path, f"expected an object, got {_kind_of(value)}")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(cast(Any, kind))}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise ManifestError(f"{path}/{unknown[0]}", "unknown key")
    read_fields: dict[str, object] = {}
    for name, spec in fields.items():
        if name in value:
            read_fields[name] = _read_value(hints[name], value[name], f"{path}/{name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise ManifestError(f"{path}/{name}", "missing")
    return kind(**read_fields)


def _kind_of(value: object) -> str:
    return {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), type(value).__name__
    )
