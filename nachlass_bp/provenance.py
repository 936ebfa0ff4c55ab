"""What the model was made from: `provenance.json` in the `stages` layer (docs/provenance.md).

Written from the traces of the notebooks, so that it is the same whether they ran in this build or were reused. Values
of variables are not in it, nor digests of files that hold them; of service bindings not even the names of files, and
in other names a mark stands for their values.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nachlass_bp.cache.digests import blob_of, is_sealed, sha256_of
from nachlass_bp.cache.store import Store
from nachlass_bp.cache.trace import Dependencies, Record, Trace, digest_of
from nachlass_bp.cache.view import Output
from nachlass_bp.hidden import Hidden
from nachlass_bp.interpreter import Interpreter
from scorer.manifest import Manifest

SCHEMA_VERSION = 1
FILE = "provenance.json"
_MOST_FILES = 10_000
"""As many files are listed for each notebook; the document is an answer of the service."""
_PASSING = ("/proc/", "/sys/", "/dev/")
"""What the system makes up when it is asked; the environment of a process among it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One entry of the list of notebooks: the trace behind it, or a record and why there is no trace.

    `code` is the digest of the notebook's code, `stage` the sha256 of the stage that it saved; `holds_secret` says that
    something that it left holds the value of a secret.
    """

    notebook: str
    code: str
    stage: str | None
    record: Record
    trace: Trace | None = None
    untraced: str | None = None
    holds_secret: bool = False


def traced(trace: Trace, *, holds_secret: bool = False) -> Run:
    """Return what a trace tells of a run."""
    return Run(
        notebook=trace.key.notebook,
        code=trace.key.code,
        stage=trace.stage,
        record=trace.record,
        trace=trace,
        holds_secret=holds_secret,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What decides how paths and digests are shown.

    `home` is what the notebooks see as HOME, if it is a lasting directory; `private` are directories of which nothing
    is told; `withheld` are the digests that are not told; `redact` takes secrets out of names. `has_secrets` says that
    what the notebooks left holds secrets, and that a digest of all of it isn't told either.
    """

    home: Path | None
    private: Sequence[str]
    withheld: frozenset[str] = frozenset()
    redact: Callable[[str], str] = str
    has_secrets: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """The document but for what only the proof finds out."""

    python: str
    packages: Mapping[str, str]
    notebooks: Sequence[Mapping[str, Any]]

    @property
    def digest(self) -> str:
        """The digest of what the model was made from, whenever that was: runs that only repeat others are the same."""
        facts = [{key: value for key, value in notebook.items() if key != "trained"} for notebook in self.notebooks]
        return digest_of([self.python, dict(self.packages), facts])

    def document(self, manifest: Manifest) -> dict[str, Any]:
        """Return the whole document."""
        stages = {(stage.notebook, stage.sha256): stage for stage in manifest.stages}
        return {
            "schema_version": SCHEMA_VERSION,
            "python": self.python,
            "packages": dict(self.packages),
            "notebooks": [
                {
                    **notebook,
                    "stage": {"name": stage.name, "sha256": stage.sha256, "estimator": stage.estimator}
                    if (stage := stages.get((notebook["notebook"], notebook["stage"])))
                    else None,
                }
                for notebook in self.notebooks
            ],
        }


def lineage_of(runs: Sequence[Run], user: Interpreter, surroundings: Surroundings) -> Lineage:
    """Return the lineage of a model. Python and packages are those of every run: others are not reused."""
    return Lineage(
        python=f"{user.version} {user.implementation} {user.abi} {user.machine}",
        packages={name: found.version for name, found in sorted(user.distributions.items())},
        notebooks=[_described(run, surroundings) for run in runs],
    )


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as stable, readable JSON."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False) + "\n"


def withheld_digests(traces: Iterable[Trace], store: Store | None, hidden: Hidden) -> frozenset[str]:
    """Return the digests of files that hold one of these values: who knows the rest of the file could guess it.

    The repository's own files are not among them: in the image they stand as they are.
    """
    if store is None or not hidden:
        return frozenset()
    known: dict[str, bool] = {}
    for digest, file in (each for trace in traces for each in _files_of(trace, store)):
        if digest not in known:
            known[digest] = _may_hold(file, digest, hidden)
    return frozenset(digest for digest, is_withheld in known.items() if is_withheld)


def _files_of(trace: Trace, store: Store) -> Iterator[tuple[str, str]]:
    """Yield the digest of each file that a run left, or read outside the repository, and where its bytes are."""
    for output in trace.outputs.values():
        if output.entry is not None and (blob := blob_of(output.entry)):
            yield blob, str(store.path_of(blob))
    for path, entry in trace.dependencies.external.items():
        if entry is not None and (digest := blob_of(entry)) and not path.startswith(_PASSING):
            yield digest, path


def _may_hold(file: str, digest: str, hidden: Hidden) -> bool:
    try:
        return hidden.in_file(file) is not None or (not file.endswith(digest[2:]) and sha256_of(file) != digest)
    except OSError:  # It is gone or has changed: nobody can tell any more.
        return True


def _described(run: Run, surroundings: Surroundings) -> dict[str, Any]:
    record, trace = run.record, run.trace
    described: dict[str, Any] = {
        "notebook": run.notebook,
        "code_sha256": run.code,
        "stage": run.stage,
        "trained": {
            "at": record.at,
            "seconds": record.seconds,
            "peak_memory_bytes": record.peak_bytes,
            "commit": asdict(record.commit) if record.commit is not None else None,
        },
        "used_network": record.network,
        "started_programs": record.programs,
    }
    if trace is None:
        return {**described, "inputs": None, "outputs": None, "inputs_are": f"not known: {run.untraced}"}
    whole_tree = f"the whole repository, because {trace.mode_reason}"
    return {
        **described,
        "seed": int(trace.key.seed) if trace.key.seed else None,
        "inputs": _inputs(trace.dependencies, surroundings),
        "outputs": _outputs(trace.outputs, surroundings),
        "inputs_are": "what it used" if trace.mode == "trace" else whole_tree,
    }


def _inputs(dependencies: Dependencies, surroundings: Surroundings) -> dict[str, Any]:
    redact = surroundings.redact
    files = _digests(dependencies.files, surroundings)
    external = _digests(
        {
            _shown(path, surroundings.home): entry
            for path, entry in dependencies.external.items()
            if not path.startswith(_PASSING) and not is_private(path, surroundings.private)
        },
        surroundings,
    )
    inputs: dict[str, Any] = {
        "files": _first(files),
        "directories": sorted({redact(path) or "." for path in dependencies.lists}),
        "external_files": _first(external),
        "patterns": sorted(dependencies.patterns),
        "variables": sorted({redact(name) for name, digest in dependencies.env.items() if digest is not None}),
        "all_variables": dependencies.env_names is not None,
    }
    if dependencies.tree is not None:
        inputs["tree_sha256"] = None if surroundings.has_secrets or surroundings.withheld else dependencies.tree
    if omitted := max(0, len(files) - _MOST_FILES) + max(0, len(external) - _MOST_FILES):
        inputs["omitted_files"] = omitted
        inputs["omitted_sha256"] = digest_of([files, external])
    return inputs


def _outputs(outputs: Mapping[str, Output], surroundings: Surroundings) -> dict[str, Any]:
    written = _digests({path: output.entry for path, output in outputs.items()}, surroundings)
    described: dict[str, Any] = {
        "files": _first(written),
        "deleted": sorted({surroundings.redact(path) for path, output in outputs.items() if output.entry is None}),
    }
    if len(written) > _MOST_FILES:
        described["omitted_files"] = len(written) - _MOST_FILES
    return described


def _digests(entries: Mapping[str, str | None], surroundings: Surroundings) -> dict[str, str | None]:
    """Return the digests that are told of those that are files, None for the others, by what is told of their paths.

    What wasn't there is no input, and links and directories have no bytes.
    """
    found: dict[str, str | None] = {}
    for path, entry in sorted(entries.items()):
        blob = blob_of(entry) if entry is not None else None
        if blob is None and not is_sealed(entry):
            continue
        name = base = surroundings.redact(path)
        number = 1
        while name in found:  # Two names that differ in nothing but the secret.
            number += 1
            name = f"{base} ({number})"
        found[name] = None if blob in surroundings.withheld else blob
    return found


def _first(files: Mapping[str, str | None]) -> dict[str, str | None]:
    return dict(list(files.items())[:_MOST_FILES])


def _shown(path: str, home: Path | None) -> str:
    return f"~{path.removeprefix(str(home))}" if home is not None and path.startswith(f"{home}/") else path


def private_directories(platform_dir: Path, bindings_dir: Path) -> list[str]:
    """Return the directories that hold values of variables and secrets, also where links in them lead."""
    found = [platform_dir, bindings_dir]
    if bindings_dir.is_dir():
        found += bindings_dir.iterdir()
    return sorted({*map(str, found), *map(os.path.realpath, found)})


def is_private(path: str, private: Sequence[str]) -> bool:
    """Whether a path lies in one of the directories, or leads there."""
    return any(
        each == directory or each.startswith(f"{directory}/")
        for each in (path, os.path.realpath(path))
        for directory in private
    )
