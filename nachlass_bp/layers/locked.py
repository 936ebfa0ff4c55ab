"""Filling a directory with the packages of one of our locks: exact versions, hashes checked, nothing else."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from nachlass_bp import pip, process
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import DiskFullError, InstallFailedError
from nachlass_bp.output import Output


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


def ensure(layer: Layer, key: str, what: str, make: Callable[[], None], output: Output) -> None:
    """Make a layer unless its contents are those of `key`, say which and why, and declare it.

    Args:
        layer: The layer, restored or not.
        key: What its contents have to be made for (`lock_key`).
        what: What to call it in the log.
        make: Fills the layer from scratch.
        output: The log.
    """
    reasons = layer.reasons_to_replace(key, different=what_changed(layer.key, key, "nachlass"))
    if reasons is None:
        output.step(f"Using cached {what}")
    else:
        if reasons:
            output.step(f"Discarding cached {what} since:", reasons)
        output.step(f"Installing {what}")
        make()
        layer.seal(key)
    layer.declare({"key": key})


def install(installer: pip.Pip, context: BuildContext, lock: str, target: Path, what: str) -> None:
    """Install `locks/<lock>.txt` into `target`.

    Raises:
        InstallFailedError: pip said no; its output is in the error.
    """
    finished = installer.run(
        [
            *("install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile"),
            *("--target", target, "--requirement", context.buildpack_dir / "locks" / f"{lock}.txt"),
        ],
        # A find-links of the user's may be relative, and is so to the application directory.
        cwd=context.app_dir,
    )
    if pip.disk_was_full(finished):
        raise DiskFullError(path=str(target))
    if not finished.ok:
        raise InstallFailedError(what=what, output=finished.output)


def compile_bytecode(python: Path, *directories: Path, env: Mapping[str, str]) -> None:
    """Compile the sources below `directories`, never to be compared with them again.

    Exporters set every source's time to 1980, after which bytecode that remembers a time counts as stale and is made
    again at each start (PEP 552, unchecked hash-based pycs). Sources that don't compile are left to whoever imports
    them.
    """
    process.run(
        [python, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", *directories],
        env=env,
        cwd=directories[0],
    )
