"""`explain`: what a build would decide now, with the build's own code, on a copy of the repository that is thrown away.

What a notebook that would run is going to write is unknown. It is taken to write what it wrote in the run that it is
compared with, and the notebooks after it that used something of that are told of with that proviso.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nachlass_bp import bindings, config, interpreter, notebooks, requirements
from nachlass_bp.cache.compare import World, differences
from nachlass_bp.cache.looking import ReadOnlyStore
from nachlass_bp.cache.session import Decision, Session
from nachlass_bp.cache.store import Stored
from nachlass_bp.cache.terms import Terms
from nachlass_bp.cache.trace import Dependencies, Key
from nachlass_bp.cache.view import Output as Written
from nachlass_bp.cache.view import View
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.decisions import OFF, Question
from nachlass_bp.errors import NotebookUnknownError, RequirementsMissingError
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import packages, stage_store, stages
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output
from nachlass_bp.query.words import when


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What would be decided about one notebook.

    `about` is the run that would be reused or that this is compared with, `is_last` whether it is one that the last
    build used, and `differences` all that differs from it; `runs` is how many there are. `provisos` are what has to
    come true first.
    """

    notebook: str
    decision: Decision
    about: Stored | None = None
    is_last: bool = False
    differences: Sequence[str] = ()
    runs: int = 0
    provisos: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """The next build. `reinstalled` says why packages would be installed anew, None if those that are there stay."""

    reinstalled: Sequence[str] | None
    discarded: str | None
    forecasts: Sequence[Forecast]
    in_full: bool


def foresee(context: BuildContext, python: Path, output: Output, *, only: str | None) -> Outlook:
    """Decide about every notebook, and change nothing.

    Args:
        context: The build as it would be; its application directory holds what the repository holds now.
        python: The interpreter that the build would have.
        output: Learns of the secrets, so as to hide them.
        only: The notebook to tell of, None for all.

    Raises:
        BuildpackError: The build would end before it came to its notebooks, or `only` isn't one of them.
    """
    configuration = config.read(context)
    to_run = notebooks.resolve(configuration, context.app_dir)
    if only is not None and only not in {notebook.name for notebook in to_run}:
        raise NotebookUnknownError(notebook=only, listed=list(dict.fromkeys(each.name for each in to_run)))
    secrets = bindings.read(context.bindings_dir)
    output.hide(secrets.values())
    user, reinstalled = _packages(context, interpreter.probe(python, context.env), configuration)
    question = Question(context=context, configuration=configuration, to_run=to_run, user=user, secrets=secrets)
    foresight = _Foresight(question, ["the packages come out the same"] if reinstalled is not None else [])
    forecasts = [foresight.decide(notebook) for notebook in to_run]
    return Outlook(
        reinstalled=reinstalled,
        discarded=foresight.store.discarded,
        forecasts=[each for each in forecasts if only in {None, each.notebook}],
        in_full=only is not None,
    )


def _packages(
    context: BuildContext, base: Interpreter, configuration: Configuration
) -> tuple[Interpreter, Sequence[str] | None]:
    """Return the interpreter as it would be with the packages that are there, and why these would not stay."""
    if interpreter.requirements_directory(base, context) is not None:
        return base, None
    if not (context.app_dir / requirements.FILE_NAME).is_file():
        raise RequirementsMissingError
    cached = packages.look(context, base, upgrade=configuration.upgrade.value)
    if cached.reasons is None:
        return cached.probe(context), None
    # As if the same were installed again: what pip would choose, only pip could say.
    known = cached.probe(context).distributions if cached.python.exists() else {}
    return replace(base, prefix=cached.layer.path, distributions=known), cached.reasons or ["they were never installed"]


class _Foresight:
    """One pass over the list."""

    def __init__(self, question: Question, provisos: Sequence[str]) -> None:
        context = question.context
        self.store = ReadOnlyStore(stage_store.layer(context).path)
        self._session = Session(store=self.store)
        self._question = question
        self._digester = question.digester(self.store)
        self._view = View(context.app_dir, stages.layer(context).path / stages.TREE, self._digester)
        self._general = provisos
        self._running: dict[str, Stored | None] = {}

    def decide(self, notebook: Notebook) -> Forecast:
        """Decide about the next one."""
        if notebook.name in self._running:
            reasons = ("it is listed again, after a run that isn't there yet",)
            return Forecast(notebook=notebook.name, decision=Decision(reasons=reasons))
        if self._question.configuration.cache.value == "off":
            return Forecast(notebook=notebook.name, decision=Decision(reasons=(OFF,)))
        key = self._question.key(notebook, self.store.keyed_digest)
        world = self._question.world(self.store, self._view, self._digester)
        terms, forced = self._question.terms(notebook), self._question.forced_reason(notebook)
        decision = self._session.decide(key, world, terms, forced)
        traces = self.store.traces(notebook.name)[0]
        about = decision.stored or decision.compared or next(iter(traces), None)
        is_certain = forced is not None or all(_differs_by_itself(stored, key, terms) for stored in traces)
        forecast = Forecast(
            notebook=notebook.name,
            decision=decision,
            about=about,
            is_last=about is not None and about.file in (self.store.used() or ()),
            differences=self._all_differences(decision, about, key, world),
            runs=len(traces),
            provisos=() if is_certain else self._provisos(decision, about),
        )
        if decision.stored is None:
            self._running[notebook.name] = about
        if about is not None:
            self._view.apply(about.trace.outputs)
        return forecast

    def _all_differences(self, decision: Decision, about: Stored | None, key: Key, world: World) -> Sequence[str]:
        if about is None or decision.stored is not None:
            return ()
        return differences(about.trace, key, self.store.packages, world, most=None) or decision.reasons

    def _provisos(self, decision: Decision, about: Stored | None) -> list[str]:
        general = self._general if decision.stored is not None else ()
        return [*general, *(text for name, run in self._running.items() if (text := _proviso(name, run, about)))]


def _differs_by_itself(stored: Stored, key: Key, terms: Terms) -> bool:
    """Whether the run can't be reused, whatever earlier notebooks write."""
    return stored.trace.key != key or terms.objection(stored.trace) is not None


def _proviso(earlier: str, run: Stored | None, about: Stored | None) -> str | None:
    """Return what has to come true of an earlier notebook, None if this one used nothing that it wrote."""
    if run is None:
        return f"{earlier}, which has no earlier run, writes nothing that this one uses"
    used = _used(about.trace.dependencies, run.trace.outputs) if about is not None else []
    if not used:
        return None
    return f"{earlier} writes the same as in its run of {when(run.trace)}, of which this one uses {', '.join(used)}"


def _used(dependencies: Dependencies, outputs: Mapping[str, Written]) -> list[str]:
    """Return the outputs that a run with these dependencies would have noticed."""
    sees_all = dependencies.tree is not None or dependencies.names is not None
    return sorted(path for path in outputs if sees_all or _notices(dependencies)(path))


def _notices(dependencies: Dependencies) -> Callable[[str], bool]:
    def notices(path: str) -> bool:
        directory, _, name = path.rpartition("/")
        modules = dependencies.modules.get(directory, {})
        return (
            path in dependencies.files
            or path in dependencies.shapes
            or directory in dependencies.lists
            or any(name in candidates for candidates in modules.values())
        )

    return notices
