"""What one run of a notebook was, depended on and left behind: the record that a later build is held against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from nachlass_bp.cache.digests import Entry, blob_of
from nachlass_bp.cache.view import Output
from nachlass_bp.commit import Commit

FORMAT = 3
Mode = Literal["trace", "conservative"]


class TraceInvalidError(ValueError):
    """A file that is no trace of this format: damaged, cut short, or of another version."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What a notebook is, whatever it reads: the parts of its static key, each of which a person can recognise.

    `packages` is the digest of the installed distributions; the list itself is in the store. `parameters` is a keyed
    digest, "" for none. `stage_file` is the file that the settings call its stage, `seed` what random numbers begin
    with; "" where the settings say nothing.
    """

    notebook: str
    cwd: str
    code: str
    parameters: str
    stage_file: str
    seed: str
    python: str
    packages: str
    kernel: str

    @property
    def digest(self) -> str:
        """The key itself."""
        return digest_of(asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependencies:
    """Everything that a run looked at, as it was before the run. None stands for what wasn't there.

    `files`: contents of paths of the tree. `shapes`: kind and size of those that were only looked at. `lists`: digests
    of directories' names. `modules`: by directory and module, the names that an import could find. `distributions`: by
    directory, the names that importlib.metadata could find. `names`: the digest of all names of the tree, for runs that
    started programs, whose fruitless look-ups nobody sees. `patterns`: digests of the names that match what the
    notebook's metadata declares. `tree`: the digest of the whole tree, in conservative mode. `env`: keyed digests of
    variables; `env_names`: the digest of all their names, for runs that looked at every one. `external`: paths outside
    the tree.
    """

    files: Mapping[str, Entry | None] = field(default_factory=dict)
    shapes: Mapping[str, str | None] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)
    distributions: Mapping[str, list[str]] = field(default_factory=dict)
    patterns: Mapping[str, str] = field(default_factory=dict)
    names: str | None = None
    tree: str | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    env_names: str | None = None
    external: Mapping[str, Entry | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """When and how the run went, and at which commit; it stays the same however often the run is reused.

    `network` and `programs` are None where nobody could tell.
    """

    at: str
    seconds: float
    peak_bytes: int | None
    network: bool | None
    programs: bool | None
    cells: int
    commit: Commit | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """A run. `not_reusable` says why it may not be reused, None if it may; blobs are named by their sha256."""

    key: Key
    mode: Mode
    mode_reason: str | None
    not_reusable: str | None
    dependencies: Dependencies
    outputs: Mapping[str, Output]
    stage: str | None
    samples: str | None
    executed: str | None
    record: Record

    @property
    def blobs(self) -> set[str]:
        """Every blob that a reuse needs."""
        wanted = {blob_of(output.entry) for output in self.outputs.values() if output.entry is not None}
        return {blob for blob in (*wanted, self.stage, self.samples, self.executed) if blob is not None}

    def to_json(self) -> str:
        """Return the trace as text whose first line is the digest of the rest."""
        body = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True, ensure_ascii=True)
        return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}\n"


def from_json(text: str) -> Trace:
    """Read what `Trace.to_json` wrote.

    Raises:
        TraceInvalidError: It is damaged or of another format.
    """
    digest, _, body = text.partition("\n")
    body = body.rstrip("\n")
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        raise TraceInvalidError("it is damaged")
    data: dict[str, Any] = json.loads(body)
    if data.pop("format", None) != FORMAT:
        raise TraceInvalidError("it is of another format")
    try:
        return Trace(
            **{
                **data,
                "key": Key(**data["key"]),
                "dependencies": Dependencies(**data["dependencies"]),
                "outputs": {path: Output(**output) for path, output in data["outputs"].items()},
                "record": _record(data["record"]),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise TraceInvalidError(f"it lacks something: {error}") from error


def _record(data: dict[str, Any]) -> Record:
    commit = data["commit"]
    return Record(**{**data, "commit": None if commit is None else Commit(**commit)})


def digest_of(value: object) -> str:
    """Return the sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
