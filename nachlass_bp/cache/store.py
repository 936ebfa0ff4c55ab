"""The store: bytes by their sha256, traces beside them. Nothing in it is believed before it has been verified.

    <root>/format                     the version of this layout
    <root>/secret                     the key of the keyed digests of environment variables, 0600
    <root>/blobs/ab/cdef…             contents
    <root>/traces/<notebook>/<n>-….json  traces of a notebook, newest last
    <root>/packages/<digest>.json     the distributions of an environment
    <root>/proofs/<inputs>.json       what the proof of the last model looked at
    <root>/used.json                  the traces that the last build reused or made

Files are written under another name and renamed, a trace after the blobs that it names: whoever is killed in between
leaves files that nobody refers to. Several builds may use one store at the same time: what they add has names of its
own, and only who is alone with the store makes it anew or drops anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from nachlass_bp import host
from nachlass_bp.cache.digests import sha256_of
from nachlass_bp.cache.lock import StoreLock
from nachlass_bp.cache.trace import Trace, TraceInvalidError, from_json

FORMAT = "1"
OLDER_TRACES = 3
"""How many traces of a notebook are kept besides the one that this build used."""
_PROOFS = 4
"""How many records of proofs are kept: that of this build and as many older ones as there are traces."""


class BlobError(Exception):
    """A blob is missing or is not what its name says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """A trace and the file that holds it."""

    trace: Trace
    file: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """The files of the store with their sizes in bytes: those that something names, and those that nothing does."""

    needed: Mapping[Path, int]
    lost: Mapping[Path, int]


class Store:
    """A directory of one format; opening it discards what is of another."""

    def __init__(self, root: Path, lock: StoreLock | None = None) -> None:
        """Open the store at `root`, making it if it isn't there.

        Args:
            root: The directory.
            lock: For a store that other builds may use at the same time; it is held until `close`.

        Raises:
            OSError: The directory can't be written, or another build keeps it from being made.
        """
        self.root = root
        self.discarded: str | None = None
        self._lock = lock
        if lock is None:
            self._open()
            return
        lock.share()
        if not self._is_ready():
            lock.take()
            self._open()
            lock.share()

    def close(self) -> None:
        """Let others have the store to themselves."""
        if self._lock is not None:
            self._lock.release()

    def _is_ready(self) -> bool:
        return self._format() == FORMAT and bool(self._read_secret())

    def _format(self) -> str:
        try:
            return (self.root / "format").read_text(encoding="utf-8")
        except OSError:
            return ""

    def _open(self) -> None:
        present = self._format()
        if present != FORMAT:
            if self.root.exists() and any(self.root.iterdir()):
                self.discarded = "it is of another format" if present else "it was not finished"
            shutil.rmtree(self.root, ignore_errors=True)
            self.root.mkdir(parents=True, exist_ok=True)
        for name in ("blobs", "traces", "packages", "proofs"):
            (self.root / name).mkdir(exist_ok=True)
        if not self._read_secret():
            # Digests made with another key compare unequal: everything that looked at a variable runs again.
            self._write(self.root / "secret", secrets.token_hex(32).encode())
        if present != FORMAT:
            self._write(self.root / "format", FORMAT.encode())

    def _read_secret(self) -> bytes:
        with contextlib.suppress(OSError):
            secret = (self.root / "secret").read_bytes()
            if len(secret) == 64:
                return secret
        return b""

    def keyed_digest(self, value: str) -> str:
        """Return a digest from which nobody who has not this store can guess the value."""
        return hmac.new(self._read_secret(), value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    # --- blobs ---

    def add(self, source: Path, digest: str | None = None) -> str:
        """Keep a copy of a file, unless one with the `digest` is there already; return its sha256."""
        if digest is not None and self.path_of(digest).exists():
            return digest
        temporary = self._temporary()
        try:
            host.copy_file(str(source), str(temporary))
            temporary.chmod(0o600)
            # Of the copy: the source might change under our hands.
            digest = sha256_of(temporary)
            target = self.path_of(digest)
            if not target.exists():
                target.parent.mkdir(exist_ok=True)
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return digest

    def verify(self, digest: str) -> None:
        """Read a blob to its end.

        Raises:
            BlobError: It is missing or damaged.
        """
        try:
            if sha256_of(self.path_of(digest)) == digest:
                return
        except OSError as error:
            raise BlobError(f"{digest} can't be read: {error.strerror}") from error
        # Out of the way, so that the next run can put the right bytes there.
        self._drop(self.path_of(digest))
        raise BlobError(f"{digest} is damaged")

    def restore(self, digest: str, target: Path, *, mode: int = 0o644) -> None:
        """Write a blob to `target`, replacing what is there in one step.

        Raises:
            BlobError: It can't be read.
        """
        new = target.with_name(f".{target.name[:100]}.nachlass-new")
        try:
            host.copy_file(str(self.path_of(digest)), str(new))
        except FileNotFoundError as error:
            raise BlobError(f"{digest} is missing") from error
        new.chmod(mode)
        new.replace(target)

    def path_of(self, digest: str) -> Path:
        """Return where a blob is, or would be; it is for reading only."""
        return self.root / "blobs" / digest[:2] / digest[2:]

    # --- traces ---

    def traces(self, notebook: str) -> tuple[list[Stored], list[str]]:
        """Return a notebook's traces, newest first, and what is wrong with those that can't be read."""
        return self._read_traces(self.root / "traces" / _quoted(notebook))

    def save(self, trace: Trace) -> Path:
        """Write a trace, whose blobs have to be there."""
        directory = self.root / "traces" / _quoted(trace.key.notebook)
        directory.mkdir(exist_ok=True)
        numbers = [int(file.stem[:8]) for file in directory.glob("*.json") if file.stem[:8].isdigit()]
        # Another build may be choosing the same number.
        target = directory / f"{max(numbers, default=0) + 1:08d}-{secrets.token_hex(4)}.json"
        self._write(target, trace.to_json().encode())
        return target

    def all_traces(self) -> list[list[Stored]]:
        """Return the traces of every notebook, newest first."""
        directories = sorted(path for path in (self.root / "traces").glob("*") if path.is_dir())
        return [traces for directory in directories if (traces := self._read_traces(directory)[0])]

    def _read_traces(self, directory: Path) -> tuple[list[Stored], list[str]]:
        found: list[Stored] = []
        problems: list[str] = []
        for file in sorted(directory.glob("*.json"), reverse=True):
            try:
                found.append(Stored(trace=from_json(file.read_text(encoding="utf-8")), file=file))
            except (OSError, ValueError) as error:
                problems.append(str(error) if isinstance(error, TraceInvalidError) else "it is damaged")
                self._drop(file)
        return found, problems

    def _drop(self, file: Path) -> None:
        file.unlink(missing_ok=True)

    # --- what the last build used ---

    def used(self) -> set[Path] | None:
        """Return the traces that the last build reused or made; None when that isn't known."""
        try:
            found = json.loads((self.root / "used.json").read_text(encoding="utf-8"))
            return {self.root / "traces" / name for name in found}
        except (OSError, ValueError, TypeError):
            return None

    def note_used(self, traces: Iterable[Path], *, complete: bool) -> None:
        """Remember the traces that this build used.

        Until the build is `complete`, those of notebooks that it has not come to are the ones of the build before.
        """
        used = set(traces)
        if not complete:
            directories = {file.parent for file in used}
            used |= {file for file in self.used() or () if file.parent not in directories}
        names = sorted(file.relative_to(self.root / "traces").as_posix() for file in used)
        # Only `prune` asks for it: a full disk may fail the build for better reasons.
        with contextlib.suppress(OSError):
            self._write(self.root / "used.json", json.dumps(names).encode())

    # --- packages ---

    def add_packages(self, digest: str, packages: Mapping[str, str]) -> None:
        """Keep the list of distributions that a key's digest stands for."""
        target = self.root / "packages" / f"{digest}.json"
        if not target.exists():
            self._write(target, json.dumps(packages, sort_keys=True).encode())

    def packages(self, digest: str) -> dict[str, str]:
        """Return the list behind a digest, empty if it is lost."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.root / "packages" / f"{digest}.json").read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    # --- proofs ---

    def proof(self, inputs: str) -> Path:
        """Return where the record of a proof is, or would be (`nachlass_bp.reuse`)."""
        return self.root / "proofs" / f"{inputs}.json"

    def write_proof(self, inputs: str, text: str) -> None:
        """Keep the record of a proof."""
        self._write(self.proof(inputs), text.encode())

    # --- size ---

    def evict(self, used: Iterable[Path], limit_bytes: int | None, *, older: int = OLDER_TRACES) -> int:
        """Drop what no build is likely to ask for again; return the bytes that are left.

        Kept are the traces that the last build `used` and, of each notebook, the newest `older` others; over
        `limit_bytes` those others go, oldest first. A blob goes with the last trace that names it. Nothing is dropped
        while another build uses the store.
        """
        if self._lock is not None and not self._lock.try_to_take():
            return self._size()
        keep = set(used)
        self.note_used(keep, complete=True)
        others: list[Stored] = []
        for traces in self.all_traces():
            mine = [stored for stored in traces if stored.file not in keep]
            others += mine[:older]
            for stored in mine[older:]:
                stored.file.unlink(missing_ok=True)
        for proof in sorted((self.root / "proofs").glob("*.json"), key=_age, reverse=True)[_PROOFS:]:
            proof.unlink(missing_ok=True)
        size = self._sweep()
        others.sort(key=lambda stored: stored.trace.record.at)
        while limit_bytes is not None and size > limit_bytes and others:
            others.pop(0).file.unlink(missing_ok=True)
            size = self._sweep()
        return size

    def _size(self) -> int:
        return sum(path.stat().st_size for path in self.root.rglob("*") if path.is_file())

    def clear(self) -> None:
        """Drop every run and all that belongs to them."""
        shutil.rmtree(self.root / "proofs")
        (self.root / "proofs").mkdir()
        self.evict((), None, older=0)

    def contents(self) -> Contents:
        """Return every file, by whether something names it."""
        blobs: set[str] = set()
        packages: set[str] = set()
        for stored in (each for traces in self.all_traces() for each in traces):
            blobs |= stored.trace.blobs
            packages.add(stored.trace.key.packages)
        for file in (self.root / "proofs").glob("*.json"):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                blobs.add(json.loads(file.read_text(encoding="utf-8")).get("sample"))
        needed: dict[Path, int] = {}
        lost: dict[Path, int] = {}
        for directory, _, names in os.walk(self.root):
            for path in (Path(directory, name) for name in names):
                parent = path.parent.name
                is_lost_blob = path.parent.parent.name == "blobs" and parent + path.name not in blobs
                is_lost_list = parent == "packages" and path.stem not in packages
                is_lost = is_lost_blob or is_lost_list or path.name.startswith(".new-")
                with contextlib.suppress(FileNotFoundError):  # Somebody may look on while a build goes on.
                    (lost if is_lost else needed)[path] = path.stat().st_size
        return Contents(needed=needed, lost=lost)

    def _sweep(self) -> int:
        """Remove what no trace names; return the size of the rest, in bytes."""
        contents = self.contents()
        for path in contents.lost:
            path.unlink(missing_ok=True)
        for directory in (self.root / "traces").iterdir():
            with contextlib.suppress(OSError):
                directory.rmdir()  # Only if it is empty.
        return sum(contents.needed.values())

    def _temporary(self) -> Path:
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self.root)
        os.close(descriptor)
        return Path(name)

    def _write(self, target: Path, data: bytes) -> None:
        temporary = self._temporary()
        temporary.write_bytes(data)
        temporary.replace(target)


def _age(file: Path) -> int:
    return file.stat().st_mtime_ns


def _quoted(notebook: str) -> str:
    """Return a file name for a notebook's path: one component, of a length that every file system takes."""
    name = quote(notebook, safe="")
    if len(name) <= 200:
        return name
    return f"{name[:150]}~{hashlib.sha256(notebook.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
