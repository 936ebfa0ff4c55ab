"""From notebooks to stage files: each is run, or what an earlier run of it left is put back."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nachlass_bp import adoption, host, installed, notebooks, overlays, provenance
from nachlass_bp.cache.digests import Digester
from nachlass_bp.cache.session import Session, stored_files
from nachlass_bp.cache.store import BlobError, Store, Stored
from nachlass_bp.cache.trace import Key, Trace
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.decisions import OFF, Question
from nachlass_bp.desk import Desk
from nachlass_bp.errors import CellFailedError, NothingSavedError
from nachlass_bp.layers import packages, stage_store, stages
from nachlass_bp.layers.stages import SavedStage
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output, size_text
from nachlass_bp.provenance import Run
from nachlass_bp.recording import Ran, Recorder
from nachlass_bp.room import Room
from nachlass_bp.runner import execution, kept
from nachlass_bp.runner.kept import kept_notebook_named
from nachlass_bp.runner.kernel import KernelConfiguration
from nachlass_bp.runner.renewed import renewed
from nachlass_bp.tree import WorkingTree

_ELSEWHERE = "a later notebook needs a file outside the repository, which only a run can make"
_DAMAGED = "what its last run left is damaged in the cache"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The stages, one a notebook that saved one, the files of candidate samples, and what is known of each run."""

    saved: Sequence[SavedStage]
    samples: Sequence[Path]
    runs: Sequence[Run]
    desk: Desk
    store: Store | None
    used: Sequence[Path]
    """The files of the traces that were reused or made."""
    executed: Mapping[str, Path]
    """For each notebook the file of its last run with its outputs, for reading only."""

    @property
    def traces(self) -> list[Trace]:
        """The traces that there are."""
        return [run.trace for run in self.runs if run.trace is not None]

    @property
    def is_traced(self) -> bool:
        """Whether there is a trace of every notebook."""
        return len(self.traces) == len(self.runs)

    @property
    def holds_secrets(self) -> bool:
        """Whether something that a run left holds the value of a secret."""
        return any(run.holds_secret for run in self.runs)


def train(
    room: Room,
    configuration: Configuration,
    to_run: Sequence[Notebook],
    secrets: Mapping[str, str],
    scratch: Path,
) -> Trained:
    """Run or reuse the notebooks in order.

    Raises:
        BuildpackError: A notebook could not be run to its end, or none saved a stage.
    """
    if room.context.report_dir is not None:  # Of the last build: until now, they may be what its author looks at.
        shutil.rmtree(room.context.report_dir / "notebooks", ignore_errors=True)
    store = stage_store.open_store(room.context, configuration, room.output)
    forced: str | None = None
    while True:
        trainer = _Trainer(room, configuration, to_run, secrets, scratch, store, forced)
        try:
            trained = trainer.train()
        except (CellFailedError, BlobError) as error:
            # A reuse can't put back what lies outside the tree: the failure may be ours, and then a run mends it.
            if forced is not None or not trainer.has_reused or not _may_be_ours(error, trainer.desk):
                raise
            forced = _DAMAGED if isinstance(error, BlobError) else _ELSEWHERE
            room.output.step(f"Once more, without the cache: {forced}")
            continue
        trainer.say_hints()
        return trained


def tidy_up(trained: Trained, configuration: Configuration, output: Output) -> None:
    """Say how large the cache is, and drop what no build will ask for. Nothing may be read from the store after it."""
    if trained.store is None:
        return
    output.heading("Stage cache")
    size = trained.store.evict(trained.used, configuration.cache_max_bytes.value)
    trained.store.close()
    output.step(f"{size_text(size)} for the next build")


def _may_be_ours(error: CellFailedError | BlobError, desk: Desk) -> bool:
    if isinstance(error, BlobError):
        return True
    return error.missing_path is not None and desk.view.relative(error.missing_path) is None


class _Trainer:
    """One pass over the list."""

    def __init__(  # noqa: PLR0913 - the one caller hands over all it has
        self,
        room: Room,
        configuration: Configuration,
        to_run: Sequence[Notebook],
        secrets: Mapping[str, str],
        scratch: Path,
        store: Store | None,
        forced: str | None,
    ) -> None:
        self._room = room
        self._configuration = configuration
        self._to_run = to_run
        self._secrets = secrets
        self._scratch = scratch
        self._store = store
        self._forced = forced
        self._used: list[Path] = []
        self._question = Question(
            context=room.context, configuration=configuration, to_run=to_run, user=room.user, secrets=secrets
        )
        digester = self._question.digester(store) if store is not None else Digester()
        self.desk = Desk(room.context.app_dir, stages.layer(room.context), store, digester)
        session = Session(store=store, used=self._used) if store is not None else None
        self._recorder = Recorder(room, configuration, self.desk, self._question, session)
        self._saved: dict[str, SavedStage] = {}
        self._samples: list[Path] = []
        self._runs: list[Run] = []
        self._hints = adoption.Hints(configuration.stages.value)
        self._executed: dict[str, Path] = {}
        self.has_reused = False
        self._companion = overlays.choose_overlay(
            room.context.buildpack_dir / "locks" / "kernel.json",
            {name: found.version for name, found in room.user.distributions.items()},
        )

    def train(self) -> Trained:
        """Run or reuse every notebook."""
        for replaced in self._companion.replaced:
            self._room.output.step(f"In the notebooks' kernel: {replaced}")
        try:
            for number, notebook in enumerate(self._to_run, start=1):
                self._room.output.heading(f"Notebook {number} of {len(self._to_run)}: {notebook.name}")
                directory = self._scratch / f"{number:02d}"
                shutil.rmtree(directory, ignore_errors=True)
                directory.mkdir()
                self._one(notebook, directory)
        finally:
            self._recorder.stop()
        if not self._saved:
            raise self._nothing_saved()
        return Trained(
            saved=list(self._saved.values()),
            samples=self._samples,
            runs=self._runs,
            desk=self.desk,
            store=self._store,
            used=self._used,
            executed=self._executed,
        )

    def say_hints(self) -> None:
        """Say what the author may have forgotten."""
        for hint in self._hints.found.values():
            self._room.output.warning(hint)

    # --- one notebook ---

    def _one(self, notebook: Notebook, directory: Path) -> None:
        session = self._recorder.session
        if session is None:
            self._room.output.step(f"{notebook.name}: run ({OFF})")
            self._run(notebook, directory, None)
            return
        key = self._question.key(notebook, session.store.keyed_digest)
        world = self._question.world(session.store, self.desk.view, self.desk.digester)
        terms, forced = self._question.terms(notebook), self._forced or self._question.forced_reason(notebook)
        decision = session.decide(key, world, terms, forced)
        self._room.output.step(f"{notebook.name}: {decision.text}")
        if decision.stored is None:
            self._run(notebook, directory, key)
        else:
            self._reuse(notebook, directory, decision.stored, session)

    def _reuse(self, notebook: Notebook, directory: Path, stored: Stored, session: Session) -> None:
        store, trace = session.store, stored.trace
        self.has_reused = True  # Also if it fails: then a run mends it.
        self.desk.reuse(trace.outputs)
        session.use(stored.file)
        self._runs.append(provenance.traced(trace))
        if trace.stage is not None:
            self._saved[notebook.name] = SavedStage(notebook=notebook, file=store.path_of(trace.stage))
        else:
            self._hints.look(notebook.name, notebook.cwd, stored_files(store, trace.outputs))
        if trace.samples is not None:
            self._samples.append(store.path_of(trace.samples))
        if trace.executed is not None:
            file = _kept_file(self._room.context, notebook) or directory / "executed.ipynb"
            try:
                kept.write(file, renewed(store.path_of(trace.executed), notebook.parameterised.content))
            except ValueError as error:
                raise BlobError(f"the executed notebook can't be read: {error}") from error
            self._executed[notebook.name] = file

    def _run(self, notebook: Notebook, directory: Path, key: Key | None) -> None:
        """Run the notebook, and keep what there is to keep of the run."""
        output, tree = self._room.output, self.desk.tree()
        job = self._job(notebook.parameterised, directory, tree)
        before, old_sav = tree.snapshot(), tree.fingerprint(notebook.sav_path)
        started_ns = self._recorder.begin(tree)
        output.step(f"Running {len(job.notebook.code_cells)} code cells")
        kept = _kept_file(self._room.context, notebook)
        with (
            installed.unchanged(notebook.name, self._room.user.path, packages.layer_of(self._room.context), output),
            kept_notebook_named(kept, output),
        ):
            try:
                result = execution.run(job, output)
            except CellFailedError as error:
                self._name_who_may_make(error, notebook.name)
                raise
        openings = self._recorder.openings()
        if notebook.adoption is not None:
            adoption.adopt(notebook.adoption, tree, before, job.stage_file, output)
            result = replace(result, saved=True)
        self._say_saved(job, result)
        if job.kept_file is not None:
            self._executed[notebook.name] = job.kept_file
        if result.saved:
            # A file that stood there before this run is somebody's older stage: the next notebook must not load that.
            if tree.fingerprint(notebook.sav_path) == old_sav:
                _place(job.stage_file, tree.root / notebook.sav_path)
            self._saved[notebook.name] = SavedStage(notebook=notebook, file=job.stage_file)
        else:
            self._hints.look(notebook.name, notebook.cwd, adoption.new_files(tree, before))
        if job.samples_file.exists():
            self._samples.append(job.samples_file)
        ran = Ran(
            notebook=notebook,
            key=key,
            job=job,
            result=result,
            before=before,
            openings=openings,
            started_ns=started_ns,
        )
        self._runs.append(self._recorder.keep(ran))

    def _name_who_may_make(self, error: CellFailedError, failed: str) -> None:
        """Advise to list the notebooks that name a missing file, if they don't run, or to run them before `failed`."""
        if error.missing_path is None:
            return
        is_inside = Path(error.missing_path).is_relative_to(self.desk.tree().root)
        if not is_inside and not Path(error.missing_as_written or "").is_absolute():
            return  # No notebook leaves a file beside the repository; and who names that may need it as well.
        listed = [*dict.fromkeys(notebook.name for notebook in self._to_run)]
        name = Path(error.missing_path).name
        naming = dict(notebooks.naming(name, self._room.context.app_dir))
        others = {each: line for each, line in naming.items() if each not in listed}
        after = listed[listed.index(failed) + 1 :]
        later = {each: naming[each] for each in after if each in naming}
        if others:
            error.advice = notebooks.advice_to_list(name, others, listed)
        elif later:
            error.advice = notebooks.advice_to_reorder(name, later, listed, failed)
        error.yields_advice = error.yields_advice and not others and not later

    def _say_saved(self, job: execution.Job, result: execution.Run) -> None:
        peak = f", at most {size_text(result.peak_bytes)} of memory" if result.peak_bytes else ""
        if not result.saved:
            self._room.output.step(
                f"Done in {result.seconds:.1f} s{peak}; it saved no stage, so it counts as data preparation"
            )
            return
        size = size_text(job.stage_file.stat().st_size)
        self._room.output.step(f"Saved a stage ({size}) in {result.seconds:.1f} s{peak}")

    def _job(self, notebook: Notebook, directory: Path, working_tree: WorkingTree) -> execution.Job:
        return execution.Job(
            notebook=notebook,
            python=self._room.user.executable,
            tree=working_tree.root,
            kernel=self._kernel(working_tree),
            env=self._room.user_environment,
            variables=self._secrets,
            stage_file=directory / "stage" / f"{notebook.stem}.sav",
            samples_file=directory / "samples.pickle",
            kept_file=_kept_file(self._room.context, notebook) or directory / "executed.ipynb",
            home=self._configuration.home.value,
            timeout_s=self._configuration.timeout_s.value,
            trace_file=directory / "trace.jsonl" if self._recorder.session is not None else None,
            offline=self._configuration.offline.value,
        )

    def _kernel(self, working_tree: WorkingTree) -> KernelConfiguration:
        room = self._room
        companion = self._companion
        return KernelConfiguration(
            overlay_module=str(room.service.overlay_module),
            site=str(room.kernel_site),
            names=companion.names,
            distributions=companion.distributions,
            fallback_paths=room.fallback_paths,
            import_paths=(str(working_tree.root),),
            tree=str(working_tree.root),
            app_dir=str(working_tree.app_dir),
            own_directories=(str(room.context.layers_root), str(room.context.buildpack_dir)),
            seed=self._configuration.seed.value,
            memory_limit_bytes=self._configuration.memory_limit_bytes.value,
        )

    def _nothing_saved(self) -> NothingSavedError:
        last = self._to_run[-1]
        others = [notebook.name for notebook in self._to_run[:-1]]
        return NothingSavedError(
            notebook=last.name,
            cell_count=len(last.code_cells),
            others=others,
            hint=self._slip() or self._hints.last,
        )

    def _slip(self) -> str | None:
        """Say which notebook misspells the variable that it meant to find the stage's path in, the last one first."""
        for notebook in reversed(self._to_run):
            code = "\n".join(str(cell.source) for cell in notebook.code_cells)
            if name := notebooks.misspelt_stage_variable(code):
                right = notebooks.STAGE_VARIABLES[0]
                return f"'{notebook.name}' names {name}, which nobody sets. The variable is {right}."
        return None


def _place(stage_file: Path, sav: Path) -> None:
    """Put the stage where the 2019 builder had it."""
    host.remove_tree(sav)  # It may be a link out of the tree, or a directory.
    sav.parent.mkdir(parents=True, exist_ok=True)  # The notebook may have deleted its own.
    shutil.copyfile(stage_file, sav)


def _kept_file(context: BuildContext, notebook: Notebook) -> Path | None:
    return context.report_dir / "notebooks" / notebook.name if context.report_dir else None
