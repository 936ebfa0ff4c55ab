"""The environments that Python buildpacks leave behind, made from this machine's own Python.

Each shape holds to what was read in the buildpack's source; the section numbers are those of the notes it came from,
and the comments name the source itself.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.environment import IMAGE_PATH
from tests.support.phases import Provider
from tests.support.pythons import (
    MODEL_REQUIREMENTS,
    Python,
    copy_interpreter,
    installed_requirements,
    pip_distribution,
)
from tests.support.trees import link_tree


def paketo(python: Python, requirements: Sequence[str] = MODEL_REQUIREMENTS) -> Provider:
    """Return the shape of paketo-buildpacks/cpython 1.18, pip 0.29 and pip-install 0.7: everything on PYTHONPATH."""

    def install(layers: Path) -> None:
        # cpython's build.go: PYTHONPATH.default is the layer itself, PYTHONPYCACHEPREFIX keeps bytecode out of layers.
        cpython = _layer(layers / "paketo-buildpacks_cpython/cpython", launch=True, cache=True)
        copy_interpreter(python, cpython, has_bytecode=False)
        _env(cpython / "env", {"PYTHONPATH.default": str(cpython)})
        _env(cpython / "env.build", {"PYTHONPYCACHEPREFIX.default": "/tmp"})
        # At launch an exec.d program sets it below HOME, unless it is set.
        _env(cpython / "env.launch", {"PYTHONPYCACHEPREFIX.default": "/nonexistent/.pycache"})

        # pip's build.go: for the build only, on PYTHONPATH; its source in a layer that pip finds links in.
        pip = _layer(layers / "paketo-buildpacks_pip/pip", launch=False, cache=True)
        _install_pip(pip / "lib" / python.name / "site-packages")
        _prepend_pythonpath(pip, python)
        source = _layer(layers / "paketo-buildpacks_pip/pip-source", launch=False, cache=True)
        source.mkdir()
        _env(source / "env.build", {"PIP_FIND_LINKS.append": str(source), "PIP_FIND_LINKS.delim": " "})

        # pip-install's build.go: `PYTHONUSERBASE=<layer> pip install --user`, the result prepended to PYTHONPATH.
        packages = _layer(layers / "paketo-buildpacks_pip-install/packages", launch=True, cache=True)
        link_tree(installed_requirements(python, requirements), packages / "lib" / python.name / "site-packages")
        _prepend_pythonpath(packages, python)

    return Provider(
        buildpacks=("paketo-buildpacks_cpython", "paketo-buildpacks_pip", "paketo-buildpacks_pip-install"),
        install=install,
    )


def heroku(python: Python, requirements: Sequence[str] = MODEL_REQUIREMENTS) -> Provider:
    """Return the shape of heroku/python 6: a virtual environment without pip, and a pip that writes into it."""

    def install(layers: Path) -> None:
        ours = layers / "heroku_python"
        # python layer: src/layers/python.rs
        prefix = _layer(ours / "python", launch=True, cache=True)
        copy_interpreter(python, prefix)
        _env(prefix / "env", {"PYTHONUNBUFFERED.override": "1"})

        # pip layer: src/layers/pip.rs, a user-site installation that is there for the build only.
        pip = _layer(ours / "pip", launch=False, cache=True)
        _install_pip(pip / "lib" / python.name / "site-packages")
        _write_program(pip / "bin/pip", f"#!/bin/sh\nexec '{prefix}/bin/python3' -m pip \"$@\"\n")
        _env(pip / "env.build", {"PYTHONUSERBASE.override": str(pip)})
        cache = _layer(ours / "pip-cache", launch=False, cache=True)
        cache.mkdir()
        _env(cache / "env.build", {"PIP_CACHE_DIR.override": str(cache), "PIP_DISABLE_PIP_VERSION_CHECK.override": "1"})

        # venv layer: src/layers/venv.rs, made by `python -m venv --without-pip` in each build. PIP_PYTHON makes a
        # bare `pip install` write into it.
        venv = _layer(ours / "venv", launch=True, cache=False)
        subprocess.run(
            [prefix / "bin/python3", "-m", "venv", "--without-pip", venv],
            check=True,
            env={"LD_LIBRARY_PATH": str(prefix / "lib")},
        )
        site = venv / "lib" / python.name / "site-packages"
        site.rmdir()
        link_tree(installed_requirements(python, requirements), site)
        _env(venv / "env", {"VIRTUAL_ENV.override": str(venv)})
        _env(venv / "env.build", {"PIP_PYTHON.override": str(venv)})
        # src/main.rs: bytecode whose validity does not hang on the time stamps that the exporter resets.
        _env(venv / "env.build", {"SOURCE_DATE_EPOCH.default": "315532801"})

    return Provider(buildpacks=("heroku_python",), install=install)


def google(python: Python, requirements: Sequence[str] = MODEL_REQUIREMENTS) -> Provider:
    """Return the shape of Google's python.runtime and python.pip: a runtime with pip, requirements in a user site."""

    def install(layers: Path) -> None:
        # cmd/python/runtime: the runtime brings its pip along.
        prefix = _layer(layers / "google.python.runtime/python", launch=True, cache=True)
        copy_interpreter(python, prefix)
        _install_pip(prefix / "lib" / python.name / "site-packages")
        _env(prefix / "env.launch", {"PYTHONUNBUFFERED.override": "TRUE"})

        # cmd/python/pip and pkg/python: PYTHONUSERBASE is the layer, in build and launch.
        pip = _layer(layers / "google.python.pip/pip", launch=True, cache=True)
        link_tree(installed_requirements(python, requirements), pip / "lib" / python.name / "site-packages")
        _env(pip / "env", {"PYTHONUSERBASE.default": str(pip)})

    return Provider(buildpacks=("google.python.runtime", "google.python.pip"), install=install)


def bare(python: Python) -> Provider:
    """Return the shape of a base image with a python3 and no Python buildpack: nachlass installs the requirements."""
    # Our builders on such images set NACHLASS_SYSTEM_PYTHON: they see to it that the run image has the same Python.
    directory = python.executable.parent
    return Provider(env={"NACHLASS_SYSTEM_PYTHON": "true"}, path=f"{directory}:{IMAGE_PATH}")


SHAPES = {"paketo": paketo, "heroku": heroku, "google": google}


def _layer(path: Path, *, launch: bool, cache: bool) -> Path:
    """Declare a layer for the build; the caller makes its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    types = {"build": True, "launch": launch, "cache": cache}
    lines = [f"{name} = {str(value).lower()}\n" for name, value in types.items()]
    Path(f"{path}.toml").write_text("[types]\n" + "".join(lines))
    return path


def _env(directory: Path, files: Mapping[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (directory / name).write_text(value)


def _write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _prepend_pythonpath(layer: Path, python: Python) -> None:
    site = layer / "lib" / python.name / "site-packages"
    _env(layer / "env", {"PYTHONPATH.prepend": str(site), "PYTHONPATH.delim": ":"})


def _install_pip(site_packages: Path) -> None:
    """Put the pip of the tests' own environment into a directory: package and metadata."""
    site_packages.mkdir(parents=True, exist_ok=True)
    for source in pip_distribution().glob("pip*"):
        link_tree(source, site_packages / source.name)
