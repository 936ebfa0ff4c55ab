"""What later builds are told of a run: the tree is watched while a notebook runs, and a trace comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from nachlass_bp import commit_sources, provenance
from nachlass_bp.cache import record
from nachlass_bp.cache.digests import DIRECTORY, OTHER, is_sealed, sha256_of
from nachlass_bp.cache.key import code_digest, packages_of
from nachlass_bp.cache.session import Session, keep_outputs
from nachlass_bp.cache.trace import Dependencies, Key, Mode, Record, Trace
from nachlass_bp.cache.view import Output
from nachlass_bp.config import Configuration
from nachlass_bp.decisions import OFF, Question
from nachlass_bp.desk import Desk
from nachlass_bp.hidden import Hidden
from nachlass_bp.inotify import Openings, Watch, WatchError
from nachlass_bp.notebooks import Notebook
from nachlass_bp.room import Room
from nachlass_bp.runner import execution
from nachlass_bp.tree import Fingerprint, WorkingTree


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """A run that came to its end. `notebook` is as its author wrote it; `before` is the tree as the run found it.

    `key` is None when the cache is off, `openings` when nobody watched; `started_ns` is a wall-clock time.
    """

    notebook: Notebook
    key: Key | None
    job: execution.Job
    result: execution.Run
    before: Mapping[str, Fingerprint]
    openings: Openings | None
    started_ns: int


class Recorder:
    """Keeps the runs of one pass over the list, in the session's store if there is one."""

    def __init__(
        self, room: Room, configuration: Configuration, desk: Desk, question: Question, session: Session | None
    ) -> None:
        self.session = session
        self._room = room
        self._configuration = configuration
        self._desk = desk
        self._question = question
        self._hidden = Hidden(question.secrets)
        self._watch: Watch | None = None
        self._watch_problem: str | None = None

    def begin(self, tree: WorkingTree) -> int:
        """Watch from now on; return the time."""
        if self.session is not None and self._watch is None and self._watch_problem is None:
            self._start_watching(tree)
        if self._watch is not None:
            self._watch.extend(_made_directories(self._desk.view.outputs))
        self.openings()
        return time.time_ns()

    def openings(self) -> Openings | None:
        """Return what has been opened since the last time, None when nobody watches."""
        return self._watch.take() if self._watch is not None else None

    def stop(self) -> None:
        """Watch no longer."""
        if self._watch is not None:
            self._watch.stop()

    def keep(self, ran: Ran) -> provenance.Run:
        """Keep a run for later builds, as far as that is possible, and let the view of the tree hold what it left."""
        if self.session is None or ran.key is None:
            return self._untraced(ran, OFF)
        try:
            outputs = self._desk.changes(ran.before)
        except OSError as error:
            # What the later notebooks find is unknown from here on, and so is what they depend on.
            self.session = None
            self._room.output.warning(f"The cache is off from here: {error.filename}: {error.strerror}")
            return self._untraced(ran, "what it left could not be read")
        try:
            kept = self._keep(ran, ran.key, outputs, self.session)
        except OSError as error:
            self._room.output.warning(f"This run couldn't be kept for the next build: {error.strerror or error}")
            kept = self._untraced(ran, "the record of its run could not be kept")
        self._desk.view.apply(outputs)
        return kept

    def _start_watching(self, tree: WorkingTree) -> None:
        if self._configuration.cache.value == "conservative":
            self._watch_problem = f"{self._configuration.cache.source} asks for it"
            return
        watch: Watch | None = None
        try:
            watch = Watch(tree.root)
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

    def _keep(self, ran: Ran, key: Key, outputs: Mapping[str, Output], session: Session) -> provenance.Run:
        """Keep what may be kept: no value of a secret, nor a plain digest of what holds one, goes into the store."""
        job, store = ran.job, session.store
        trace = self._trace(ran, key, outputs, session)
        in_name = self._name_with_secret(trace)
        secret = in_name or self._file_with_secret(job, outputs)
        if secret is not None:
            trace = replace(trace, not_reusable=f"{secret}, which may be in no layer")
        if objection := self._question.terms(ran.notebook).objection(trace):
            self._room.output.step(f"The next build will run it again: {objection}")
        if secret is None:
            for file in (job.stage_file, job.samples_file, job.kept_file):
                if file is not None and file.exists():
                    store.add(file)
        keep_outputs(store, outputs, job.tree)
        kept = trace if secret is None else replace(trace, stage=None, samples=None, executed=None)
        if in_name is not None:
            kept = replace(kept, dependencies=Dependencies(), outputs={})
        session.keep(kept, packages_of(self._room.user))
        return provenance.traced(trace, holds_secret=secret is not None)

    def _file_with_secret(self, job: execution.Job, outputs: Mapping[str, Output]) -> str | None:
        """Say which file that the run left holds the value of a secret, None if none does."""
        for what, file in {"its stage": job.stage_file, "the sample of its data": job.samples_file}.items():
            if file.exists() and (name := self._hidden.in_file(file)) is not None:
                return f"{what} holds the value of the secret {name}"
        sealed = next((path for path, output in outputs.items() if is_sealed(output.entry)), None)
        if sealed is None:
            return None
        # Whatever is found there now: its bytes are not kept, and can't be put back.
        name = self._hidden.in_file(job.tree / sealed)
        return f"{sealed} holds the value of {f'the secret {name}' if name is not None else 'a secret'}"

    def _name_with_secret(self, trace: Trace) -> str | None:
        """Say that a name in a trace or in the tree that it saw holds the value of a secret, None if none does.

        The names of the repository are in the image, and no secrets.
        """
        used, app_dir = trace.dependencies, self._room.context.app_dir
        if not self._hidden:
            return None
        paths = {*used.files, *used.shapes, *used.lists, *trace.outputs, *self._desk.view.outputs}
        names = {path for path in paths if path and not os.path.lexists(app_dir / path)}
        entries = [*used.files.values(), *(output.entry for output in trace.outputs.values())]
        links = (entry for entry in entries if entry is not None and entry.startswith("l:"))
        private = self._question.private_directories
        outer = {*used.external, *used.external_lists, *used.external_modules}
        outside = (path for path in outer if not provenance.is_private(path, private))
        name = self._hidden.in_texts(
            [*names, *links, *outside, *used.env, trace.not_reusable or "", trace.network or ""]
        )
        return None if name is None else f"a name that it used holds the value of the secret {name}"

    def _without_absent_secrets(self, dependencies: Dependencies) -> Dependencies:
        """Forget that nothing was found under a name that holds a secret: no repository has a file of that name.

        IPython asks of each text that is to be shown as HTML whether it is the name of a file.
        """
        absent = [path for each in (dependencies.files, dependencies.shapes) for path in each if each[path] is None]
        if self._hidden.in_texts(absent) is None:
            return dependencies
        files, shapes = (
            {path: found for path, found in each.items() if found is not None or self._hidden.in_texts([path]) is None}
            for each in (dependencies.files, dependencies.shapes)
        )
        return replace(dependencies, files=files, shapes=shapes)

    def _trace(self, ran: Ran, key: Key, outputs: Mapping[str, Output], session: Session) -> Trace:
        job, store = ran.job, session.store
        assert job.trace_file is not None
        world = self._question.world(store, self._desk.view, self._desk.digester)
        seen = record.read_log(job.trace_file)
        run = record.Run(
            view=self._desk.view,
            outputs=outputs,
            openings=ran.openings,
            env=world.env,
            keyed=world.keyed,
            digester=world.digester,
            code=world.code,
            started_ns=ran.started_ns,
            patterns=ran.notebook.options.deps,
        )
        mode, mode_reason = self._mode(seen, ran)
        dependencies = record.traced(seen, run) if mode == "trace" else record.conservative(seen, run)
        dependencies = self._without_absent_secrets(dependencies)
        network = _network_use(seen, ran.result)
        not_reusable = _not_reusable(seen, dependencies, run)
        if mode_reason is not None and mode_reason != self._watch_problem:
            self._room.output.step(f"The whole repository counts as its input, because {mode_reason}")
        return Trace(
            key=key,
            mode=mode,
            mode_reason=mode_reason,
            not_reusable=not_reusable,
            network=network,
            dependencies=dependencies,
            outputs=outputs,
            stage=sha256_of(job.stage_file) if ran.result.saved else None,
            samples=sha256_of(job.samples_file) if job.samples_file.exists() else None,
            executed=sha256_of(job.kept_file) if job.kept_file is not None and job.kept_file.exists() else None,
            record=self._record(ran, network=network is not None, programs=bool(seen.programs)),
        )

    def _untraced(self, ran: Ran, reason: str) -> provenance.Run:
        # Without a record, no socket at all is the one thing that says something.
        network = False if ran.result.sockets == 0 else None
        return provenance.Run(
            notebook=ran.notebook.name,
            code=code_digest(ran.notebook),
            stage=sha256_of(ran.job.stage_file) if ran.result.saved else None,
            record=self._record(ran, network=network, programs=None),
            untraced=reason,
        )

    def _record(self, ran: Ran, *, network: bool | None, programs: bool | None) -> Record:
        return Record(
            at=datetime.fromtimestamp(ran.started_ns / 1e9, timezone.utc).isoformat(timespec="seconds"),
            seconds=round(ran.result.seconds, 3),
            peak_bytes=ran.result.peak_bytes,
            network=network,
            programs=programs,
            cells=len(ran.job.notebook.code_cells),
            commit=commit_sources.find(self._configuration.commit.value, self._room.context),
        )

    def _mode(self, seen: record.Seen, ran: Ran) -> tuple[Mode, str | None]:
        if ran.openings is None:
            return "conservative", self._watch_problem
        if ran.openings.problem is not None:
            return "conservative", ran.openings.problem
        if ran.result.untraced is not None:
            return "conservative", ran.result.untraced
        return ("conservative", "the record of what it looked at is damaged") if seen.damaged else ("trace", None)


def _not_reusable(seen: record.Seen, dependencies: Dependencies, run: record.Run) -> str | None:
    if path := record.left_outside(seen):
        return f"it left {path}, outside the repository"
    if path := record.changed_outside(seen, dependencies, run):
        return f"{path}, outside the repository, changed while it ran"
    if path := next((path for path, output in sorted(run.outputs.items()) if output.entry == OTHER), None):
        return f"{path} is neither a file nor a directory nor a link, and can't be put back"
    return None


def _made_directories(outputs: Mapping[str, Output]) -> list[str]:
    """Return the directories that earlier notebooks may have made."""
    made: set[str] = set()
    for path, output in outputs.items():
        if output.entry is not None:
            here = path if output.entry == DIRECTORY else path.rpartition("/")[0]
            while here and here not in made:
                made.add(here)
                here = here.rpartition("/")[0]
    return sorted(made)


def _network_use(seen: record.Seen, result: execution.Run) -> str | None:
    """Say how the run used the network, or may have; None when it surely didn't."""
    if seen.network:
        return f"it used the network ({seen.network[0]})"
    if result.sockets is None:
        return "it started programs, which may use the network" if seen.programs else None
    return "it used the network, by a program or compiled code" if result.sockets > seen.sockets else None
