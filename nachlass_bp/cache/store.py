"""The store: bytes by their sha256, traces beside them. Nothing in it is believed before it has been verified.

    <root>/format                     the version of this layout
    <root>/secret                     the key of the keyed digests of environment variables, 0600
    <root>/blobs/ab/cdef…             contents
    <root>/traces/<notebook>/<n>-….json  traces of a notebook, newest last
    <root>/packages/<digest>.json     the distributions of an environment
    <root>/proofs/<inputs>.json       what the proof of the last model looked at
    <root>/used.json                  the traces that the last build reused or made, and the order of last use

Files are written under another name and renamed, a trace after the blobs that it names: whoever is killed in between
leaves files that nobody refers to. Several builds may use one store at the same time: what they add has names of its
own, and only who is alone with the store makes it anew or drops anything.

What stands where something else belongs (a link, a directory in place of a file) is removed, never followed. In a store
that others may write to, a link is somebody's doing and no damage: it isn't opened at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from nachlass_bp import host
from nachlass_bp.cache import reading
from nachlass_bp.cache.digests import sha256_of
from nachlass_bp.cache.lock import StoreLock
from nachlass_bp.cache.reading import DamagedError
from nachlass_bp.cache.trace import Trace, digest_of, from_json

FORMAT = "1"
_DIRECTORIES = ("blobs", "traces", "packages", "proofs")
_FILES = ("format", "secret", "used.json")
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
class Used:
    """Which traces the last build used, and all of them by their last use, latest first; below `traces/`.

    A build that uses what the one before it used leaves both as they are.
    """

    last: list[str]
    order: list[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """What the proof of a model looked at, and what there is to say of that model (`nachlass_bp.reuse`)."""

    labels: Mapping[str, str]
    lines: list[str]
    sbom: str
    files: list[str]
    directories: list[str]
    looked_at: str
    sample: str | None


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
            OSError: The directory can't be written, another build keeps it from being made, or something in it that
                others may write to is a link.
        """
        self.root = root
        self.discarded: str | None = None
        self._lock = lock
        if lock is None:
            self._open()
            return
        try:
            lock.share()
            self._refuse_links()
            if not self._is_ready():
                lock.take()
                self._open()
                lock.share()
        except OSError:
            lock.release()
            raise

    def close(self) -> None:
        """Let others have the store to themselves."""
        if self._lock is not None:
            self._lock.release()

    def _is_ready(self) -> bool:
        return self._format() == FORMAT and bool(self._read_secret()) and not any(self._misplaced())

    def _refuse_links(self) -> None:
        for path in (self.root, *self._misplaced()):
            if path.is_symlink():
                raise reading.a_link(path)

    def _misplaced(self) -> Iterator[Path]:
        """Yield what isn't of its place's kind, or isn't there: directories and files are, links never."""
        for name in _DIRECTORIES:
            directory = self.root / name
            if not reading.is_directory(directory):
                yield directory
                continue
            is_right = reading.is_directory if name in {"blobs", "traces"} else reading.is_regular
            yield from (path for path in directory.iterdir() if not is_right(path))
        for name in _FILES:
            if os.path.lexists(self.root / name) and not reading.is_regular(self.root / name):
                yield self.root / name

    def _format(self) -> str:
        try:
            return reading.bytes_of(self.root / "format").decode("utf-8", "replace")
        except OSError:
            return ""

    def _open(self) -> None:
        present = self._format()
        if present != FORMAT:
            if reading.is_directory(self.root) and any(self.root.iterdir()):
                self.discarded = "it is of another format" if present else "it was not finished"
            reading.remove(self.root)
            self.root.mkdir(parents=True, exist_ok=True)
        for path in list(self._misplaced()):
            reading.remove(path)
        for name in _DIRECTORIES:
            (self.root / name).mkdir(exist_ok=True)
        if not self._read_secret():
            # Digests made with another key compare unequal: everything that looked at a variable runs again.
            self._write(self.root / "secret", secrets.token_hex(32).encode())
        if present != FORMAT:
            self._write(self.root / "format", FORMAT.encode())

    def _read_secret(self) -> bytes:
        with contextlib.suppress(OSError):
            secret = reading.bytes_of(self.root / "secret")
            if len(secret) == 64:
                return secret
        return b""

    def keyed_digest(self, value: str) -> str:
        """Return a digest from which nobody who has not this store can guess the value."""
        return hmac.new(self._read_secret(), value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()

    # --- blobs ---

    def add(self, source: Path, digest: str | None = None) -> str:
        """Keep a copy of a file, unless one with the `digest` is there already; return its sha256."""
        if digest is not None and reading.is_regular(self.path_of(digest)):
            return digest
        temporary = self._temporary()
        try:
            host.copy_file(str(source), str(temporary))
            temporary.chmod(0o600)
            # Of the copy: the source might change under our hands.
            digest = sha256_of(temporary)
            target = self.path_of(digest)
            if not reading.is_regular(target):
                self._drop(target)
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
        path = self.path_of(digest)
        try:
            if reading.is_regular(path) and sha256_of(path) == digest:
                return
        except OSError as error:
            raise BlobError(f"{digest} can't be read: {error.strerror}") from error
        # Out of the way, so that the next run can put the right bytes there.
        self._drop(path)
        raise BlobError(f"{digest} is damaged or missing")

    def restore(self, digest: str, target: Path, *, mode: int = 0o644) -> None:
        """Write a blob to `target`, replacing what is there in one step.

        Raises:
            BlobError: It can't be read.
        """
        new = target.with_name(f".{target.name[:100]}.nachlass-new")
        if not reading.is_regular(self.path_of(digest)):
            raise BlobError(f"{digest} is missing")
        try:
            host.copy_file(str(self.path_of(digest)), str(new))
        except FileNotFoundError as error:
            raise BlobError(f"{digest} is missing") from error
        new.chmod(mode)
        new.replace(target)

    def path_of(self, digest: str) -> Path:
        """Return where a blob is, or would be; it is for reading only.

        Raises:
            BlobError: No blob has such a name, and what a path would lead to is none of ours.
        """
        if not reading.is_digest(digest):
            raise BlobError("a blob's name is damaged")
        return self.root / "blobs" / digest[:2] / digest[2:]

    # --- traces ---

    def traces(self, notebook: str) -> tuple[list[Stored], list[str]]:
        """Return a notebook's traces, latest used first, and what is wrong with those that can't be read."""
        return self._read_traces(self.root / "traces" / _quoted(notebook))

    def save(self, trace: Trace) -> Path:
        """Write a trace, whose blobs have to be there."""
        directory = self.root / "traces" / _quoted(trace.key.notebook)
        directory.mkdir(exist_ok=True)
        numbers = [int(file.stem[:8]) for file in directory.glob("*.json") if file.stem[:8].isdecimal()]
        # Another build may be choosing the same number.
        target = directory / f"{max(numbers, default=0) + 1:08d}-{secrets.token_hex(4)}.json"
        self._write(target, trace.to_json().encode())
        return target

    def all_traces(self) -> list[list[Stored]]:
        """Return the traces of every notebook, latest used first."""
        directories = sorted(path for path in (self.root / "traces").glob("*") if reading.is_directory(path))
        return [traces for directory in directories if (traces := self._read_traces(directory)[0])]

    def _read_traces(self, directory: Path) -> tuple[list[Stored], list[str]]:
        found: list[Stored] = []
        problems: list[str] = []
        for file in sorted(directory.glob("*.json"), reverse=True) if reading.is_directory(directory) else ():
            try:
                trace = from_json(reading.bytes_of(file).decode())
                if _quoted(trace.key.notebook) != directory.name:
                    raise DamagedError("it is of another notebook")
                found.append(Stored(trace=trace, file=file))
            except (OSError, ValueError) as error:
                problems.append(str(error) if isinstance(error, DamagedError) else "it is damaged")
                self._drop(file)
        place = self._places()
        # Those of which nobody knows when they were used come last, the newest of them first.
        return sorted(found, key=lambda stored: place.get(stored.file, len(place))), problems

    def _drop(self, path: Path) -> None:
        """Remove what is there, if that is possible; whoever can't counts it as gone all the same."""
        reading.remove(path)

    # --- what was used ---

    def used(self) -> set[Path] | None:
        """Return the traces that the last build reused or made; None when that isn't known."""
        found = self._read_used()
        return None if found is None else {self.root / "traces" / name for name in found.last}

    def _places(self) -> dict[Path, int]:
        found = self._read_used()
        return {self.root / "traces" / name: place for place, name in enumerate(found.order if found else ())}

    def _read_used(self) -> Used | None:
        with contextlib.suppress(OSError, DamagedError):
            used: Used = reading.read(Used, reading.json_of(reading.bytes_of(self.root / "used.json")))
            if all(reading.is_inside(name) and name.count("/") == 1 for name in (*used.last, *used.order)):
                return used
        return None

    def note_used(self, traces: Iterable[Path], *, complete: bool) -> None:
        """Remember the traces that this build used, before all that were used earlier.

        Until the build is `complete`, those of notebooks that it has not come to are the ones of the build before.
        """
        before = self._read_used() or Used(last=[], order=[])
        last = {file.relative_to(self.root / "traces").as_posix() for file in traces}
        if not complete:
            mine = {name.partition("/")[0] for name in last}
            last |= {name for name in before.last if name.partition("/")[0] not in mine}
        earlier = [name for name in before.order if name not in last]
        if complete:
            earlier = [name for name in earlier if reading.is_regular(self.root / "traces" / name)]
        now = Used(last=sorted(last), order=[*sorted(last), *dict.fromkeys(earlier)])
        if now == before:
            return
        # It decides what is kept and what is told: a full disk may fail the build for better reasons.
        with contextlib.suppress(OSError):
            self._write(self.root / "used.json", json.dumps(asdict(now)).encode())

    # --- packages ---

    def add_packages(self, digest: str, packages: Mapping[str, str]) -> None:
        """Keep the list of distributions that a key's digest stands for."""
        target = self.root / "packages" / f"{digest}.json"
        if not target.exists():
            self._write(target, json.dumps(packages, sort_keys=True).encode())

    def packages(self, digest: str) -> dict[str, str]:
        """Return the list behind a digest, empty if it is lost."""
        file = self.root / "packages" / f"{digest}.json"
        try:
            found: dict[str, str] = reading.read(Mapping[str, str], reading.json_of(reading.bytes_of(file)))
        except (OSError, DamagedError):
            found = {}
        if digest_of(found) == digest:
            return found
        self._drop(file)  # So that the next run puts the right one there.
        return {}

    # --- proofs ---

    def proof(self, inputs: str) -> Proof | None:
        """Return the record of a proof, None if there is none that can be read."""
        return self._read_proof(self.root / "proofs" / f"{inputs}.json")

    def _read_proof(self, file: Path) -> Proof | None:
        with contextlib.suppress(OSError, DamagedError):
            proof: Proof = reading.read(Proof, reading.json_of(reading.bytes_of(file)))
            return proof if proof.sample is None or reading.is_digest(proof.sample) else None
        return None

    def write_proof(self, inputs: str, proof: Proof) -> None:
        """Keep the record of a proof."""
        self._write(self.root / "proofs" / f"{inputs}.json", json.dumps(asdict(proof)).encode())

    # --- size ---

    def evict(self, used: Iterable[Path], limit_bytes: int | None, *, older: int = OLDER_TRACES) -> int:
        """Drop what no build is likely to ask for again; return the bytes that are left.

        Kept are the traces that the last build `used` and, of each notebook, the `older` others that were used last;
        over `limit_bytes` those others go, too, the one first that was used longest ago. A blob goes with the last
        trace that names it. Nothing is dropped while another build uses the store.
        """
        if self._lock is not None and not self._lock.try_to_take():
            return self._size()
        keep = set(used)
        others: list[Stored] = []
        for traces in self.all_traces():
            mine = [stored for stored in traces if stored.file not in keep]
            others += mine[:older]
            for stored in mine[older:]:
                self._drop(stored.file)
        for proof in sorted((self.root / "proofs").glob("*.json"), key=_age, reverse=True)[_PROOFS:]:
            self._drop(proof)
        size = self._sweep()
        place = self._places()
        others.sort(key=lambda stored: (-place.get(stored.file, len(place)), stored.trace.record.at))
        while limit_bytes is not None and size > limit_bytes and others:
            self._drop(others.pop(0).file)
            size = self._sweep()
        self.note_used(keep, complete=True)
        return size

    def _size(self) -> int:
        return sum(_bytes(path) for path in self.root.rglob("*") if reading.is_regular(path))

    def clear(self) -> None:
        """Drop every run and all that belongs to them."""
        reading.remove(self.root / "proofs")
        (self.root / "proofs").mkdir(exist_ok=True)
        self.evict((), None, older=0)

    def contents(self) -> Contents:
        """Return every file, by whether something names it."""
        blobs: set[str] = set()
        packages: set[str] = set()
        for stored in (each for traces in self.all_traces() for each in traces):
            blobs |= stored.trace.blobs
            packages.add(stored.trace.key.packages)
        for file in (self.root / "proofs").glob("*.json"):
            if (proof := self._read_proof(file)) is not None and proof.sample is not None:
                blobs.add(proof.sample)
        needed: dict[Path, int] = {}
        lost: dict[Path, int] = {}
        for directory, _, names in os.walk(self.root):
            for path in (Path(directory, name) for name in names):
                parent = path.parent.name
                is_lost_blob = path.parent.parent.name == "blobs" and parent + path.name not in blobs
                is_lost_list = parent == "packages" and path.stem not in packages
                is_lost = is_lost_blob or is_lost_list or path.name.startswith(".new-")
                (lost if is_lost else needed)[path] = _bytes(path)
        return Contents(needed=needed, lost=lost)

    def _sweep(self) -> int:
        """Remove what no trace names; return the size of the rest, in bytes."""
        contents = self.contents()
        for path in contents.lost:
            self._drop(path)
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
    try:
        return file.lstat().st_mtime_ns
    except OSError:
        return 0


def _bytes(path: Path) -> int:
    """Return a size; somebody may look on while a build goes on, and takes away what isn't needed."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _quoted(notebook: str) -> str:
    """Return a file name for a notebook's path: one component, of a length that every file system takes."""
    name = quote(notebook, safe="")
    if len(name) <= 200:
        return name
    return f"{name[:150]}~{hashlib.sha256(notebook.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"
