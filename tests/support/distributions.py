"""Small distributions, written by the tests that install them: wheels without any build, and projects to build."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PYPROJECT = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'


def write_wheel(
    directory: Path, name: str, version: str, *, requires: Sequence[str] = (), extras: Mapping[str, str] | None = None
) -> str:
    """Write a wheel with one module `name`, whose VERSION is its version; return `sha256:…`.

    `extras` maps an extra to the one requirement that it adds.
    """
    directory.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    for extra, requirement in (extras or {}).items():
        metadata += [f'Provides-Extra: {extra}\nRequires-Dist: {requirement}; extra == "{extra}"']
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return "sha256:" + hashlib.sha256(wheel.read_bytes()).hexdigest()


def project_files(name: str, module: str) -> dict[str, str]:
    """Return the files of a project that setuptools builds: one package with one module text."""
    return {
        "pyproject.toml": f'{PYPROJECT}\n[project]\nname = "{name}"\nversion = "1"\n',
        f"src/{name}/__init__.py": module,
    }
