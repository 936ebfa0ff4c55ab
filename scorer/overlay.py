"""Put a directory of packages in front of the environment for one list of names, and for nothing else.

The standard library alone: this is the first thing that a kernel of the build and the launched service import, before
any other package of ours can be found.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.metadata import Distribution, DistributionFinder
    from types import ModuleType


def install(site: str, names: Iterable[str], distributions: Iterable[str]) -> None:
    """Import the top-level `names` from the directory `site`, and describe `distributions` from its metadata.

    A name that `site` does not hold is looked for in the environment, as if it had not been listed.
    """
    sys.meta_path.insert(0, OverlayFinder(site, names, distributions))


def redirect(source: str, target: str) -> None:
    """Import from below the directory `target` what editable installations would import from below `source`.

    Their `.pth` files were read when the interpreter started: what they left is entries of sys.path, and setuptools'
    finder modules with tables from names to places.
    """
    sys.path[:] = [_moved(entry, source, target) for entry in sys.path]
    for finder in [module for name, module in sys.modules.items() if name.startswith("__editable__")]:
        places: dict[str, str] = getattr(finder, "MAPPING", {})
        for name, place in places.items():
            places[name] = _moved(place, source, target)
        portions: dict[str, list[str]] = getattr(finder, "NAMESPACES", {})
        for name, directories in portions.items():
            portions[name] = [_moved(directory, source, target) for directory in directories]


def _moved(path: str, source: str, target: str) -> str:
    is_below = path == source or path.startswith(source.rstrip(os.sep) + os.sep)
    return target + path[len(source) :] if is_below else path


class OverlayFinder:
    """A finder for `sys.meta_path` that answers for the listed names and stays silent about all others."""

    def __init__(self, site: str, names: Iterable[str], distributions: Iterable[str]) -> None:
        self._path = [site]
        self._names = frozenset(names)
        self._distributions = frozenset(_normalised(name) for name in distributions)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a listed top-level module; submodules follow from the `__path__` of their package."""
        if path is not None or fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, self._path, target)
        if spec is not None and spec.loader is None:
            # A namespace package belongs to nobody: the environment's portions come after ours. A plain list, because
            # the path object of a namespace forgets ours as soon as sys.path changes.
            rest = PathFinder.find_spec(fullname, None, target)
            theirs = (rest.submodule_search_locations if rest is not None else None) or ()
            spec.submodule_search_locations = [*(spec.submodule_search_locations or ()), *theirs]
        return spec

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> Iterator[Distribution]:
        """Yield the listed distributions that `context` asks for; later finders may add others."""
        if context is not None and "path" in vars(context):
            return  # Somebody looks into directories of their own, which ours is not.
        # Only importlib.metadata calls this, so that importing it here costs nothing.
        from importlib.metadata import DistributionFinder, MetadataPathFinder  # noqa: PLC0415

        wanted = None if context is None else context.name
        if wanted is None or _normalised(wanted) in self._distributions:
            here = DistributionFinder.Context(name=wanted, path=self._path)
            for distribution in MetadataPathFinder.find_distributions(here):
                if _normalised(distribution.metadata["Name"]) in self._distributions:
                    yield distribution


def _normalised(name: str) -> str:
    """Return the name as distributions are compared by it (packaging.python.org, "Name normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()
