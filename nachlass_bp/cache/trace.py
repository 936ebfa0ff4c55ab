"""What one run of a notebook was, depended on and left behind: the record that a later build is held against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from typing import Literal

from nachlass_bp import commit
from nachlass_bp.cache import reading
from nachlass_bp.cache.digests import DIRECTORY, Entry, blob_of
from nachlass_bp.cache.reading import DamagedError, is_digest, is_inside, require
from nachlass_bp.cache.view import Output
from nachlass_bp.commit import Commit

FORMAT = 3
Mode = Literal["trace", "conservative"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """What a notebook is, whatever it reads: the parts of its static key, each of which a person can recognise.

    `packages` is the digest of the installed distributions; the list itself is in the store. `parameters` is a keyed
    digest, "" for none. `stage_file` is the file that the settings call its stage, `seed` what random numbers begin
    with; "" where the settings say nothing. `deps` is the digest of the patterns that its metadata declares, "" for
    none. `offline` says whether it is refused the network.
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
    deps: str
    offline: bool

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
    variables; `env_names`: the digest of all their names, for runs that looked at every one. `external`,
    `external_lists` and `external_modules`: the same of absolute paths outside the tree.
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
    external_lists: Mapping[str, str | None] = field(default_factory=dict)
    external_modules: Mapping[str, Mapping[str, list[str]]] = field(default_factory=dict)


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
    """A run; blobs are named by their sha256.

    `not_reusable` says why nobody may reuse it, None if that is possible. `network` says how it used the network, or
    may have, None if it surely didn't: whether that speaks against a reuse is for the build to say that decides.
    """

    key: Key
    mode: Mode
    mode_reason: str | None
    not_reusable: str | None
    network: str | None
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
    """Read what `Trace.to_json` wrote, believing nothing of it: who wrote the digest may have written anything else.

    Raises:
        DamagedError: It is damaged, cut short, of another format, or names what no run of ours could have left.
    """
    digest, _, body = text.partition("\n")
    body = body.rstrip("\n")
    if hashlib.sha256(body.encode("utf-8", "replace")).hexdigest() != digest:
        raise DamagedError("it is damaged")
    data = reading.json_of(body)
    if not isinstance(data, dict):
        raise DamagedError("it is damaged")
    if data.pop("format", None) != FORMAT:
        raise DamagedError("it is of another format")
    trace: Trace = reading.read(Trace, data)
    _check_key(trace.key)
    _check_dependencies(trace.dependencies)
    _check_outputs(trace.outputs)
    for blob in (trace.stage, trace.samples, trace.executed):
        require(blob is None or is_digest(blob), "a blob's name")
    _check_record(trace.record)
    return trace


def _check_key(key: Key) -> None:
    require(is_inside(key.notebook), "key.notebook")
    for digest in (key.code, key.packages, key.parameters or key.code, key.deps or key.code):
        require(is_digest(digest), "key")
    require(bool(key.python.split()), "key.python")


def _check_dependencies(dependencies: Dependencies) -> None:
    """Insist on paths that can be asked about. An empty directory that matched a pattern has a `/` at its end."""
    directories = (dependencies.lists, dependencies.modules, dependencies.distributions)
    for path in (each for paths in (dependencies.files, dependencies.shapes, *directories) for each in paths):
        require(not path or is_inside(path.removesuffix("/")), "dependencies")
    outer = (dependencies.external, dependencies.external_lists, dependencies.external_modules)
    require(not any("\0" in path for paths in outer for path in paths), "dependencies.external")
    for entry in (*dependencies.files.values(), *dependencies.external.values()):
        require(entry is None or blob_of(entry) is None or is_digest(blob_of(entry)), "dependencies")


def _check_outputs(outputs: Mapping[str, Output]) -> None:
    for path, output in outputs.items():
        require(is_inside(path), "outputs")
        if output.entry is None:
            continue
        # What isn't a file, a directory or a link to somewhere is never put back.
        blob, target = blob_of(output.entry), output.entry.removeprefix("l:")
        require(is_digest(blob) if blob is not None else output.entry != "l:" and "\0" not in target, "outputs")
        for end in (end for end, letter in enumerate(path) if letter == "/"):
            above = outputs.get(path[:end])
            # Behind a link it would be written to where that leads.
            require(above is None or above.entry == DIRECTORY, "outputs")


def _check_record(record: Record) -> None:
    try:
        at = datetime.fromisoformat(record.at)
        is_ours = at.tzinfo is not None and at.astimezone(timezone.utc).isoformat(timespec="seconds") == record.at
    except (ValueError, OverflowError):
        is_ours = False
    require(is_ours, "record.at")
    require(record.commit is None or commit.ID.match(record.commit.id) is not None, "record.commit")


def digest_of(value: object) -> str:
    """Return the sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
