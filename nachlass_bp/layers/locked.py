"""Filling directories with the packages of our locks: exact versions, hashes checked, nothing else."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from nachlass_bp import bytecode, pip
from nachlass_bp.cnb.layer import Layer, make_world_readable
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import DiskFullError, InstallFailedError
from nachlass_bp.layers import packed as packed_wheels
from nachlass_bp.output import Output

_NEVER_IMPORTED = (*bytecode.TESTS, "test", "lexers")
"""A quarter of all our packages' sources: their own tests, and how pygments colours hundreds of languages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """A layer that is filled from locks.

    `key` is what its contents have to be made for (`lock_key`), `what` its name in the log, `installs` the directory
    below the layer for each lock, `copies` what of the buildpack goes where in it.
    """

    layer: Layer
    key: str
    what: str
    installs: Mapping[str, str]
    copies: Mapping[Path, str]

    @property
    def targets(self) -> dict[str, Path]:
        """The directory that each lock goes to."""
        return {lock: self.layer.path / directory for lock, directory in self.installs.items()}


def lock_key(context: BuildContext, lock: str, *more: str) -> str:
    """Return the key of a directory filled from `locks/<lock>.txt` for this interpreter and what else it depends on.

    Its last part stands for what we install, the rest for the interpreter; see `what_changed`.
    """
    text = (context.buildpack_dir / "locks" / f"{lock}.txt").read_bytes()
    digest = hashlib.sha256("\0".join(["2", *more]).encode() + b"\0" + text).hexdigest()
    version = ".".join(map(str, sys.version_info[:3]))
    # The suffix of extension modules names version, ABI and machine; `platform` and `sysconfig` take 20 ms to say it.
    return f"{lock}-{sys.implementation.name}-{version}{EXTENSION_SUFFIXES[0]}-{digest[:32]}"


def what_changed(old: str | None, new: str, ours: str) -> str:
    """Say how two keys differ: `ours` when it is what we install, Python otherwise."""
    same_python = old is not None and old.rpartition("-")[0] == new.rpartition("-")[0]
    return f"{ours} has changed" if same_python else "Python has changed"


def ensure(wanted: Sequence[Locked], context: BuildContext, output: Output) -> None:
    """Make those of the layers anew whose contents are not those of their keys, and declare them all.

    Raises:
        InstallFailedError: pip said no; its output is in the error.
        PackedWheelsError: The buildpack brings wheels, but not for this machine or Python.
        PipMissingError: There is no pip that runs.
    """
    missing = [each for each in wanted if _has_to_be_made(each, output)]
    if missing:
        output.step(f"Installing {_and([each.what for each in missing])}")
        _make(missing, context)
    for each in wanted:
        each.layer.declare({"key": each.key})


def _has_to_be_made(wanted: Locked, output: Output) -> bool:
    reasons = wanted.layer.reasons_to_replace(
        wanted.key, different=what_changed(wanted.layer.key, wanted.key, "nachlass")
    )
    if reasons is None:
        output.step(f"Using cached {wanted.what}")
        return False
    if reasons:
        output.step(f"Discarding cached {wanted.what} since:", reasons)
    return True


def _make(missing: Sequence[Locked], context: BuildContext) -> None:
    python = Path(sys.executable)
    for each in missing:
        each.layer.empty()
    _install(pip.find(python, context.env, context.buildpack_dir / "wheels"), context, missing)
    for each in missing:
        for source, name in each.copies.items():
            _copy(source, each.layer.path / name)
    layers = [each.layer.path for each in missing]
    bytecode.compile_beside(python, *layers, env=context.env, leave_out=_NEVER_IMPORTED)
    for each in missing:
        if each.layer.launch:
            make_world_readable(each.layer.path)
        each.layer.seal(each.key)


def _install(installer: pip.Pip, context: BuildContext, missing: Sequence[Locked]) -> None:
    """Install the locks of several layers side by side: a pip spends nearly all of its time on one core."""
    jobs = [(each, lock, path) for each in missing for lock, path in each.targets.items()]
    packed = packed_wheels.pip_options(context.buildpack_dir / "wheels")
    runs: list[list[str | Path]] = [
        [
            *("install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile"),
            *packed,
            *("--target", target, "--requirement", context.buildpack_dir / "locks" / f"{lock}.txt"),
        ]
        for _, lock, target in jobs
    ]
    # A find-links of the user's may be relative, and is so to the application directory.
    for (each, _, target), finished in zip(jobs, installer.run_together(runs, cwd=context.app_dir), strict=True):
        if pip.disk_was_full(finished):
            raise DiskFullError(path=str(target))
        if not finished.ok:
            raise InstallFailedError(what=f"its {each.what}", output=finished.output)
    for _, _, target in jobs:
        _drop_scripts(target)


def _drop_scripts(site: Path) -> None:
    """Remove the programs of packages: they name the Python of this build's pip, which is another one each time."""
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(("bin/", "../../bin/"))]
        record.write_text("".join(kept), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copyfile(source, target)


def _and(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
