"""The scenarios on overlayfs, which is what a build in a container has: again in one, where there is docker."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.support.facilities import require
from tests.support.pythons import CACHE, ROOT, installed_requirements, this_python, wheelhouse

IMAGE = "nachlass-test-empty"
DIRECTORIES = ("proc", "dev", "sys", "tmp", "etc")


def empty_image() -> bytes:
    """Return a file system with nothing in it: all programs are this machine's, mounted; what is written is not."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in DIRECTORIES:
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(directory)
    return archive.getvalue()


def mounts() -> list[str]:
    """Return the options that show a container this machine's programs and this checkout, to be read only."""
    here = {"/usr", "/etc", *(name for name in ("/bin", "/lib", "/lib64") if Path(name).exists())}
    here |= {sys.base_prefix, sys.prefix, str(ROOT)}
    read_only = [f"--volume={path}:{path}:ro" for path in sorted(here, key=len)]
    return [*read_only, f"--volume={CACHE}:{CACHE}"]


FILES = ("test_scenarios.py", "test_reads.py")


def test_scenarios_hold_in_a_container() -> None:
    require("docker")
    # The container has no network.
    wheelhouse(this_python())
    installed_requirements(this_python(), ["pyarrow"])
    subprocess.run(["docker", "import", "-", IMAGE], input=empty_image(), check=True, capture_output=True)
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--network", "none", "--workdir", str(ROOT), *mounts()),
            *("--env", "HOME=/tmp", "--env", "PATH=/usr/bin:/bin"),
            *(IMAGE, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", "/tmp/tests"),
            *(str(ROOT / "tests" / "cache" / file) for file in FILES),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
