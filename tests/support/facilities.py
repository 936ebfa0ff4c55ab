"""What a test needs beyond Python: skip it, saying why, where that is missing, unless the caller insists on it.

`NACHLASS_TEST_REQUIRE=lifecycle,docker` turns a missing facility into a failure, so that CI cannot skip it silently.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.pythons import ROOT, find_python

TOOLS = ROOT / ".tools" / "lifecycle"

missing: dict[str, str] = {}
"""The facilities that tests of this session asked for in vain, with the reasons; printed at its end."""


def require(name: str) -> None:
    """Skip the calling test when the machine lacks `name`; fail it when NACHLASS_TEST_REQUIRE names it.

    `name` is "lifecycle", "docker" or an interpreter like "python3.12".
    """
    reason = find_python(name) is None and f"no {name} here" if name.startswith("python") else _CHECKS[name]()
    if not reason:
        return
    missing[name] = reason
    insisted = {item.strip() for item in os.environ.get("NACHLASS_TEST_REQUIRE", "").split(",")}
    if name in insisted:
        pytest.fail(f"NACHLASS_TEST_REQUIRE names {name}, but {reason}", pytrace=False)
    pytest.skip(f"needs {name}: {reason}")


def _lifecycle() -> str | None:
    if not sys.platform.startswith("linux"):
        return "the lifecycle runs on Linux only"
    if os.geteuid() != 0:
        return "only root can start the build and the service as two other users"
    for program in ("setpriv", "unshare", "chroot", "mount"):
        if shutil.which(program) is None:
            return f"there is no program {program}"
    if not (TOOLS / "creator").exists():
        return "it is not built; run: make tools"
    if find_python("python3", path="/usr/bin:/bin") is None:
        return "there is no Python 3.10 or newer in /usr/bin for the other users (Debian: apt-get install python3)"
    return None


def _docker() -> str | None:
    if shutil.which("docker") is None:
        return "there is no docker command"
    if not Path("/var/run/docker.sock").exists():
        return "no docker engine is running"
    return None


_CHECKS: dict[str, Callable[[], str | None]] = {"lifecycle": _lifecycle, "docker": _docker}
