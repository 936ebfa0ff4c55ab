"""One build's dealings with the stage cache: which notebook is reused, why the others run, what is kept of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from nachlass_bp.cache.compare import World, differences
from nachlass_bp.cache.digests import DIRECTORY, Entry, blob_of
from nachlass_bp.cache.reading import is_directory
from nachlass_bp.cache.store import BlobError, Store, Stored
from nachlass_bp.cache.terms import Terms
from nachlass_bp.cache.trace import Key, Trace
from nachlass_bp.cache.view import Output
from nachlass_bp.output import duration_text

FIRST_RUN = "there is no earlier run"
_MOST_REASONS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """Reuse `stored`, or run for these reasons: what speaks against the run `compared`, if there was any.

    That is the one that the last build used; if it used none, the one that comes closest.
    """

    stored: Stored | None = None
    reasons: tuple[str, ...] = ()
    compared: Stored | None = None

    @property
    def text(self) -> str:
        """What the log says of it, behind the notebook's name."""
        if self.stored is not None:
            record = self.stored.trace.record
            day = datetime.fromisoformat(record.at).date()
            what = "trained" if self.stored.trace.stage is not None else "run"
            return f"reused ({what} {day}, {duration_text(record.seconds)} saved)"
        more = f" and {len(self.reasons) - _MOST_REASONS} more" if len(self.reasons) > _MOST_REASONS else ""
        return f"run ({', '.join(self.reasons[:_MOST_REASONS])}{more})"


@dataclass(kw_only=True)
class Session:
    """The store during one build. `used` are the traces that this build reused or made."""

    store: Store
    used: list[Path] = field(default_factory=list)

    def decide(self, key: Key, world: World, terms: Terms, forced: str | None = None) -> Decision:
        """Decide about one notebook against what there is now.

        Args:
            key: What the notebook is.
            world: What the working tree and the environment hold at this point of the list.
            terms: What the settings ask of a run.
            forced: Why it has to run whatever its traces say, if it has.
        """
        if forced is not None:
            return Decision(reasons=(forced,))
        traces, problems = self.store.traces(key.notebook)
        known = self.store.used() or set()
        compared: Decision | None = None
        for stored in traces:
            reasons = self._against(stored, key, world, terms)
            if not reasons:
                return Decision(stored=stored)
            is_last = compared is not None and compared.compared is not None and compared.compared.file in known
            if compared is None or (not is_last and len(reasons) < len(compared.reasons)):
                compared = Decision(reasons=tuple(reasons), compared=stored)
        if compared is not None:
            return compared
        reason = f"the record of its last run can't be used: {problems[0]}" if problems else FIRST_RUN
        return Decision(reasons=(reason,))

    def _against(self, stored: Stored, key: Key, world: World, terms: Terms) -> list[str]:
        trace = stored.trace
        reasons = differences(trace, key, self.store.packages, world)
        if reasons:
            return reasons
        if objection := terms.objection(trace):
            return [objection]
        if link := world.view.link_above(trace.outputs):
            return [f"{link} is a link now"]  # What it wrote there would go where the link leads.
        for blob in sorted(trace.blobs):
            try:
                self.store.verify(blob)
            except BlobError:
                return ["what its last run left is damaged in the cache"]
        return []

    def keep(self, trace: Trace, packages: Mapping[str, str]) -> None:
        """Keep a run whose blobs are in the store."""
        self.store.add_packages(trace.key.packages, packages)
        self.use(self.store.save(trace))

    def use(self, trace: Path) -> None:
        """Remember that this build has used a trace, at once: a build that fails later needs it again."""
        self.used.append(trace)
        self.store.note_used(self.used, complete=False)


def stored_files(store: Store, outputs: Mapping[str, Output]) -> dict[str, Path]:
    """Return where the bytes of the files are that a run left, by their path in the tree; they are for reading only."""
    blobs = {path: blob_of(output.entry) for path, output in outputs.items() if output.entry is not None}
    return {path: store.path_of(blob) for path, blob in blobs.items() if blob is not None}


def restore_outputs(store: Store, outputs: Mapping[str, Output], root: Path) -> None:
    """Make a tree hold what a run left there: removals first, from the leaves up, then everything else.

    Raises:
        BlobError: A blob can't be read, or a link or a file stands where the way to an output has a directory.
    """
    for path in sorted(outputs, reverse=True):
        if outputs[path].entry is None and not _is_behind_a_file(root, path):
            _remove(root / path)
    for path, output in sorted(outputs.items()):
        if output.entry is not None:
            if _is_behind_a_file(root, path):
                raise BlobError(f"a file stands above {path}")
            _restore_one(store, output.entry, root / path)


def _is_behind_a_file(root: Path, path: str) -> bool:
    """Whether something else than a directory stands above a path of the tree.

    Raises:
        BlobError: It is a link. Decisions see to that already (`View.link_above`), but a mistake would be one outside.
    """
    for end in (end for end, letter in enumerate(path) if letter == "/"):
        above = root / path[:end]
        if above.is_symlink():
            raise BlobError(f"{path[:end]} is a link, so that {path} can't be put back")
        if os.path.lexists(above) and not is_directory(above):
            return True
    return False


def _restore_one(store: Store, entry: Entry, target: Path) -> None:
    is_directory = target.is_dir() and not target.is_symlink()
    if os.path.lexists(target) and (is_directory != (entry == DIRECTORY) or target.is_symlink()):
        _remove(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry == DIRECTORY:
        target.mkdir(exist_ok=True)
    elif entry.startswith("l:"):
        _remove(target)
        target.symlink_to(entry.removeprefix("l:"))
    elif (blob := blob_of(entry)) is not None:
        store.restore(blob, target, mode=0o755 if entry.startswith("x:") else 0o644)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def keep_outputs(store: Store, outputs: Mapping[str, Output], root: Path) -> None:
    """Put the bytes of a run's outputs into the store."""
    for path, output in outputs.items():
        if output.entry is not None and (blob := blob_of(output.entry)) is not None:
            store.add(root / path, blob)
