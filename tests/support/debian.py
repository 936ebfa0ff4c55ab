"""What tests make of Debian's packages: a Python that can be put anywhere, and images that have none.

The build image is a minimal Debian, the run image a few libraries, as those of Paketo and Heroku are: Python comes from
a buildpack, or not at all.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.docker import docker
from tests.support.pythons import made_once

NAME = "python3.11"
"""Debian 12's; wheels of this machine's /usr/bin/python3 fit it."""
_PYTHON = (
    *(f"lib{NAME}-minimal", f"lib{NAME}-stdlib", f"{NAME}-minimal", f"{NAME}-venv", "python3-pip-whl"),
    *("python3-setuptools-whl", "libexpat1", "libsqlite3-0", "libffi8"),
)
_RUN = (
    *("base-files", "libc6", "libgcc-s1", "libstdc++6", "libssl3", "zlib1g", "libbz2-1.0", "liblzma5", "libffi8"),
    *("libuuid1", "libcrypt1", "dash", "netbase", "tzdata"),
)
"""What a CPython's extension modules and the wheels of numerical packages are linked to, and a shell without tools."""
_USERS = "root:x:0:0::/root:/bin/sh\nbuild:x:1001:1000::/home/build:/bin/sh\nrun:x:1002:1000::/home/run:/bin/sh\n"
STACK = "io.nachlass.test.bookworm"


def dependencies() -> Path:
    """Return what the providers' buildpacks install: a relocatable CPython in `cpython`, a pip in `pip`."""
    return made_once("cpython", ("4", *_PYTHON), _make_dependencies)


def _make_dependencies(directory: Path) -> None:
    root = directory / "root"
    _unpack(_PYTHON, root)
    prefix, library = directory / "cpython", directory / "cpython/lib" / NAME
    (prefix / "bin").mkdir(parents=True)
    shutil.copy2(root / "usr/bin" / NAME, prefix / "bin")
    for alias in ("python3", "python"):
        (prefix / "bin" / alias).symlink_to(NAME)
    shutil.copytree(root / "usr/lib" / NAME, library, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for stem in ("libexpat", "libsqlite3", "libffi"):
        for file in root.rglob(f"{stem}*.so.*"):
            shutil.copy2(file, prefix / "lib", follow_symlinks=False)
    shutil.copytree(root / "usr/share/python-wheels", prefix / "wheels")
    # It is nobody's system Python any more, and looks for its wheels beside itself.
    for mark in ("EXTERNALLY-MANAGED", "sitecustomize.py"):
        (library / mark).unlink(missing_ok=True)
    module = library / "ensurepip/__init__.py"
    lines = module.read_text().splitlines()
    wheels = "_WHEEL_PKG_DIR = sys.base_prefix + '/wheels'"
    module.write_text("\n".join(wheels if line.startswith("_WHEEL_PKG_DIR =") else line for line in lines) + "\n")
    (wheel,) = (prefix / "wheels").glob("pip-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory / "pip")
    # Python's own installation leaves bytecode; CPython's builders make it of the kind that knows no time stamps.
    compileall = ("-I", "-m", "compileall", "-q", "-f", "-j", "0", "--invalidation-mode", "unchecked-hash")
    subprocess.run(
        [prefix / "bin" / NAME, *compileall, library],
        env={"LD_LIBRARY_PATH": str(prefix / "lib")},
        check=False,  # lib2to3 has test data that is no Python.
    )
    shutil.rmtree(root)


def build_image(name: str) -> None:
    """Make a build image: the minimal Debian of `make base-images`, with the lifecycle's two users and no Python."""
    _from_dockerfile(
        name,
        "FROM nachlass/debian:12\n"
        "RUN groupadd --gid 1000 cnb && useradd --uid 1001 --gid 1000 --create-home --shell /bin/sh build\n"
        f"ENV CNB_USER_ID=1001 CNB_GROUP_ID=1000 CNB_STACK_ID={STACK} HOME=/home/build\n"
        f"{_labels()}"
        "USER 1001:1000\n",
    )


def _from_dockerfile(name: str, text: str) -> None:
    # As scripts/base-images.sh does it: not every engine brings BuildKit along.
    done = subprocess.run(
        ["docker", "build", "--tag", name, "-"],
        input=text,
        env={"DOCKER_BUILDKIT": "0", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def run_image(name: str) -> None:
    """Make a run image of about 25 MB: neither Python nor a package manager nor tools, for another user."""
    root = made_once("run-root", ("2", *_RUN, _USERS), _make_run_root)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(root, arcname=".")
    settings = [f"ENV {each}" for each in ("PATH=/usr/bin:/bin", "HOME=/home/run")]
    settings += [line for line in _labels().splitlines() if line] + ["USER 1002:1000"]
    changes = [word for line in settings for word in ("--change", line)]
    docker("import", *changes, "-", name, stdin=archive.getvalue())


def _make_run_root(root: Path) -> None:
    _unpack(_RUN, root)
    # Packages have files in /bin and /lib, which in an installed Debian are links.
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if (root / name).is_dir() and not (root / name).is_symlink():
            shutil.copytree(root / name, root / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(root / name)
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    for name in ("doc", "man", "locale", "lintian"):
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)
    (root / "etc/passwd").write_text(_USERS)
    (root / "etc/group").write_text("root:x:0:\ncnb:x:1000:\n")
    for name in ("home/run", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)


def _labels() -> str:
    distribution = "io.buildpacks.base.distro.name=debian io.buildpacks.base.distro.version=12"
    return f"LABEL io.buildpacks.stack.id={STACK} {distribution}\n"


def _unpack(packages: Sequence[str], root: Path) -> None:
    """Download packages as this machine's apt has them, and unpack them one over the other."""
    downloads = root.with_suffix(".debs")
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir(parents=True)
    # The directory is root's; apt's own user, who downloads elsewhere, can't write to it.
    command = ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", *packages]
    done = subprocess.run(command, cwd=downloads, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    root.mkdir(exist_ok=True)
    for file in sorted(downloads.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", file, root], check=True)
    shutil.rmtree(downloads)
