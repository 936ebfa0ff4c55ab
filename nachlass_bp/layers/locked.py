"""Filling a directory with the packages of one of our locks: exact versions, hashes checked, nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nachlass_bp import pip, process
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import DiskFullError, InstallFailedError


def lock_key(context: BuildContext, lock: str, *more: str) -> str:
    """Return the key of a directory filled from `locks/<lock>.txt` for this interpreter and what else it depends on."""
    import platform  # noqa: PLC0415 - only two callers a build
    import sys  # noqa: PLC0415
    import sysconfig  # noqa: PLC0415

    abi = sysconfig.get_config_var("SOABI") or ""
    parts = ["1", platform.python_implementation(), platform.python_version(), abi, platform.machine(), sys.platform]
    text = (context.buildpack_dir / "locks" / f"{lock}.txt").read_bytes()
    digest = hashlib.sha256("\0".join([*parts, *more]).encode() + b"\0" + text).hexdigest()
    return f"{lock}-{digest[:32]}"


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
        cwd=target.parent,
    )
    if pip.disk_was_full(finished):
        raise DiskFullError(path=str(target))
    if not finished.ok:
        raise InstallFailedError(what=what, output=finished.output)


def compile_bytecode(python: Path, *directories: Path, env: dict[str, str] | None = None) -> None:
    """Compile the sources below `directories`, never to be compared with them again.

    Exporters set every source's time to 1980, after which bytecode that remembers a time counts as stale and is made
    again at each start (PEP 552, unchecked hash-based pycs). Sources that don't compile are left to whoever imports
    them.
    """
    process.run(
        [python, "-I", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", *directories],
        env=env or {},
        cwd=directories[0],
    )
