"""The working tree: where the notebooks run, and what of it goes with the model.

It stands at the same path during the build and in the image (docs/architecture.md, "Layers"), so that a path that a
stage remembers leads to the same file. Afterwards it shrinks to links into the application directory and the files to
ship.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from nachlass_bp import host

_NOT_OUTPUT = {"__pycache__", ".ipynb_checkpoints", ".virtual_documents"}
Fingerprint = tuple[int, int, int, int]
"""Size, times of modification and change in ns, inode: enough to say "not touched since", within one build."""


@dataclass(frozen=True, slots=True)
class WorkingTree:
    """A copy of `app_dir` at `root`, with the fingerprints of its files as they were copied."""

    root: Path
    app_dir: Path
    before: Mapping[str, Fingerprint]

    def fingerprint(self, relative: str) -> Fingerprint | None:
        """Return the present fingerprint of a file, None when it isn't there (links are not followed)."""
        return _fingerprint(f"{self.root}/{relative}")

    def outputs(self) -> list[str]:
        """Return the files that the notebooks created or changed, relative to the root, sorted."""
        changed: list[str] = []
        for relative in _files(self.root):
            if self.fingerprint(relative) != self.before.get(relative) and _NOT_OUTPUT.isdisjoint(relative.split("/")):
                original = self.app_dir / relative
                if not (original.is_file() and filecmp.cmp(original, self.root / relative, shallow=False)):
                    changed.append(relative)
        return sorted(changed)

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """Return the files of the tree that match one of the glob patterns (`*` also crosses directories)."""
        return sorted(name for name in _files(self.root) if any(fnmatch(name, pattern) for pattern in patterns))

    def snapshot(self) -> dict[str, Fingerprint]:
        """Return the present fingerprints of everything in the tree, directories and links too, by path with `/`."""
        return dict(_everything(self.root))

    def shrink(self, ship: Iterable[str]) -> None:
        """Replace the tree by links into the application directory, with the files of `ship` beside them."""
        new = self.root.with_name(self.root.name + ".new")
        kept = set(ship)
        if kept:
            self._link(Path(), new, kept)
        else:
            new.symlink_to(self.app_dir)
        host.remove_tree(self.root)
        new.rename(self.root)

    def _link(self, relative: Path, new: Path, kept: set[str]) -> None:
        """Fill the directory `new / relative`: links for what the application has, copies of what ships."""
        (new / relative).mkdir()
        (new / relative).chmod(0o755)  # Whatever the build's umask is.
        here = {name for name in kept if _is_below(name, relative)}
        real = {Path(name).relative_to(relative).parts[0] for name in here}
        original = self.app_dir / relative
        committed = {path.name for path in original.iterdir()} if original.is_dir() else set()
        for name in sorted(committed | real):
            entry = relative / name
            if str(entry) in kept:
                shutil.copyfile(self.root / entry, new / entry)
                (new / entry).chmod(0o644)
            elif name in real:
                self._link(entry, new, kept)
            else:
                (new / entry).symlink_to(original / name)


def create(app_dir: Path, root: Path) -> WorkingTree:
    """Copy the application directory to `root`, a new directory; links stay links, sockets and pipes stay behind."""
    shutil.copytree(app_dir, root, symlinks=True, ignore=_special_files, copy_function=host.Copier().copy)
    for directory, *_ in os.walk(root):
        os.chmod(directory, os.stat(directory).st_mode | stat.S_IRWXU)  # noqa: PTH101, PTH116 - notebooks write there
    before = {relative: found for relative in _files(root) if (found := _fingerprint(f"{root}/{relative}"))}
    return WorkingTree(root, app_dir, before)


def _special_files(directory: str, names: list[str]) -> set[str]:
    def is_special(name: str) -> bool:
        mode = os.lstat(os.path.join(directory, name)).st_mode  # noqa: PTH118
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode))

    return {name for name in names if is_special(name)}


# Strings from here on: these are asked for every file of a repository, several times in a build.


def _files(root: Path) -> Iterator[str]:
    start = len(str(root)) + 1
    for directory, _names, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)  # noqa: PTH118
            if not os.path.islink(path):  # noqa: PTH114
                yield path[start:]


def _fingerprint(path: str) -> Fingerprint | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)


def _everything(root: Path) -> Iterator[tuple[str, Fingerprint]]:
    start = len(str(root)) + 1
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in _NOT_OUTPUT]
        for name in [*names, *files]:
            path = os.path.join(directory, name)  # noqa: PTH118
            found = os.lstat(path)
            kind = stat.S_IFMT(found.st_mode)
            relative = path[start:]
            if kind in {stat.S_IFREG, stat.S_IFLNK}:
                yield relative, (found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)
            else:
                yield relative, (0, 0, kind, 0)


def _is_below(name: str, directory: Path) -> bool:
    return Path(name).is_relative_to(directory)
