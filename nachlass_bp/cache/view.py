"""What the working tree holds, or would hold: the application directory with the notebooks' outputs laid over it.

Decisions are made against this view, so that a build in which every notebook is reused never copies the repository.
All paths are relative to the root, with `/`; "" is the root itself.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nachlass_bp.cache.digests import DIRECTORY, Digester, Entry, shape

NOISE = frozenset({"__pycache__", ".ipynb_checkpoints", ".virtual_documents"})
"""Directories that tools leave behind; neither inputs nor outputs of a notebook."""
_MOST_LINKS = 40
"""As many as Linux follows before it says ELOOP (path_resolution(7))."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What a notebook left at a path: `entry` None means that it deleted it; `size_bytes` of a file."""

    entry: Entry | None
    size_bytes: int = 0

    @property
    def shape(self) -> str | None:
        """As `digests.shape` would have it."""
        if self.entry is None or self.entry[0] not in "fxst":
            return self.entry
        return f"{'x' if self.entry[0] in 'xt' else 'f'}:{self.size_bytes}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """Where a path leads: the links on the way, then a path of the tree or, if it leaves that, an absolute one."""

    links: tuple[str, ...]
    inside: str | None
    outside: str | None = None


class View:
    """The tree as the notebooks that ran or were reused so far would have made it."""

    def __init__(self, app_dir: Path, root: Path, digester: Digester) -> None:
        """Look at `app_dir`; absolute links into it or into the working tree at `root` lead back into the view."""
        self._app_dir = str(app_dir)
        self._roots = tuple(dict.fromkeys(map(str, (app_dir, root))))
        self._digester = digester
        self._outputs: dict[str, Output] = {}
        self._children: dict[str, set[str]] = {}

    @property
    def outputs(self) -> Mapping[str, Output]:
        """Everything that differs from the application directory."""
        return self._outputs

    def apply(self, outputs: Mapping[str, Output]) -> None:
        """Lay a notebook's outputs over what is there."""
        for path, output in outputs.items():
            self._outputs[path] = output
            parent, _, name = path.rpartition("/")
            self._children.setdefault(parent, set()).add(name)

    def entry(self, path: str) -> Entry | None:
        """Return what is at `path`, None if nothing is. A link is described, not followed."""
        known, output = self._overlaid(path)
        if known:
            return output.entry if output else None
        return self._digester.entry(self._real(path))

    def shape(self, path: str) -> str | None:
        """Return kind and size of what is at `path`, without reading it; None if nothing is."""
        known, output = self._overlaid(path)
        if known:
            return output.shape if output else None
        return shape(self._real(path))

    def names(self, directory: str) -> list[str]:
        """Return the sorted names in a directory, directories with a `/` at the end; empty if it is none."""
        return sorted(f"{name}/" if kind == DIRECTORY else name for name, kind in self._kinds(directory).items())

    def _kinds(self, directory: str) -> dict[str, str]:
        """Return the names in a directory, each with `d` for a directory, `l` for a link, "" for anything else."""
        found: dict[str, str] = {}
        if not self._is_replaced(directory):
            found.update(_scan(self._real(directory)))
        for name in self._children.get(directory, ()):
            output = self._outputs[_join(directory, name)]
            found.pop(name, None)
            if output.entry is not None:
                kind = output.entry.partition(":")[0]
                found[name] = kind if kind in {DIRECTORY, "l"} else ""
        return {name: kind for name, kind in found.items() if name not in NOISE}

    def listing(self, directory: str) -> str:
        """Return the digest of `names`."""
        return _digest(self.names(directory))

    def importable(self, directory: str, modules: Iterable[str]) -> dict[str, list[str]]:
        """Return by module the names in a directory that its import could find there: folder, `.py`, `.abi3.so` ….

        A folder is followed by the `__init__` files in it, which make another package of it.
        """
        found: dict[str, list[str]] = {module: [] for module in modules}
        for name in self.names(directory):
            stem, dot, _ = name.rstrip("/").partition(".")
            if stem in found:
                found[stem].append(name)
                inner = self.resolve(_join(directory, stem)).inside if not dot else None
                if inner is not None:
                    found[stem].extend(
                        f"{stem}/{each}" for each in self.names(inner) if each.partition(".")[0] == "__init__"
                    )
        return found

    def distributions(self, directory: str) -> list[str]:
        """Return the names in a directory that describe an installed distribution."""
        return [
            name for name in self.names(directory) if name.rstrip("/").endswith((".dist-info", ".egg-info", ".egg"))
        ]

    def walk(self, directory: str = "") -> Iterator[str]:
        """Yield every path below a directory that is no directory itself, and every empty directory with a `/`."""
        names = self.names(directory)
        if not names and directory:
            yield f"{directory}/"
        for name in names:
            path = _join(directory, name.rstrip("/"))
            if name.endswith("/"):
                yield from self.walk(path)
            else:
                yield path

    def matching(self, pattern: str) -> list[str]:
        """Return the files whose path matches a glob, in which `*` also matches `/`."""
        return [path for path in self.walk() if fnmatchcase(path, pattern)]

    def all_names(self) -> str:
        """Return the digest of every name in the tree: what somebody who looks for files could have seen."""
        return _digest(self.walk())

    def whole(self, code: Mapping[str, str]) -> str:
        """Return the digest of the whole tree; for the listed notebooks `code` has the digest that stands for them."""
        return _digest(f"{path}\n{code.get(path) or self.entry(path)}" for path in self.walk())

    def sizes(self, directory: str, code: Mapping[str, str]) -> str:
        """Return the digest of the names in a directory with kinds and sizes; listed notebooks are in `code`."""
        paths = [_join(directory, name.rstrip("/")) for name in self.names(directory)]
        return _digest(f"{path}\n{'' if path in code else self.shape(path)}" for path in paths)

    def directories(self, directory: str) -> Iterator[str]:
        """Yield a directory and all below it."""
        yield directory
        for name in self.names(directory):
            if name.endswith("/"):
                yield from self.directories(_join(directory, name[:-1]))

    def links(self) -> list[str]:
        """Return every symbolic link of the tree."""
        found: list[str] = []
        waiting = [""]
        while waiting:
            directory = waiting.pop()
            for name, kind in self._kinds(directory).items():
                if kind == DIRECTORY:
                    waiting.append(_join(directory, name))
                elif kind:
                    found.append(_join(directory, name))
        return sorted(found)

    def link_above(self, paths: Iterable[str]) -> str | None:
        """Return a link that stands where one of the paths has a directory, None if there is none."""
        directories = {path[:end] for path in paths for end in range(len(path)) if path[end] == "/"}
        return next((each for each in sorted(directories) if (self.shape(each) or "").startswith("l:")), None)

    def resolve(self, path: str) -> Resolved:
        """Follow the links of a path as the kernel would in the working tree."""
        links: list[str] = []
        waiting, here = path.split("/"), ""
        while waiting:
            name = waiting.pop(0)
            if name in {"", "."}:
                continue
            if name == "..":
                if not here:
                    return Resolved(links=tuple(links), inside=None, outside=_outside(self._roots[-1], "..", waiting))
                here = here.rpartition("/")[0]
                continue
            place = _join(here, name)
            found = self.shape(place)
            if found is None or not found.startswith("l:") or len(links) >= _MOST_LINKS:
                here = place
                continue
            links.append(place)
            target = found.removeprefix("l:")
            if target.startswith("/"):
                inside = self.relative(target)
                if inside is None:
                    return Resolved(links=tuple(links), inside=None, outside=_outside(target, "", waiting))
                here, target = "", inside
            waiting = [*target.split("/"), *waiting]
        return Resolved(links=tuple(links), inside=here)

    def relative(self, path: str) -> str | None:
        """Return an absolute path relative to the root, None if it lies outside."""
        for root in self._roots:
            if path == root:
                return ""
            if path.startswith(root + "/"):
                return os.path.normpath(path[len(root) + 1 :])
        return None

    def _real(self, path: str) -> str:
        return f"{self._app_dir}/{path}" if path else self._app_dir

    def _overlaid(self, path: str) -> tuple[bool, Output | None]:
        """Return whether the outputs decide about `path`, and what they say."""
        if path in self._outputs:
            return True, self._outputs[path]
        if self._is_replaced(path):
            return True, None
        return False, None

    def _is_replaced(self, path: str) -> bool:
        """Whether a notebook has put something else, or nothing, in the place of `path` or a directory above it."""
        while path:
            output = self._outputs.get(path)
            if output is not None and output.entry != DIRECTORY:
                return True
            path = path.rpartition("/")[0]
        return False


def _scan(directory: str) -> Iterator[tuple[str, str]]:
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                is_directory = entry.is_dir(follow_symlinks=False)
                yield entry.name, DIRECTORY if is_directory else "l" if entry.is_symlink() else ""
    except (FileNotFoundError, NotADirectoryError):
        return


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _outside(base: str, name: str, rest: Iterable[str]) -> str:
    return os.path.normpath("/".join([base, name, *rest]))


def _digest(lines: Iterable[str]) -> str:
    total = hashlib.sha256()
    for line in lines:
        total.update(line.encode("utf-8", "surrogateescape") + b"\0")
    return total.hexdigest()
