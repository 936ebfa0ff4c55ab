"""Holding a trace against the present: what differs, in the words of the notebook's author."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice

from nachlass_bp.cache import outside
from nachlass_bp.cache.digests import Digester
from nachlass_bp.cache.trace import Dependencies, Key, Trace, digest_of
from nachlass_bp.cache.variables import ambient
from nachlass_bp.cache.view import View

_MOST = 8
"""After so many differences the rest adds nothing for the log."""
_MOST_PACKAGES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """What there is now. `env` are the variables that a notebook would see; `keyed` makes their digests.

    `code` has the digest that stands for each listed notebook; `packages` are the installed distributions.
    """

    view: View
    env: Mapping[str, str]
    keyed: Callable[[str], str]
    digester: Digester
    code: Mapping[str, str]
    packages: Mapping[str, str]


def differences(
    trace: Trace,
    key: Key,
    packages: Callable[[str], Mapping[str, str]],
    world: World,
    *,
    most: int | None = _MOST,
) -> list[str]:
    """Return what speaks against reusing a run, most telling first; empty when nothing does.

    Args:
        trace: The run.
        key: What the notebook is now.
        packages: Gives the distributions behind a key's digest.
        world: Everything else that there is now.
        most: How many are enough; None for all of them.
    """
    of_keys = _of_keys(trace.key, key, packages, world, most=_MOST_PACKAGES if most is not None else None)
    found: list[str] = []
    try:
        found.extend(islice(chain(of_keys, _of_dependencies(trace.dependencies, world)), most))
    except OSError as error:
        # What can't be looked at isn't known to be as it was.
        found.append(f"{error.filename} can't be read ({error.strerror})")
    return found


def _of_keys(
    old: Key, new: Key, packages: Callable[[str], Mapping[str, str]], world: World, *, most: int | None
) -> Iterator[str]:
    if old.code != new.code:
        yield "its code changed"
    if old.parameters != new.parameters:
        yield "its parameters changed"
    yield from _of_settings(old, new)
    if old.cwd != new.cwd:
        yield "it runs in another directory"
    if old.python != new.python:
        yield f"Python changed ({old.python.split()[0]} → {new.python.split()[0]})"
    if old.packages != new.packages:
        yield _changed_packages(packages(old.packages), world.packages, most)
    if old.kernel != new.kernel:
        yield "nachlass changed how it runs notebooks"


def _of_settings(old: Key, new: Key) -> Iterator[str]:
    if old.stage_file != new.stage_file:
        yield "NACHLASS_STAGES takes its stage from another place"
    if old.seed != new.seed:
        yield "NACHLASS_SEED changed"
    if old.offline != new.offline:
        yield "NACHLASS_OFFLINE changed"
    if old.deps != new.deps:
        yield "its declared dependencies changed"


def _changed_packages(old: Mapping[str, str], new: Mapping[str, str], most: int | None) -> str:
    if not old:
        return "the installed packages changed"
    changes = [
        f"{name} {_version(old.get(name, '(new)'))} → {_version(new.get(name, '(gone)'))}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    shown = changes[:most]
    more = f" and {len(changes) - len(shown)} more" if len(shown) < len(changes) else ""
    return f"packages changed: {', '.join(shown)}{more}"


def _version(described: str) -> str:
    return described.partition(" ")[0]


def _of_dependencies(dependencies: Dependencies, world: World) -> Iterator[str]:
    """Yield differences lazily, the cheap comparisons first: contents are read only when all else is equal."""
    yield from _of_variables(dependencies, world)
    yield from _of_modules(dependencies, world.view)
    yield from _of_names(dependencies, world)
    yield from _of_contents(dependencies, world)


def _of_names(dependencies: Dependencies, world: World) -> Iterator[str]:
    view = world.view
    for path, shape in dependencies.shapes.items():
        now = view.shape(path)
        if now != shape:
            yield _change(path, shape, now)
    for directory, listing in dependencies.lists.items():
        if view.listing(directory) != listing and view.sizes(directory, world.code) != listing:
            yield f"a file was added to or removed from {directory or 'the repository'}"
    for directory, outer in dependencies.external_lists.items():
        if outside.listing(directory) != outer:
            yield f"a file was added to or removed from {directory}"
    for pattern, matches in dependencies.patterns.items():
        if digest_of(view.matching(pattern)) != matches:
            yield f"a file that matches {pattern} was added or removed"
    if dependencies.names is not None and view.all_names() != dependencies.names:
        yield "a file was added or removed, and it starts other programs"


def _of_modules(dependencies: Dependencies, view: View) -> Iterator[str]:
    for directory, names in dependencies.modules.items():
        yield from _of_candidates(directory, names, view.importable(directory, names))
    for directory, names in dependencies.external_modules.items():
        yield from _of_candidates(directory, names, outside.importable(directory, names))
    for directory, distributions in dependencies.distributions.items():
        if view.distributions(directory) != distributions:
            yield f"a distribution was added to or removed from {directory or 'the repository'}"


def _of_candidates(directory: str, before: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> Iterator[str]:
    for module, candidates in before.items():
        if now[module] != candidates:
            changed = min({*now[module]} ^ {*candidates}, default=module)
            yield f"{_place(directory, changed)} {'added' if changed in now[module] else 'removed'}"


def _of_contents(dependencies: Dependencies, world: World) -> Iterator[str]:
    for path, entry in dependencies.files.items():
        now = world.view.entry(path)
        if now != entry:
            yield _change(path, entry, now)
    for path, entry in dependencies.external.items():
        now = world.digester.entry(path)
        if now != entry:
            yield _change(path, entry, now)
    if dependencies.tree is not None and world.view.whole(world.code) != dependencies.tree:
        yield "a file of the repository changed"


def _of_variables(dependencies: Dependencies, world: World) -> Iterator[str]:
    for name, digest in dependencies.env.items():
        value = world.env.get(name)
        now = None if value is None else world.keyed(value)
        if now != digest:
            yield f"variable {name} {'was set' if digest is None else 'is gone' if now is None else 'changed'}"
    if dependencies.env_names is not None and digest_of(ambient(world.env)) != dependencies.env_names:
        yield "a variable was set or is gone, and it looks at all of them"


def _change(path: str, old: str | None, new: str | None) -> str:
    return f"{path} {'added' if old is None else 'removed' if new is None else 'changed'}"


def _place(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
