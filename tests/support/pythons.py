"""The machine's interpreters, and what tests make of them: relocated copies, installed requirements, wheels."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

from tests.support.trees import link_tree

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache" / "tests"
"""Kept between test runs; every directory in it is named after all that went into it."""

MODEL_REQUIREMENTS = ("numpy", "scipy", "scikit-learn", "joblib", "cloudpickle")
LOCKS = ("tools", "kernel", "scorer", "cloudpickle", "publish")

_DESCRIBE = """
import json, os, sys, sysconfig
v = sysconfig.get_config_var
print(json.dumps({
    "executable": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
    "name": "python%d.%d" % sys.version_info[:2],
    "abi": v("SOABI"),
    "stdlib": sysconfig.get_path("stdlib"),
    "shared_library": os.path.join(v("LIBDIR"), v("INSTSONAME") or v("LDLIBRARY")) if v("Py_ENABLE_SHARED") else None,
}))
"""


@dataclass(frozen=True, kw_only=True)
class Python:
    """One interpreter of this machine, never a virtual environment's."""

    executable: Path
    name: str
    """For instance `python3.11`, as it names directories below `lib`."""
    abi: str
    stdlib: Path
    shared_library: Path | None


def find_python(name: str = "", *, path: str | None = None) -> Python | None:
    """Return the interpreter `name` ("python3.12"), or the one behind these tests, if it is 3.10 or newer.

    Besides `path` (default: PATH), pyenv's versions are looked at: its shims work only where a version is selected.
    """
    if not name:
        return _describe(sys.executable)
    found = [shutil.which(name, path=path)]
    if path is None:
        versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        found = [*sorted(map(str, versions.glob(f"*/bin/{name}"))), *found]
    for executable in found:
        described = executable and _describe(executable)
        if described:
            return described
    return None


def _describe(executable: str) -> Python | None:
    program = f"import sys; sys.version_info >= (3, 10) or sys.exit(1)\n{_DESCRIBE}"
    # Without the test runner's own settings (PYTHONPATH …), and not in its virtual environment.
    done = subprocess.run([executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    facts = json.loads(done.stdout)
    library = facts.pop("shared_library")
    return Python(
        executable=Path(facts["executable"]),
        name=facts["name"],
        abi=facts["abi"],
        stdlib=Path(facts["stdlib"]),
        shared_library=Path(library) if library else None,
    )


def this_python() -> Python:
    """Return the interpreter behind the tests' own virtual environment."""
    python = find_python()
    assert python is not None, f"{sys.executable} is too old"
    return python


def copy_interpreter(python: Python, prefix: Path, *, has_bytecode: bool = True) -> None:
    """Make `prefix` a complete Python of its own, with an empty site-packages, as Python buildpacks unpack one.

    CPython finds its standard library beside its executable, so that a copy is a relocated installation.
    """
    library = prefix / "lib" / python.name
    (prefix / "bin").mkdir(parents=True)
    shutil.copy2(python.executable, prefix / "bin" / python.name)
    for alias in ("python3", "python"):
        (prefix / "bin" / alias).symlink_to(python.name)
    unwanted = ("site-packages", "dist-packages", "test", "config-*", "idlelib", "tkinter")
    link_tree(python.stdlib, library, leave_out=unwanted if has_bytecode else (*unwanted, "__pycache__"))
    (library / "site-packages").mkdir()
    if python.shared_library is not None:
        shutil.copy2(python.shared_library, prefix / "lib")
    # Debian's marks on its own interpreter; a copy is nobody's system Python.
    for mark in ("EXTERNALLY-MANAGED", "sitecustomize.py"):
        (library / mark).unlink(missing_ok=True)


def installed_requirements(python: Python, requirements: Sequence[str] = MODEL_REQUIREMENTS) -> Path:
    """Return a directory with `requirements` installed, in the versions of locks/dev.txt; never write to it."""

    def install(directory: Path) -> None:
        constraints = directory.with_suffix(".constraints")
        constraints.write_text("\n".join(_locked_versions()))
        _pip(python, "install", "--quiet", "--target", str(directory), "-c", str(constraints), *requirements)

    return made_once("requirements", (python.abi, str(python.executable), *requirements, *_locked_versions()), install)


def installed_lock(python: Python, name: str) -> Path:
    """Return a directory with what `locks/<name>.txt` has installed; never write to it."""
    lock = ROOT / "locks" / f"{name}.txt"

    def install(directory: Path) -> None:
        options = ["--quiet", "--require-hashes", "--no-deps", "--target", str(directory), "-r", str(lock)]
        # uv takes a tenth of pip's time, and doesn't know pip's settings: where it finds no index, pip has to.
        uv = [find_uv_bin(), "pip", "install", "--no-config", "--python", str(python.executable)]
        if subprocess.run([*uv, *options], capture_output=True, check=False).returncode != 0:
            shutil.rmtree(directory, ignore_errors=True)
            _pip(python, "install", *options)

    return made_once(name, (python.abi, str(python.executable), lock.read_text()), install)


def wheelhouse(python: Python, requirements: Sequence[str] = MODEL_REQUIREMENTS) -> Path:
    """Return a directory of wheels: all of our locks and `requirements`, so that builds need no package index."""
    locks = [ROOT / "locks" / f"{name}.txt" for name in LOCKS]

    def download(directory: Path) -> None:
        directory.mkdir()
        for lock in locks:
            _pip(
                python,
                "download",
                "--quiet",
                "--dest",
                str(directory),
                "--require-hashes",
                "--no-deps",
                "-r",
                str(lock),
            )
        constraints = directory.with_suffix(".constraints")
        constraints.write_text("\n".join(_locked_versions()))
        _pip(python, "download", "--quiet", "--dest", str(directory), "-c", str(constraints), *requirements)

    contents = [lock.read_text() for lock in locks]
    return made_once("wheels", (python.abi, *requirements, *contents, *_locked_versions()), download)


def pip_distribution() -> Path:
    """Return the directory that holds the `pip` package of the tests' own environment."""
    import pip  # noqa: PLC0415 - only some tests need it, and importing it is slow

    return Path(pip.__file__).parent.parent


def _pip(python: Python, *arguments: str) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python.executable)]
    done = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _locked_versions() -> list[str]:
    lock = (ROOT / "locks" / "dev.txt").read_text()
    return [line.rstrip(" \\") for line in lock.splitlines() if re.match(r"[\w.-]+==", line)]


def made_once(kind: str, key: Sequence[str], make: Callable[[Path], None]) -> Path:
    """Return a directory below `CACHE` that `make` has made; `key` is all that it is made from. Never write to it."""
    digest = hashlib.sha256("\0".join(key).encode()).hexdigest()[:16]
    directory = CACHE / f"{kind}-{digest}"
    with locked(directory.with_suffix(".lock")):
        if not directory.exists():
            new = directory.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            make(new)
            new.rename(directory)
    return directory


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other test processes (xdist's workers) out until the block is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
