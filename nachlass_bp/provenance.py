"""What the model was made from: `provenance.json` in the `stages` layer (docs/provenance.md).

Written from the traces of the notebooks, so that it is the same whether they ran in this build or were reused. Values
of variables are not in it, nor digests of them; of service bindings not even the names of files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nachlass_bp.cache.digests import blob_of
from nachlass_bp.cache.store import Store
from nachlass_bp.cache.trace import Dependencies, Record, Trace, digest_of
from nachlass_bp.cache.view import Output
from nachlass_bp.interpreter import Interpreter
from scorer.manifest import Manifest

SCHEMA_VERSION = 1
FILE = "provenance.json"
_MOST_FILES = 10_000
"""As many files are listed for each notebook; the document is an answer of the service."""
_LARGEST_SECRET_FILE_BYTES = 1 << 16
_PASSING = ("/proc/", "/sys/", "/dev/")
"""What the system makes up when it is asked; the environment of a process among it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One entry of the list of notebooks: the trace behind it, or a record and why there is no trace.

    `code` is the digest of the notebook's code, `stage` the sha256 of the stage that it saved.
    """

    notebook: str
    code: str
    stage: str | None
    record: Record
    trace: Trace | None = None
    untraced: str | None = None


def traced(trace: Trace) -> Run:
    """Return what a trace tells of a run."""
    return Run(notebook=trace.key.notebook, code=trace.key.code, stage=trace.stage, record=trace.record, trace=trace)


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What decides how paths and digests are shown.

    `home` is what the notebooks see as HOME, if it is a lasting directory; `private` are directories of which nothing
    is told; `withheld` are the digests that are not told.
    """

    home: Path | None
    private: Sequence[str]
    withheld: frozenset[str] = frozenset()


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


def holding_secrets(traces: Iterable[Trace], store: Store | None, secrets: Iterable[str]) -> frozenset[str]:
    """Return the digests of small files that notebooks wrote and that hold a secret: from them it could be guessed."""
    values = [secret.encode("utf-8", "surrogateescape") for secret in secrets if secret]
    found: set[str] = set()
    if store is None or not values:
        return frozenset()
    for output in (output for trace in traces for output in trace.outputs.values()):
        blob = blob_of(output.entry) if output.entry is not None else None
        if blob is None or output.size_bytes > _LARGEST_SECRET_FILE_BYTES or blob in found:
            continue
        content = store.path_of(blob).read_bytes()
        if any(value in content for value in values):
            found.add(blob)
    return frozenset(found)


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
        "outputs": _outputs(trace.outputs, surroundings.withheld),
        "inputs_are": "what it used" if trace.mode == "trace" else whole_tree,
    }


def _inputs(dependencies: Dependencies, surroundings: Surroundings) -> dict[str, Any]:
    files, withheld = _digests(dependencies.files), surroundings.withheld
    external = {
        _shown(path, surroundings.home): digest
        for path, digest in _digests(dependencies.external).items()
        if not path.startswith(_PASSING) and not _is_private(path, surroundings.private)
    }
    inputs: dict[str, Any] = {
        "files": {path: None if digest in withheld else digest for path, digest in _first(files)},
        "directories": sorted(path or "." for path in dependencies.lists),
        "external_files": {path: None if digest in withheld else digest for path, digest in _first(external)},
        "patterns": sorted(dependencies.patterns),
        "variables": sorted(name for name, digest in dependencies.env.items() if digest is not None),
        "all_variables": dependencies.env_names is not None,
    }
    if dependencies.tree is not None:
        inputs["tree_sha256"] = None if withheld else dependencies.tree
    if omitted := max(0, len(files) - _MOST_FILES) + max(0, len(external) - _MOST_FILES):
        inputs["omitted_files"] = omitted
        inputs["omitted_sha256"] = digest_of([files, external]) if not withheld else None
    return inputs


def _outputs(outputs: Mapping[str, Output], withheld: frozenset[str]) -> dict[str, Any]:
    written = _digests({path: output.entry for path, output in outputs.items()})
    described: dict[str, Any] = {
        "files": {path: None if digest in withheld else digest for path, digest in _first(written)},
        "deleted": sorted(path for path, output in outputs.items() if output.entry is None),
    }
    if len(written) > _MOST_FILES:
        described["omitted_files"] = len(written) - _MOST_FILES
    return described


def _digests(entries: Mapping[str, str | None]) -> dict[str, str]:
    """Return those that are files, by path: what wasn't there is no input, and links and directories have no bytes."""
    return {path: blob for path, entry in sorted(entries.items()) if entry is not None and (blob := blob_of(entry))}


def _first(files: Mapping[str, str]) -> list[tuple[str, str]]:
    return list(files.items())[:_MOST_FILES]


def _shown(path: str, home: Path | None) -> str:
    return f"~{path.removeprefix(str(home))}" if home is not None and path.startswith(f"{home}/") else path


def private_directories(platform_dir: Path, bindings_dir: Path) -> list[str]:
    """Return the directories that hold values of variables and secrets, also where links in them lead."""
    found = [platform_dir, bindings_dir]
    if bindings_dir.is_dir():
        found += bindings_dir.iterdir()
    return sorted({*map(str, found), *map(os.path.realpath, found)})


def _is_private(path: str, private: Sequence[str]) -> bool:
    return any(
        each == directory or each.startswith(f"{directory}/")
        for each in (path, os.path.realpath(path))
        for directory in private
    )
