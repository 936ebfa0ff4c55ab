"""What a test needs beyond Python: skip it, saying why, where that is missing, unless the caller insists on it.

`NACHLASS_TEST_REQUIRE=lifecycle,docker` turns a missing facility into a failure, so that CI cannot skip it silently.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from typing import NoReturn

import pytest

from tests.support.pythons import ROOT, find_python, installed_lock, this_python

TOOLS = ROOT / ".tools" / "lifecycle"

PACK = ROOT / ".tools" / "pack" / "pack"

PROMETHEUS = ROOT / ".tools" / "prometheus" / "usr" / "bin"

MANY_FILES = 11_000
"""What 10,000 connections take of file descriptors, on each side."""

SKIP_PREFIX = "needs "
"""How the reason of each such skip starts; `tests/conftest.py` sums them up at the end of a session."""


def require(name: str) -> None:
    """Skip the calling test when the machine lacks `name`; fail it when NACHLASS_TEST_REQUIRE names it.

    `name` is "lifecycle", "clients" (`locks/clients.txt`), "docker", "files", "pack", "prometheus", "registry", "root",
    an interpreter like "python3.12", or a program: "apt-get", "chromium", "curl", "git", "mount", "setpriv".
    """
    reason = _interpreter(name) if name.startswith("python") else _CHECKS[name]()
    if reason:
        lack(name, reason)


def lack(name: str, reason: str) -> NoReturn:
    """Do the same for what a test has found missing by itself: "cgroup"."""
    insisted = {item.strip() for item in os.environ.get("NACHLASS_TEST_REQUIRE", "").split(",")}
    if name in insisted:
        pytest.fail(f"NACHLASS_TEST_REQUIRE names {name}, but {reason}", pytrace=False)
    pytest.skip(f"{SKIP_PREFIX}{name}: {reason}")


def _interpreter(name: str) -> str | None:
    return None if find_python(name) else f"there is no {name}"


def _lifecycle() -> str | None:
    if os.geteuid() != 0:
        return "only root can start the build and the service as two other users"
    for program in ("setpriv", "unshare", "chroot", "mount"):
        # A root shell need not have the administrator's directories on its PATH.
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            return f"there is no program {program}"
    namespace = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if namespace.returncode != 0:
        return f"this machine allows no mount namespace ({namespace.stderr.strip()})"
    if not (TOOLS / "creator").exists():
        return "it is not built; run: make tools"
    if find_python("python3", path="/usr/bin:/bin") is None:
        return "there is no Python 3.10 or newer in /usr/bin for the other users (Debian: apt-get install python3)"
    return None


def _program(name: str) -> Callable[[], str | None]:
    return lambda: None if shutil.which(name) else f"there is no program {name}"


def prometheus_program(name: str) -> str | None:
    """Return where `prometheus` or `promtool` is, None where neither the machine nor `.tools` has it."""
    return shutil.which(name, path=f"{PROMETHEUS}{os.pathsep}{os.environ.get('PATH', '')}")


def _prometheus() -> str | None:
    if prometheus_program("prometheus") and prometheus_program("promtool"):
        return None
    return "there is no prometheus; run: scripts/install-prometheus.sh"


def _root() -> str | None:
    return None if os.geteuid() == 0 else "only root can do what it does"


def _docker() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    # A socket may outlive its engine.
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return None if asked.returncode == 0 else f"no docker engine answers ({asked.stderr.strip()})"


def _pack() -> str | None:
    if not PACK.exists():
        return "it is not built; run: make tools"
    # pack takes what is local; where there is no Debian to make base images of, there is nothing to take.
    return None if os.geteuid() == 0 else "only root can make the Debian builder's images"


def _registry() -> str | None:
    found = shutil.which("docker-registry", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")
    return None if found else "there is no docker-registry (Debian: apt-get install docker-registry)"


def _clients() -> str | None:
    try:
        installed_lock(this_python(), "clients")
    except AssertionError as error:
        return f"locks/clients.txt can't be installed: {' '.join(str(error).split())[-300:]}"
    return None


def _files() -> str | None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if limit > MANY_FILES else f"a process may open {limit} files, and it takes {MANY_FILES}"


_CHECKS: dict[str, Callable[[], str | None]] = {
    "lifecycle": _lifecycle,
    "clients": _clients,
    "docker": _docker,
    "files": _files,
    "pack": _pack,
    "prometheus": _prometheus,
    "registry": _registry,
    "root": _root,
    **{name: _program(name) for name in ("apt-get", "chromium", "curl", "git", "mount", "setpriv")},
}
