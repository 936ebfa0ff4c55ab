"""The real lifecycle on this machine, without a container engine: build as one user, run the image as another.

The run image is empty: this machine's /usr and /etc stand in for it at launch. Needs root, to become those users.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.facilities import TOOLS
from tests.support.oci import Image, read_image, write_run_image
from tests.support.project import VERSION
from tests.support.pythons import ROOT
from tests.support.service import Service, free_port, running_service

BUILD_USER = (65534, 65534)
"""Nobody: the lifecycle wants a user of /etc/passwd, and every machine has this one."""
RUN_USER = (1002, 1000)
"""Paketo's: not the user of the build."""
PLATFORM_API = "0.13"
BUILD_TIMEOUT_S = 900
BUILDPACK_FILES = ("buildpack.toml", "bin", "nachlass_bp", "scorer", "locks")

# Mounts live and end with this one process. In it: the machine's programs under the image's files.
_ENTER_IMAGE = """
set -e
cd "$0"
for name in usr etc; do mount --bind -o ro "/$name" "$name"; done
mount --rbind /dev dev
mount -t proc proc proc
exec chroot . /usr/bin/env -i "$@"
"""

_OUTSIDE = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What one run of the lifecycle did; there is an `image` when it succeeded."""

    exit_code: int
    output: str
    image: Image | None


class Lifecycle:
    """A platform that builds one repository again and again, keeping its cache and its image."""

    def __init__(self, root: Path, repository: Path, *, env: Mapping[str, str], has_cache: bool = True) -> None:
        """Set up below `root`, which the two users must be able to enter; `env` is what the platform's user sets."""
        self.has_cache = has_cache
        self.root = root
        self.repository = repository
        self.env = env
        self.app = root / "app"
        self.layers = root / "layers"
        self.rootfs = root / "rootfs"
        self._tools = root / "lifecycle"
        shutil.copytree(TOOLS, self._tools, symlinks=True)
        self._copy_buildpack()
        write_run_image(root / "oci/layout.test/run/latest", user=f"{RUN_USER[0]}:{RUN_USER[1]}")
        for name in ("cache", "home"):
            (root / name).mkdir()
        for name in ("oci", "cache", "home"):
            _give_to_build_user(root / name)

    def build(self) -> Exported:
        """Run all phases, as in a fresh build container: only the cache and the image are left of the last build."""
        for directory in (self.app, self.layers, self.root / "platform"):
            shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.repository, self.app, symlinks=True)
        self.layers.mkdir()
        (self.root / "platform/env").mkdir(parents=True)
        for name, value in self.env.items():
            (self.root / "platform/env" / name).write_text(value)
        for directory in (self.app, self.layers):
            _give_to_build_user(directory)
        done = subprocess.run(
            self._creator(),
            cwd=self.app,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "HOME": str(self.root / "home"),
                "CNB_PLATFORM_API": PLATFORM_API,
                "CNB_EXPERIMENTAL_MODE": "warn",  # Without it the lifecycle refuses to write an image layout.
                "CNB_NO_COLOR": "true",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_TIMEOUT_S,
            check=False,
        )
        image = read_image(self.root / "oci/layout.test/app/latest") if done.returncode == 0 else None
        return Exported(exit_code=done.returncode, output=done.stdout, image=image)

    def unpack(self, image: Image) -> Path:
        """Make `rootfs` the image's files and the places for the machine's own; return where its layers are in it."""
        shutil.rmtree(self.rootfs, ignore_errors=True)
        self.rootfs.mkdir()
        image.unpack(self.rootfs)
        for name in ("usr", "etc", "proc", "dev", "tmp"):
            (self.rootfs / name).mkdir(exist_ok=True)
        (self.rootfs / "tmp").chmod(0o1777)
        for name in ("bin", "sbin", "lib", "lib64"):
            with contextlib.suppress(FileExistsError):
                (self.rootfs / name).symlink_to(f"usr/{name}")
        return self.rootfs / self.layers.relative_to("/")

    @contextlib.contextmanager
    def serve(self, image: Image, process: str = "web") -> Iterator[Service]:
        """Start a process of the unpacked image by its own launcher, as the run user, until the block is left."""
        port = free_port()
        with running_service(
            self._command(image, f"/cnb/process/{process}", variables=(f"PORT={port}",)),
            cwd=self.root,
            env=_OUTSIDE,
            port=port,
            log_file=self.root / "service.log",
        ) as service:
            yield service

    def run(self, image: Image, *arguments: str, rows: str) -> subprocess.CompletedProcess[str]:
        """Run the unpacked image with `arguments` and `rows` at its standard input, as `docker run -i` does."""
        (entrypoint,) = image.config["config"]["Entrypoint"]
        return subprocess.run(
            self._command(image, entrypoint, *arguments),
            cwd=self.root,
            env=_OUTSIDE,
            input=rows,
            capture_output=True,
            text=True,
            check=False,
        )

    def _command(self, image: Image, *words: str, variables: Sequence[str] = ()) -> list[str]:
        """Return what runs a program of the unpacked image as the run user."""
        config = image.config["config"]
        user, group = map(str, RUN_USER)
        return [
            *("unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER_IMAGE, str(self.rootfs)),
            *(*config["Env"], "HOME=/nonexistent", *variables),
            *("/usr/bin/setpriv", "--reuid", user, "--regid", group, "--clear-groups"),
            *("/bin/sh", "-c", 'cd "$0" && exec "$@"', config["WorkingDir"], *words),
        ]

    def _creator(self) -> list[str]:
        user, group = map(str, BUILD_USER)
        options = {
            "layout-dir": self.root / "oci",
            "run-image": "layout.test/run",
            "app": self.app,
            "layers": self.layers,
            "buildpacks": self.root / "buildpacks",
            "order": self.root / "order.toml",
            "platform": self.root / "platform",
            "cache-dir": self.root / "cache",
            "launcher": self._tools / "launcher",
            "uid": user,
            "gid": group,
            "report": self.layers / "report.toml",
        }
        if not self.has_cache:
            del options["cache-dir"]
        become = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups"]
        flags = [argument for name, value in options.items() for argument in (f"-{name}", str(value))]
        return [*become, str(self._tools / "creator"), "-layout", *flags, "layout.test/app"]

    def _copy_buildpack(self) -> None:
        directory = self.root / "buildpacks/nachlass_nachlass" / VERSION
        directory.mkdir(parents=True)
        for name in BUILDPACK_FILES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, directory)
        order = f'[[order]]\n[[order.group]]\nid = "nachlass/nachlass"\nversion = "{VERSION}"\n'
        (self.root / "order.toml").write_text(order)


def _give_to_build_user(directory: Path) -> None:
    for path in (directory, *directory.rglob("*")):
        os.chown(path, *BUILD_USER, follow_symlinks=False)
