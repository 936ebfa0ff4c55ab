"""What a notebook installs while it runs: found by looking at the environment before and after, and refused.

The environment is what the service will have, and what the next notebooks and builds start from; a `pip install` in a
cell would change it for some of them and not for others.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp.cnb.layer import Layer
from nachlass_bp.errors import BuildpackError, PackagesChangedError
from nachlass_bp.output import Output

_METADATA = (".dist-info", ".egg-info")
_KINDS = (*_METADATA, ".egg-link", ".pth")
_MOST_NAMED = 12

Snapshot = Mapping[tuple[str, str], tuple[int, int]]
"""By directory and name of a distribution's metadata: the inode and the time (ns) that a new installation changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A distribution that isn't as it was: versions before and after, None where there was none."""

    name: str
    before: str | None
    after: str | None
    directory: Path

    @property
    def text(self) -> str:
        """The change in a few words."""
        if self.after is None:
            what = "removed"
        elif self.before is None:
            what = "new"
        else:
            what = "installed again" if self.before == self.after else f"was {self.before}"
        named = f"{self.name} {self.after or self.before}".rstrip()
        return f"{named} ({what})"


def look(path: Iterable[Path]) -> Snapshot:
    """Return what is installed in the directories of an import path; some of them need not exist.

    One listing a directory, without opening a file: a thousandth of a second in an environment of usual size.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for directory in path:
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.endswith(_KINDS):
                        stat = entry.stat()
                        found[str(directory), entry.name] = (stat.st_ino, stat.st_mtime_ns)
        except OSError:
            continue  # An entry of the path that is no directory, or that nobody has made yet.
    return found


def changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Return the distributions that differ, sorted by name."""
    different = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    versions: dict[tuple[str, str], list[str | None]] = {}
    for directory, file in different:
        name, version = _parse(file)
        pair = versions.setdefault((name, directory), [None, None])
        for index, snapshot in enumerate((before, after)):
            if (directory, file) in snapshot:
                pair[index] = version
    return [
        Change(name=name, before=pair[0], after=pair[1], directory=Path(directory))
        for (name, directory), pair in sorted(versions.items())
    ]


def _parse(file: str) -> tuple[str, str]:
    """Return name and version of `name-1.0.dist-info` (the binary distribution format), "" for no version."""
    if not file.endswith(_METADATA):
        return file, ""
    name, _, version = Path(file).stem.partition("-")
    return name.replace("_", "-"), version.partition("-")[0]


@contextmanager
def unchanged(notebook: str, path: Iterable[Path], packages: Layer, output: Output) -> Iterator[None]:
    """Watch over the environment while a notebook runs.

    Our own layer loses its seal when it was changed, however the run ended: the next build makes it again.

    Raises:
        PackagesChangedError: The run was fine otherwise, and the environment isn't what it was.
    """
    directories = tuple(path)
    before = look(directories)
    try:
        yield
    except BuildpackError:
        if found := changes(before, look(directories)):
            _unseal(packages, found)
            output.warning(f"{notebook} changed the installed packages: {_listed(found)}")
        raise
    except BaseException:  # A signal: no time for more than the seal.
        _unseal(packages, changes(before, look(directories)))
        raise
    if found := changes(before, look(directories)):
        _unseal(packages, found)
        foreign = sorted({str(each.directory) for each in found if not each.directory.is_relative_to(packages.path)})
        raise PackagesChangedError(
            notebook=notebook,
            changes=[each.text for each in found[:_MOST_NAMED]],
            more=max(len(found) - _MOST_NAMED, 0),
            wanted=[f"{each.name}=={each.after}" for each in found if each.after][:_MOST_NAMED],
            foreign=foreign,
        )


def _listed(found: list[Change]) -> str:
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return ", ".join(each.text for each in found[:_MOST_NAMED]) + more


def _unseal(packages: Layer, found: list[Change]) -> None:
    if any(each.directory.is_relative_to(packages.path) for each in found):
        packages.unseal()
