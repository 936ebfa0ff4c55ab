"""From what was seen of a run to what it depended on."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nachlass_bp.cache import outside
from nachlass_bp.cache.digests import DIRECTORY, Digester, Entry
from nachlass_bp.cache.trace import Dependencies, digest_of
from nachlass_bp.cache.variables import ambient
from nachlass_bp.cache.view import Output, View
from nachlass_bp.inotify import Openings

_READ_BY_C = re.compile(
    r"(OMP|MKL|OPENBLAS|GOTO|BLIS|NUMEXPR|VECLIB|KMP|CUDA|PYTHON)[A-Z_]*\Z|(TZ|LANG|LANGUAGE|LC_.*)\Z"
)
"""Variables that libraries read by getenv(3), of which no hook hears: dependencies whenever they are set."""


@dataclass(kw_only=True, slots=True)
class Seen:
    """The kernel's own account, as `inside/tracer.py` wrote it; paths are absolute."""

    opened: set[str] = field(default_factory=set)
    looked_at: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    was_there: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    listed: set[str] = field(default_factory=set)
    searched: set[str] = field(default_factory=set)
    listings: Counter[str] = field(default_factory=Counter)
    modules: set[tuple[str, str]] = field(default_factory=set)
    variables: set[str] = field(default_factory=set)
    programs: list[str] = field(default_factory=list)
    words: set[str] = field(default_factory=set)
    network: list[str] = field(default_factory=list)
    sockets: int = 0
    damaged: bool = False


def read_log(file: Path) -> Seen:
    """Read the kernel's log; a line that can't be read makes it incomplete."""
    seen = Seen()
    try:
        lines = file.read_bytes().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return Seen(damaged=True)
    for line in lines:
        try:
            _read_line(json.loads(line), seen)
        except (ValueError, IndexError, TypeError, KeyError):
            seen.damaged = True
    return seen


def _read_line(line: list[object], seen: Seen) -> None:
    kind, value = str(line[0]), str(line[1])
    sets = {
        "f": seen.opened,
        "s": seen.looked_at,
        "r": seen.moved,
        "e": seen.was_there,
        "w": seen.written,
        "v": seen.variables,
    }
    if kind in sets:
        sets[kind].add(value)
    elif kind == "n":
        seen.network.append(value)
    elif kind == "p":
        assert isinstance(line[2], list)
        seen.programs.append(value)
        seen.words |= {str(word) for word in line[2]}
    elif kind in {"l", "i", "d"}:
        seen.listings[value] += 1
        {"l": seen.listed, "i": set[str](), "d": seen.searched}[kind].add(value)
    elif kind == "m":
        assert isinstance(line[2], list)
        seen.modules |= {(str(directory), value.rpartition(".")[2]) for directory in line[2]}
    elif kind == "k":
        seen.sockets += 1
    else:
        raise KeyError(kind)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What is known of a run besides the kernel's account.

    `started_ns` is a wall-clock time, as file times are. `patterns`: what its metadata declares.
    """

    view: View
    outputs: Mapping[str, Output]
    openings: Openings | None
    env: Mapping[str, str]
    keyed: Callable[[str], str]
    digester: Digester
    code: Mapping[str, str]
    started_ns: int
    patterns: Sequence[str] = ()


def traced(seen: Seen, run: Run) -> Dependencies:
    """Return what a run depended on, from the kernel's account and from inotify's."""
    assert run.openings is not None
    files: dict[str, Entry | None] = {}
    shapes: dict[str, str | None] = {}
    external = _external(seen, run)
    lists = _lists(seen, run)
    patterns = {pattern: run.view.matching(pattern) for pattern in run.patterns}
    files.update((path, run.view.entry(path)) for matches in patterns.values() for path in matches)
    for path in sorted(seen.opened):
        _follow(path, run, files, external, read=True)
    for path in sorted(run.openings.files):
        if run.view.entry(path) is not None:  # What the run itself made is no input.
            files[path] = run.view.entry(path)
    for path in sorted(seen.moved):
        _follow_all(path, run, files, lists)
    for path in sorted(seen.looked_at | _there(seen.words, run.view)):
        _follow(path, run, files, external, shapes=shapes)
    for path in sorted(seen.listed | seen.searched | {directory for directory, _ in seen.modules}):
        _follow(path, run, files, external)
    for path in run.outputs:
        if run.view.shape(path) is None:  # A file that stands there already might have been looked for.
            files.setdefault(path, None)
    files.update(_links_to(files, run.view))
    return Dependencies(
        files=files,
        shapes={path: shape for path, shape in shapes.items() if path not in files},
        lists=lists,
        modules=_modules(seen, run, files),
        distributions=_distributions(seen, run),
        patterns={pattern: digest_of(matches) for pattern, matches in patterns.items()},
        names=run.view.all_names() if seen.programs else None,
        env=_variables(seen, run),
        env_names=digest_of(ambient(run.env)) if _sees_all(seen) else None,
        external=external,
        external_lists=_external_lists(seen, run),
        external_modules=_external_modules(seen, run),
    )


def conservative(seen: Seen, run: Run) -> Dependencies:
    """Return dependencies for when not everything could be seen: the whole tree and every variable."""
    return Dependencies(
        tree=run.view.whole(run.code),
        env={name: run.keyed(run.env[name]) for name in ambient(run.env)},
        env_names=digest_of(ambient(run.env)),
        external=_external(seen, run),
        external_lists=_external_lists(seen, run),
        external_modules=_external_modules(seen, run),
    )


def left_outside(seen: Seen) -> str | None:
    """Return a file outside the tree that the run wrote and that is still there: a reuse could not put it back."""
    # A directory is opened for writing to make a file without a name in it (O_TMPFILE), which is gone by now.
    there = (path for path in sorted(seen.written) if os.path.lexists(path) and not os.path.isdir(path))  # noqa: PTH112
    return next(there, None)


def changed_outside(seen: Seen, dependencies: Dependencies, run: Run) -> str | None:
    """Return an external dependency that changed while the notebook ran, so that nobody knows what was read."""
    for path in (*dependencies.external, *dependencies.external_lists):
        is_counted = path in dependencies.external_lists or os.path.isfile(path)  # noqa: PTH113
        try:
            found = os.lstat(path)
        except OSError:
            if path in seen.was_there:
                return path
            continue
        if found.st_ctime_ns >= run.started_ns and is_counted:
            return path
    return None


def _external(seen: Seen, run: Run) -> dict[str, Entry | None]:
    """Return what was looked at outside the tree; its own passing files are nobody's input."""
    found: dict[str, Entry | None] = {}
    sources = {source for path in seen.opened if (source := outside.source_of(path)) is not None}
    for path in sorted(seen.opened | seen.looked_at | seen.moved | sources):
        if run.view.relative(path) is None and path not in seen.written:
            for each in outside.on_the_way(path):
                if run.view.relative(each) is None:
                    found[each] = run.digester.entry(each)
    return found


def _external_lists(seen: Seen, run: Run) -> dict[str, str | None]:
    places = {place for path in seen.listed - seen.written if (place := _outer(path, run.view)) is not None}
    return {place: outside.listing(place) for place in sorted(places)}


def _external_modules(seen: Seen, run: Run) -> dict[str, dict[str, list[str]]]:
    names: dict[str, set[str]] = {}
    for directory, name in seen.modules:
        place = _outer(directory, run.view)
        if place is not None:
            names.setdefault(place, set()).add(name)
    return {directory: outside.importable(directory, sorted(modules)) for directory, modules in sorted(names.items())}


def _there(paths: Iterable[str], view: View) -> set[str]:
    """Return those of the paths at which the tree has something: that nothing else came is known by the names."""
    return {path for path in paths if (relative := view.relative(path)) and view.shape(relative) is not None}


def _follow_all(path: str, run: Run, files: dict[str, Entry | None], lists: dict[str, str]) -> None:
    """Add a path that was moved, and all that is below it."""
    relative = run.view.relative(path)
    if relative is None:
        return
    resolved = run.view.resolve(relative.rpartition("/")[0])
    if resolved.inside is None:
        return
    name = relative.rpartition("/")[2]
    place = f"{resolved.inside}/{name}" if resolved.inside else name
    files.update((link, run.view.entry(link)) for link in resolved.links)
    files[place] = run.view.entry(place)
    if files[place] == DIRECTORY:
        files.update((each.rstrip("/"), run.view.entry(each.rstrip("/"))) for each in run.view.walk(place))
        lists.update((each, run.view.listing(each)) for each in run.view.directories(place))


def _follow(
    path: str,
    run: Run,
    files: dict[str, Entry | None],
    external: dict[str, Entry | None],
    *,
    read: bool = False,
    shapes: dict[str, str | None] | None = None,
) -> None:
    """Add what a path leads to, and the links on the way, to the dependencies."""
    relative = run.view.relative(path)
    if relative is None:
        return
    resolved = run.view.resolve(relative)
    for link in resolved.links:
        files[link] = run.view.entry(link)
    if resolved.outside is not None:
        external[resolved.outside] = run.digester.entry(resolved.outside)
    elif read:
        assert resolved.inside is not None
        files[resolved.inside] = run.view.entry(resolved.inside)
    elif shapes is not None:
        assert resolved.inside is not None
        shapes[resolved.inside] = run.view.shape(resolved.inside)


def _links_to(files: Iterable[str], view: View) -> dict[str, Entry | None]:
    """Return every link of the tree that leads out of it or to one of the files: C code may have come that way."""
    reached = {above for path in files for above in _and_above(path)}
    found: dict[str, Entry | None] = {}
    waiting = {link: view.resolve(link).inside for link in view.links()}
    # A link may lie in a directory to which another one leads.
    while more := [link for link, target in waiting.items() if target is None or target in reached]:
        for link in more:
            del waiting[link]
            found[link] = view.entry(link)
            reached.update(_and_above(link))
    return found


def _and_above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def _lists(seen: Seen, run: Run) -> dict[str, str]:
    """Return the listings that weren't the import system's: those Python told of, and those nobody explains."""
    assert run.openings is not None
    explained = Counter[str]()
    listed: set[str] = set()
    for path, count in seen.listings.items():
        relative = _real(path, run.view)
        if relative is not None:
            explained[relative] += count
            if path in seen.listed:
                listed.add(relative)
    unexplained = {path for path, count in run.openings.directories.items() if count > explained[path]}
    # Programs that list may look at sizes as well: `ls -l`, `du`.
    sized = unexplained if seen.programs else set()
    return {
        path: run.view.sizes(path, run.code) if path in sized else run.view.listing(path)
        for path in sorted(listed | unexplained)
    }


def _modules(seen: Seen, run: Run, files: dict[str, Entry | None]) -> dict[str, dict[str, list[str]]]:
    names: dict[str, set[str]] = {}
    for directory, name in seen.modules:
        names.setdefault(directory, set()).add(name)
    found: dict[str, dict[str, list[str]]] = {}
    for directory, modules in sorted(names.items()):
        relative = _real(directory, run.view)
        if relative is not None:
            found.setdefault(relative, {}).update(run.view.importable(relative, sorted(modules)))
            if relative and run.view.shape(relative) != DIRECTORY:
                files[relative] = run.view.entry(relative)  # An archive of modules, or none yet.
    return found


def _distributions(seen: Seen, run: Run) -> dict[str, list[str]]:
    places = {place for path in seen.searched if (place := _real(path, run.view)) is not None}
    return {place: run.view.distributions(place) for place in sorted(places)}


def _real(path: str, view: View) -> str | None:
    relative = view.relative(path)
    return None if relative is None else view.resolve(relative).inside


def _outer(path: str, view: View) -> str | None:
    relative = view.relative(path)
    return path if relative is None else view.resolve(relative).outside


def _variables(seen: Seen, run: Run) -> dict[str, str | None]:
    names = seen.variables - {"*"}
    names |= {name for name in run.env if _READ_BY_C.match(name)}
    if _sees_all(seen):
        names |= {*ambient(run.env)}
    return {name: run.keyed(run.env[name]) if name in run.env else None for name in sorted(names)}


def _sees_all(seen: Seen) -> bool:
    """Whether every variable counts: the notebook looked at all of them, or gave them to a program."""
    return "*" in seen.variables or bool(seen.programs)
