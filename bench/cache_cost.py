"""What the stage cache costs: an unchanged build, large trees, files that nobody reads, and hashing."""

from __future__ import annotations

import hashlib
import shutil
import time
from pathlib import Path

from bench import repositories, stopwatch
from bench.report import progress, row, section
from bench.stopwatch import Timed
from nachlass_bp.cache.digests import sha256_of
from tests.support.installed import platform_like
from tests.support.phases import Phases

_MINUTE_S = 60.0
_TREES = (10, 1_000, 50_000)
_SHARED_BYTES = 256 << 20
_UNREAD_BYTES = 10_000_000_000
_BOTH = {"NACHLASS_NOTEBOOKS": "a.ipynb,b.ipynb"}


class InPlace(Phases):
    """A platform that builds the repository where it is: nobody copies what is in it."""

    def _copy_repository(self) -> None:
        self.app = self.repository


def measure(installed: Phases, root: Path, runs: int) -> None:
    section("Stage cache")
    _minute(installed, root / "minute", runs)
    for count in _TREES:
        _tree(installed, root / f"tree-{count}", count, runs)
        shutil.rmtree(root / f"tree-{count}")
    _unread(installed, root / "unread", runs)
    _hashing(root, runs)
    _shared(installed, root / "shared", runs)


def reused(phases: Phases) -> Timed:
    """Build what has not changed; every notebook has to be reused."""
    timed = stopwatch.build(phases)
    assert set(timed.decisions.values()) == {"reused"}, timed.decisions
    assert timed.kernels == 0
    return timed


def _minute(installed: Phases, root: Path, runs: int) -> None:
    progress("a cold build of a minute")
    phases = platform_like(installed, root / "platform", repositories.slow(root / "repository", _MINUTE_S), _BOTH)
    row("cold build of a minute", [stopwatch.build(phases).seconds], "s")
    row("  unchanged build of it: bin/build", [reused(phases).seconds for _ in range(runs)], "s", "2 s, no kernel")


def _tree(installed: Phases, root: Path, count: int, runs: int) -> None:
    progress(f"a repository of {count:,} files")
    repository = repositories.many_files(root / "repository", count)
    phases = platform_like(installed, root / "platform", repository, _BOTH)
    cold = stopwatch.build(phases)
    row(f"{count:,} files: cold build, own time a notebook", [each.own_s for each in cold.notebooks], "s")
    unchanged = [reused(phases) for _ in range(runs)]
    row(f"{count:,} files: unchanged build", [each.seconds for each in unchanged], "s", "2 s")
    row(f"{count:,} files: unchanged build, processor time", [each.cpu_s for each in unchanged], "s")
    row(f"{count:,} files: unchanged build, read", [each.read_bytes / 1e6 for each in unchanged], "MB")


def _unread(installed: Phases, root: Path, runs: int) -> None:
    repository = repositories.lists_data(root / "repository")
    phases = platform_like(installed, root / "platform", repository, {"NACHLASS_NOTEBOOKS": "b.ipynb"}, kind=InPlace)
    stopwatch.build(phases)
    without = [reused(phases).read_bytes / 1e6 for _ in range(runs)]
    with (repository / "data/unread.bin").open("wb") as file:
        file.truncate(_UNREAD_BYTES)  # A hole: reading it would cost no disk, but all of the time and of the count.
    unchanged = [reused(phases) for _ in range(runs)]
    row("10 GB that no notebook reads: unchanged build", [each.seconds for each in unchanged], "s", "2 s")
    beside = [each.read_bytes / 1e6 - base for each, base in zip(unchanged, without, strict=True)]
    row("10 GB that no notebook reads: read because of them", beside, "MB", "0 MB")


def _hashing(root: Path, runs: int) -> None:
    file = root / "hashed.bin"
    repositories.write_bytes(file, _SHARED_BYTES)
    data = bytes(_SHARED_BYTES)
    sha256_of(file)  # From now on it is in the page cache.
    ours, bare = [], []
    for _ in range(runs):
        started = time.perf_counter()
        sha256_of(file)
        ours.append(_SHARED_BYTES / 1e6 / (time.perf_counter() - started))
        started = time.perf_counter()
        hashlib.sha256(data).digest()
        bare.append(_SHARED_BYTES / 1e6 / (time.perf_counter() - started))
    file.unlink()
    row("hashing a file", ours, "MB/s", "at least 500")
    row("  the same bytes in memory, by hashlib", bare, "MB/s")


def _shared(installed: Phases, root: Path, runs: int) -> None:
    repository = repositories.reads_twice(root / "repository", _SHARED_BYTES)
    phases = platform_like(installed, root / "platform", repository, _BOTH)
    stopwatch.build(phases)
    times = [reused(phases).read_bytes / _SHARED_BYTES for _ in range(runs)]
    row("a file that two notebooks read: bytes read by an unchanged build", times, "x", "about 1")
