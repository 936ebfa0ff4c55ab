"""From notebooks to stage files: each is run, or what an earlier run of it left is put back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from nachlass_bp import adoption, commit_sources, host, installed, overlays, provenance
from nachlass_bp.cache import record
from nachlass_bp.cache.compare import World
from nachlass_bp.cache.digests import sha256_of
from nachlass_bp.cache.key import code_digest, packages_of
from nachlass_bp.cache.session import Session, keep_outputs, stored_files
from nachlass_bp.cache.store import BlobError, Store, Stored
from nachlass_bp.cache.trace import Dependencies, Key, Mode, Record, Trace
from nachlass_bp.cache.view import Output
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.decisions import Question
from nachlass_bp.desk import Desk
from nachlass_bp.errors import CellFailedError, NothingSavedError
from nachlass_bp.inotify import Openings, Watch, WatchError
from nachlass_bp.layers import packages, stage_store, stages
from nachlass_bp.layers.stages import SavedStage
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output as BuildLog
from nachlass_bp.output import size_text
from nachlass_bp.provenance import Run
from nachlass_bp.room import Room
from nachlass_bp.runner import execution
from nachlass_bp.runner.kept import kept_notebook_named
from nachlass_bp.runner.kernel import KernelConfiguration
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


def tidy_up(trained: Trained, configuration: Configuration, output: BuildLog) -> None:
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
        self._session = Session(store=store, used=self._used) if store is not None else None
        self._question = Question(
            context=room.context, configuration=configuration, to_run=to_run, user=room.user, secrets=secrets
        )
        self.desk = Desk(room.context.app_dir, stages.layer(room.context), store)
        self._watch: Watch | None = None
        self._watch_problem: str | None = None
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
            if self._watch is not None:
                self._watch.stop()
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
        if self._session is None:
            self._room.output.step(f"{notebook.name}: run (the cache is off)")
            self._run(notebook, directory, None)
            return
        key = self._question.key(notebook, self._session.store.keyed_digest)
        forced = self._forced or self._question.forced_reason(notebook)
        decision = self._session.decide(key, self._world(), forced)
        self._room.output.step(f"{notebook.name}: {decision.text}")
        if decision.stored is None:
            self._run(notebook, directory, key)
        else:
            self._reuse(notebook, decision.stored)

    def _reuse(self, notebook: Notebook, stored: Stored) -> None:
        assert self._store is not None
        assert self._session is not None
        trace = stored.trace
        self.desk.reuse(trace.outputs)
        self.has_reused = True
        self._session.use(stored.file)
        self._runs.append(provenance.traced(trace))
        if trace.stage is not None:
            self._saved[notebook.name] = SavedStage(notebook=notebook, file=self._store.path_of(trace.stage))
        else:
            self._hints.look(notebook.name, notebook.cwd, stored_files(self._store, trace.outputs))
        if trace.samples is not None:
            self._samples.append(self._store.path_of(trace.samples))
        if trace.executed is not None:
            self._executed[notebook.name] = self._store.path_of(trace.executed)
        kept = _kept_file(self._room.context, notebook)
        if kept is not None and trace.executed is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            self._store.restore(trace.executed, kept, mode=0o600)

    def _run(self, notebook: Notebook, directory: Path, key: Key | None) -> None:
        """Run the notebook, and keep what there is to keep of the run."""
        author, notebook = notebook, notebook.parameterised
        output = self._room.output
        working_tree = self.desk.tree()
        self._start_watching(working_tree)
        job = self._job(notebook, directory, working_tree)
        before, old_sav = working_tree.snapshot(), working_tree.fingerprint(notebook.sav_path)
        if self._watch is not None:
            self._watch.take()
        started_ns = time.time_ns()
        self._room.output.step(f"Running {len(notebook.code_cells)} code cells")
        kept = _kept_file(self._room.context, notebook)
        with (
            installed.unchanged(notebook.name, self._room.user.path, packages.layer_of(self._room.context), output),
            kept_notebook_named(kept, output),
        ):
            result = execution.run(job, output)
        openings = self._watch.take() if self._watch is not None else None
        if notebook.adoption is not None:
            adoption.adopt(notebook.adoption, working_tree, before, job.stage_file, self._room.output)
            result = replace(result, saved=True)
        self._say_saved(job, result)
        if job.kept_file is not None:
            self._executed[notebook.name] = job.kept_file
        if result.saved:
            # A file that stood there before this run is somebody's older stage: the next notebook must not load that.
            if working_tree.fingerprint(notebook.sav_path) == old_sav:
                _place(job.stage_file, working_tree.root / notebook.sav_path)
            self._saved[notebook.name] = SavedStage(notebook=notebook, file=job.stage_file)
        else:
            self._hints.look(notebook.name, notebook.cwd, adoption.new_files(working_tree, before))
        if job.samples_file.exists():
            self._samples.append(job.samples_file)
        if key is None:
            self._runs.append(self._untraced(author, job, result, started_ns, "the cache is off"))
            return
        try:
            outputs = self.desk.changes(before)
        except OSError as error:
            # What the later notebooks find is unknown from here on, and so is what they depend on.
            self._session = None
            self._room.output.warning(f"The cache is off from here: {error.filename}: {error.strerror}")
            self._runs.append(self._untraced(author, job, result, started_ns, "what it left could not be read"))
            return
        try:
            self._runs.append(provenance.traced(self._keep(job, key, result, outputs, openings, started_ns)))
        except OSError as error:
            self._runs.append(
                self._untraced(author, job, result, started_ns, "the record of its run could not be kept")
            )
            self._room.output.warning(f"This run couldn't be kept for the next build: {error.strerror or error}")
        self.desk.view.apply(outputs)

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
            trace_file=directory / "trace.jsonl" if self._session is not None else None,
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

    # --- the cache ---

    def _world(self) -> World:
        assert self._store is not None
        return self._question.world(self._store, self.desk.view, self.desk.digester)

    def _start_watching(self, working_tree: WorkingTree) -> None:
        if self._session is None or self._watch is not None or self._watch_problem is not None:
            return
        if self._configuration.cache.value == "conservative":
            self._watch_problem = f"{self._configuration.cache.source} asks for it"
            return
        watch: Watch | None = None
        try:
            watch = Watch(working_tree.root)
            watch.prove()
            self._watch = watch
        except WatchError as error:
            # What such a watch tells may be a part: nothing of it is believed.
            self._watch_problem = str(error)
            if watch is not None:
                watch.stop()
        if self._watch_problem is not None:
            self._room.output.step(
                f"The whole repository counts as each notebook's input, because {self._watch_problem}"
            )

    def _keep(
        self,
        job: execution.Job,
        key: Key,
        result: execution.Run,
        outputs: Mapping[str, Output],
        openings: Openings | None,
        started_ns: int,
    ) -> Trace:
        assert self._store is not None
        assert self._session is not None
        assert job.trace_file is not None
        world = self._world()
        seen = record.read_log(job.trace_file)
        run = record.Run(
            view=self.desk.view,
            outputs=outputs,
            openings=openings,
            env=world.env,
            keyed=world.keyed,
            digester=world.digester,
            code=world.code,
            started_ns=started_ns,
            patterns=job.notebook.options.deps,
        )
        mode, mode_reason = self._mode(seen, openings, result)
        dependencies = record.traced(seen, run) if mode == "trace" else record.conservative(seen, run)
        network = _network_use(seen, result)
        not_reusable = self._not_reusable(job.notebook, network, seen, dependencies, run)
        if mode_reason is not None and mode_reason != self._watch_problem:
            self._room.output.step(f"The whole repository counts as its input, because {mode_reason}")
        if not_reusable is not None:
            self._room.output.step(f"The next build will run it again: {not_reusable}")
        trace = Trace(
            key=key,
            mode=mode,
            mode_reason=mode_reason,
            not_reusable=not_reusable,
            dependencies=dependencies,
            outputs=outputs,
            stage=self._store.add(job.stage_file) if result.saved else None,
            samples=self._store.add(job.samples_file) if job.samples_file.exists() else None,
            executed=self._store.add(job.kept_file) if job.kept_file is not None and job.kept_file.exists() else None,
            record=self._record(job, result, started_ns, network=network is not None, programs=bool(seen.programs)),
        )
        keep_outputs(self._store, outputs, job.tree)
        self._session.keep(trace, packages_of(self._room.user))
        return trace

    def _untraced(
        self, notebook: Notebook, job: execution.Job, result: execution.Run, started_ns: int, reason: str
    ) -> Run:
        # Without a record, no socket at all is the one thing that says something.
        network = False if result.sockets == 0 else None
        return Run(
            notebook=job.notebook.name,
            code=code_digest(notebook),
            stage=sha256_of(job.stage_file) if result.saved else None,
            record=self._record(job, result, started_ns, network=network, programs=None),
            untraced=reason,
        )

    def _record(
        self, job: execution.Job, result: execution.Run, started_ns: int, *, network: bool | None, programs: bool | None
    ) -> Record:
        return Record(
            at=datetime.fromtimestamp(started_ns / 1e9, timezone.utc).isoformat(timespec="seconds"),
            seconds=round(result.seconds, 3),
            peak_bytes=result.peak_bytes,
            network=network,
            programs=programs,
            cells=len(job.notebook.code_cells),
            commit=commit_sources.find(self._configuration.commit.value, self._room.context),
        )

    def _mode(self, seen: record.Seen, openings: Openings | None, result: execution.Run) -> tuple[Mode, str | None]:
        if openings is None:
            return "conservative", self._watch_problem
        if openings.problem is not None:
            return "conservative", openings.problem
        if result.untraced is not None:
            return "conservative", result.untraced
        return ("conservative", "the record of what it looked at is damaged") if seen.damaged else ("trace", None)

    def _not_reusable(
        self,
        notebook: Notebook,
        network: str | None,
        seen: record.Seen,
        dependencies: Dependencies,
        run: record.Run,
    ) -> str | None:
        is_stable = self._configuration.assume_stable_network.value or notebook.options.network == "stable"
        if network is not None and not is_stable:
            return network
        if path := record.left_outside(seen):
            return f"it left {path}, outside the repository"
        if path := record.changed_outside(dependencies, run):
            return f"{path}, outside the repository, changed while it ran"
        return None

    def _nothing_saved(self) -> NothingSavedError:
        last = self._to_run[-1]
        path = str(self._scratch / f"{len(self._to_run):02d}" / "stage" / f"{last.stem}.sav")
        others = [notebook.name for notebook in self._to_run[:-1]]
        return NothingSavedError(
            notebook=last.name,
            stage_path=path,
            cell_count=len(last.code_cells),
            others=others,
            hint=self._hints.last,
        )


def _place(stage_file: Path, sav: Path) -> None:
    """Put the stage where the 2019 builder had it."""
    host.remove_tree(sav)  # It may be a link out of the tree, or a directory.
    sav.parent.mkdir(parents=True, exist_ok=True)  # The notebook may have deleted its own.
    shutil.copyfile(stage_file, sav)


def _network_use(seen: record.Seen, result: execution.Run) -> str | None:
    """Say how the run used the network, or may have; None when it surely didn't."""
    if seen.network:
        return f"it used the network ({seen.network[0]})"
    if result.sockets is None:
        return "it started programs, which may use the network" if seen.programs else None
    return "it used the network, by a program or compiled code" if result.sockets > seen.sockets else None


def _kept_file(context: BuildContext, notebook: Notebook) -> Path | None:
    return context.report_dir / "notebooks" / notebook.name if context.report_dir else None
