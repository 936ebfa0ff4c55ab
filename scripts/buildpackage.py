"""Put the buildpack together as it is shipped: `make buildpack [WHEELS=1]`, which then lets pack package it.

Only what the build and the image need, with modes that no umask had a say in: the same commit gives the same bytes.
The version is pyproject.toml's.
"""  # noqa: INP001 - a script, not a package

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("buildpack.toml", "bin", "nachlass_bp", "scorer", "locks", "LICENSE")
LOCKS = frozenset(
    {"tools.txt", "kernel.txt", "kernel.json", "scorer.txt", "scorer.json", "cloudpickle.txt", "publish.txt"}
)
"""Of `locks`, what builds install; the rest is for tests."""
LOCKS_TO_PACK = ("tools", "kernel", "scorer", "cloudpickle", "publish")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
"""By the names of images, the names of wheels' platforms."""
GLIBC = (
    "manylinux_2_5",
    "manylinux1",
    "manylinux_2_12",
    "manylinux2010",
    "manylinux_2_17",
    "manylinux2014",
    "manylinux_2_28",
)
"""What wheels for Debian 12, Ubuntu 22.04 and newer are tagged with (PEP 600, PEP 599, PEP 571, PEP 513)."""


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, help="where it goes; emptied first")
    parser.add_argument("--wheels", choices=ARCHITECTURES, help="pack our locked wheels in, for this architecture")
    arguments = parser.parse_args()
    assemble(arguments.directory)
    if arguments.wheels:
        pack_wheels(arguments.directory, arguments.wheels)


def assemble(directory: Path) -> None:
    """Make `directory` the buildpack of the working tree's files that git would not ignore."""
    shutil.rmtree(directory, ignore_errors=True)
    for path, is_program in _shipped():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, target)
        target.chmod(0o755 if is_program else 0o644)
    _write_version(directory / "buildpack.toml", _version())
    _open_directories(directory)


def _shipped() -> Iterator[tuple[Path, bool]]:
    """Yield the files of the buildpack, those that git doesn't know yet too, and whether they are programs."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SHIPPED]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise SystemExit("buildpackage: git is missing, which tells the files of the buildpack from others.") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"buildpackage: this has to be a clone of the git repository: {error.stderr.strip()}"
        ) from None
    for path in map(Path, filter(None, listed.stdout.split("\0"))):
        if (ROOT / path).is_file() and (path.parts[0] != "locks" or path.name in LOCKS):
            yield path, os.access(ROOT / path, os.X_OK)


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _write_version(file: Path, version: str) -> None:
    text = re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', file.read_text(encoding="utf-8"), count=1)
    file.write_text(text, encoding="utf-8")


def _open_directories(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)


def pack_wheels(directory: Path, architecture: str) -> None:
    """Download the wheels of our locks for every Python that we support, and say for whom they are."""
    wheels = directory / "wheels"
    wheels.mkdir()
    for python in PYTHONS:
        locks = (ROOT / "locks" / f"{name}.txt" for name in LOCKS_TO_PACK)
        for requirements in _without_doubles(
            entry for lock in locks for entry in _applicable(lock, python, architecture)
        ):
            _download(requirements, python, architecture, wheels)
    # The build reads it before it has anything to read TOML with.
    fit = {"machine": ARCHITECTURES[architecture], "libc": "glibc", "pythons": list(PYTHONS)}
    (wheels / "packed.json").write_text(json.dumps(fit), encoding="utf-8")
    for file in wheels.iterdir():
        file.chmod(0o644)
    file = directory / "buildpack.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('os = "linux"\n', f'os = "linux"\narch = "{architecture}"\n'), encoding="utf-8")


def _without_doubles(entries: Iterable[str]) -> Iterator[Iterable[str]]:
    """Yield all requirements, in as few lists as it takes to have no project twice in one: pip refuses that."""
    left = list(dict.fromkeys(entries))
    while left:
        chosen: dict[str, str] = {}
        for entry in left:
            chosen.setdefault(entry.partition("==")[0], entry)
        yield chosen.values()
        taken = set(chosen.values())
        left = [entry for entry in left if entry not in taken]


def _download(requirements: Iterable[str], python: str, architecture: str, wheels: Path) -> None:
    chosen = wheels.parent / "chosen.txt"
    chosen.write_text("\n".join(requirements), encoding="utf-8")
    machine = ARCHITECTURES[architecture]
    platforms = [word for tag in GLIBC for word in ("--platform", f"{tag}_{machine}")]
    abi = f"cp{python.replace('.', '')}"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"),
            *("--only-binary", ":all:", "--require-hashes", "--python-version", python, "--implementation", "cp"),
            *("--abi", abi, "--abi", "abi3", "--abi", "none", *platforms),
            *("--dest", str(wheels), "--requirement", str(chosen)),
        ],
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"buildpackage: pip can't get the wheels for Python {python}; it says why above.")
    chosen.unlink()


def _applicable(lock: Path, python: str, architecture: str) -> Iterator[str]:
    """Yield the requirements of a lock that count for this Python, each with its hashes and without its marker.

    pip would decide that by the Python that it runs on itself.
    """
    environment = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": ARCHITECTURES[architecture],
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    for entry in lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if not entry or entry.startswith("#"):
            continue
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        parsed = Requirement(requirement)
        if parsed.marker is None or parsed.marker.evaluate(environment):
            yield " ".join([f"{parsed.name}{parsed.specifier}", *(f"--hash={each.strip()}" for each in hashes)])


if __name__ == "__main__":
    main()
