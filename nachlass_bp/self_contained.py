"""Whether notebooks used nothing but the repository, their environment and the settings: then these stand for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import parameters
from nachlass_bp.cache.digests import DIRECTORY
from nachlass_bp.cache.trace import Trace
from nachlass_bp.cache.view import View
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.notebooks import Notebook
from nachlass_bp.provenance import Run

_SYSTEM = "/usr/"
_BUILD_CONFIG = Path("/cnb/build-config")
"""Where a builder's operator leaves variables (platform specification, CNB_BUILD_CONFIG_DIR)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """What the runs are judged by. `view` is the application directory; `secrets` are the keys of bindings."""

    context: BuildContext
    configuration: Configuration
    to_run: Sequence[Notebook]
    secrets: Sequence[str]
    view: View


def why_not(runs: Sequence[Run], build: Build) -> str | None:
    """Return what else was used, or may have been, None if nothing was. No values and no paths of bindings are told."""
    return next(_reasons(runs, build), None)


def chosen_variables(context: BuildContext) -> list[str]:
    """Return the names of the variables that somebody set for this build: the platform's user, the builder's operator.

    Those that earlier buildpacks and the base image set go with the Python, the packages and the system.
    """
    found: set[str] = set()
    for directory in (context.platform_dir / "env", _BUILD_CONFIG / "env"):
        if directory.is_dir():
            found |= {file.name.partition(".")[0] for file in directory.iterdir()}
    return sorted(found)


def system_files(traces: Iterable[Trace]) -> list[str]:
    """Return the files of the system that were read: pandas alone looks at the time zones. They can be held against."""
    return sorted(path for trace in traces for path in _external(trace) if path.startswith(_SYSTEM))


def _external(trace: Trace) -> set[str]:
    entries = trace.dependencies.external.items()
    return {path for path, entry in entries if entry not in {None, DIRECTORY}}


def is_of_git(path: str) -> bool:
    """Whether a path is git's own: two clones of one commit differ there."""
    return ".git" in path.split("/")


def _reasons(runs: Sequence[Run], build: Build) -> Iterator[str]:
    always = build.configuration.always_run.value
    if parameters.VARIABLE in build.configuration.parameters.source:
        yield f"the variable {parameters.VARIABLE} is set"
    for run, notebook in zip(runs, build.to_run, strict=True):
        if notebook.options.always_run or notebook.name in always:
            yield f"{notebook.name} has to run each time"
        if run.trace is None:
            yield f"what {notebook.name} used is not known ({run.untraced})"
        else:
            yield from (f"{notebook.name} {reason}" for reason in _of_trace(run.trace, build))
    for link in build.view.links():
        if build.view.resolve(link).outside is not None:
            yield f"{link} leads out of the repository"


def _of_trace(trace: Trace, build: Build) -> Iterator[str]:
    dependencies = trace.dependencies
    if trace.record.network:
        yield "used the network"
    if trace.not_reusable is not None:
        yield "used or changed something outside the repository"
    if not _external(trace) <= {*system_files([trace])}:
        yield "read a file outside the repository"
    yield from _of_variables(trace, build.secrets, "secret")
    yield from _of_variables(trace, chosen_variables(build.context), "variable")
    listed = {notebook.name for notebook in build.to_run}
    for path in dependencies.files:
        if is_of_git(path):
            yield "looked into .git"
        if path in listed:
            yield f"read the notebook {path}"
    if dependencies.tree is not None and any(map(is_of_git, build.view.walk())):
        yield "may have looked into .git"


def _of_variables(trace: Trace, names: Sequence[str], what: str) -> Iterator[str]:
    sees_all = trace.dependencies.env_names is not None
    for name in names:
        if name in trace.dependencies.env:
            yield f"depends on the {what} {name}"
        elif sees_all and what == "secret":
            yield f"could see the {what} {name}"
