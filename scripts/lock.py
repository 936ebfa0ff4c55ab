"""Make the locks and the overlays' companions: `python scripts/lock.py [--upgrade | --check]`.

`locks/*.in` are written by people; `locks/*.txt` are resolved from them for every Python and platform at once;
`locks/kernel.json` and `locks/scorer.json` say, for each distribution of an overlay, which top-level names it installs
and whether the user's own copy may stand in for it. The names are read from the wheels, never typed by hand.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from uv import find_uv_bin

LOCKS = Path(__file__).resolve().parent.parent / "locks"
LOCK_NAMES = ("tools", "kernel", "scorer", "cloudpickle", "publish", "cli", "dev", "clients", "arrow")
OVERLAY_NAMES = ("kernel", "scorer")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PLATFORMS = {"linux": "x86_64-unknown-linux-gnu", "darwin": "aarch64-apple-darwin"}

# A distribution is shared when people who never heard of Jupyter or gunicorn install it for their own code: replacing
# it under their feet changes what their notebook computes with, so their version is used wherever the locked stack can
# live with it. Everything else is the stack's own. Of the borderline ones, pyzmq, traitlets and prompt-toolkit
# are ours because the stack reaches into their internals, httptools because uvicorn alone asks for it.
SHARED = frozenset(
    {
        "click",
        "decorator",
        "exceptiongroup",
        "h11",
        "orjson",
        "packaging",
        "pexpect",
        "platformdirs",
        "psutil",
        "ptyprocess",
        "pygments",
        "python-dateutil",
        "six",
        "tornado",
        "typing-extensions",
        "tzdata",
        "wcwidth",
    }
)

# What a build has no use for, and what the stack does without: ipykernel looks whether there is a debugger, IPython
# whether there is a completer. They are half of the kernel's size.
OMITTED = {"kernel": ("debugpy", "jedi", "parso")}


@dataclass(kw_only=True)
class Member:
    """One distribution of an overlay, over all the Pythons and platforms that we lock for."""

    names: set[str] = field(default_factory=set)
    specifiers: SpecifierSet = field(default_factory=SpecifierSet)
    versions: set[str] = field(default_factory=set)


def main() -> int:
    """Make or check the locks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--upgrade", action="store_true", help="take the newest versions, not those already locked")
    either.add_argument("--check", action="store_true", help="change nothing, say whether the files agree")
    arguments = parser.parse_args()
    if arguments.check:
        return check()
    for name in LOCK_NAMES:
        _compile(name, upgrade=arguments.upgrade)
    for name in OVERLAY_NAMES:
        (LOCKS / f"{name}.json").write_text(json.dumps(_companion(name), indent=1, sort_keys=True) + "\n")
    return 0


def check() -> int:
    """Report every distribution on which a companion and its lock disagree; the wheels behind a lock never change."""
    problems: list[str] = []
    for name in OVERLAY_NAMES:
        expected = {(_part_of(dist), dist): " or ".join(found) for dist, found in _locked_versions(name).items()}
        companion = json.loads((LOCKS / f"{name}.json").read_text())
        present = {(part, dist): entry["version"] for part in companion for dist, entry in companion[part].items()}
        problems += [
            f"locks/{name}.json: {dist} should be in {part!r} with version {expected.get((part, dist))}, "
            f"found {present.get((part, dist))}"
            for part, dist in sorted(expected.keys() | present.keys())
            if expected.get((part, dist)) != present.get((part, dist))
        ]
    if problems:
        sys.stderr.write("\n".join([*problems, "Run `make lock` and commit what it changes.", ""]))
    return 1 if problems else 0


def _compile(name: str, *, upgrade: bool) -> None:
    # Without header, annotations and index the file is the same whoever makes it, wherever.
    options = ["--universal", "--generate-hashes", "--python-version", PYTHONS[0]]
    quiet = ["--quiet", "--no-config", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"]
    omit = [f"--no-emit-package={omitted}" for omitted in OMITTED.get(name, ())]
    command = [find_uv_bin(), "pip", "compile", *options, *quiet, *omit, f"{name}.in", "--output-file", f"{name}.txt"]
    subprocess.run([*command, *(["--upgrade"] if upgrade else [])], cwd=LOCKS, check=True)


def _companion(name: str) -> dict[str, dict[str, dict[str, object]]]:
    members: dict[str, Member] = defaultdict(Member)
    for line in (LOCKS / f"{name}.in").read_text().splitlines():
        if requirement := line.partition("#")[0].strip():
            _note_requirement(members, Requirement(requirement))
    with tempfile.TemporaryDirectory() as scratch:
        for python in PYTHONS:
            for platform in PLATFORMS:
                _note_installation(members, _install(name, python, platform, Path(scratch)))
    companion: dict[str, dict[str, dict[str, object]]] = {"ours": {}, "shared": {}}
    for dist, versions in _locked_versions(name).items():
        entry: dict[str, object] = {"version": " or ".join(versions), "names": sorted(members[dist].names)}
        if _part_of(dist) == "shared":
            entry["requires"] = str(members[dist].specifiers)
        companion[_part_of(dist)][dist] = entry
    return companion


def _part_of(dist: str) -> str:
    return "shared" if dist in SHARED else "ours"


def _locked_versions(name: str) -> dict[str, list[str]]:
    """Return the locked versions of each distribution that CPython on Linux or macOS can meet, oldest first."""
    found: dict[str, set[Version]] = defaultdict(set)
    for line in (LOCKS / f"{name}.txt").read_text().splitlines():
        if not line.startswith((" ", "#")) and line.strip():
            requirement = Requirement(line.rstrip("\\ "))
            if requirement.marker is None or _is_met_somewhere(requirement.marker):
                (pin,) = requirement.specifier
                found[canonicalize_name(requirement.name)].add(Version(pin.version))
    return {dist: [str(version) for version in sorted(versions)] for dist, versions in sorted(found.items())}


def _is_met_somewhere(marker: Marker) -> bool:
    return any(
        marker.evaluate(
            {
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "platform_system": platform.capitalize(),
                "python_full_version": f"{python}.0",
                "python_version": python,
                "sys_platform": platform,
            }
        )
        for python in PYTHONS
        for platform in PLATFORMS
    )


def _install(name: str, python: str, platform: str, scratch: Path) -> Path:
    target = scratch / f"{python}-{platform}"
    options = [
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--quiet",
        "--no-config",
        "--target",
        str(target),
    ]
    where = ["--python-version", python, "--python-platform", PLATFORMS[platform]]
    subprocess.run([find_uv_bin(), "pip", "install", *options, *where, "-r", str(LOCKS / f"{name}.txt")], check=True)
    return target


def _note_installation(members: dict[str, Member], target: Path) -> None:
    for distribution in distributions(path=[str(target)]):
        members[canonicalize_name(distribution.metadata["Name"])].names |= _top_level_names(distribution)
        for requirement in distribution.requires or []:
            _note_requirement(members, Requirement(requirement))


def _note_requirement(members: dict[str, Member], requirement: Requirement) -> None:
    # What an extra requires is asked of nobody here; what some Pythons require is asked of all: stricter is safe.
    if requirement.marker is None or _is_met_somewhere(requirement.marker):
        members[canonicalize_name(requirement.name)].specifiers &= requirement.specifier


def _top_level_names(distribution: Distribution) -> set[str]:
    names: set[str] = set()
    for path in distribution.files or []:
        # "six.py", "falcon/asgi/app.py", "zmq/backend/x.cpython-311.so": all but bin/, share/, metadata and data files.
        if path.suffix in {".py", ".so"}:
            first = path.parts[0].partition(".")[0]
            if first.isidentifier() and first not in {"bin", "share", "__pycache__"}:
                names.add(first)
    return names


if __name__ == "__main__":
    sys.exit(main())
