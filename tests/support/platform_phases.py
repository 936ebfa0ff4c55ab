"""A platform without pack: each phase of the lifecycle in a container of its own, as Kubernetes runs them.

Source: kpack v0.17.2, pkg/apis/build/v1alpha2/build_pod.go (order, flags, security context, what each step mounts);
tektoncd/catalog, task/buildpacks 0.7, and shipwright-io/build, samples/v1beta1/buildstrategy/buildpacks-v3, for where
else the application and the layers are. Results go to a registry: before Platform API 0.12 there is no other place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.support.docker import docker, registry
from tests.support.facilities import require
from tests.support.pack import BUILDER, RUN_IMAGE
from tests.support.service import send

_HOME = "/builder/home"
_MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
RESTRICTED = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges")


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build's phases wrote, and the image that they pushed."""

    image: str
    logs: Mapping[str, str]

    @property
    def log(self) -> str:
        """Return what a person is shown: all phases, one after the other."""
        return "".join(self.logs.values())


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A registry of the test's own, with the run image in it."""

    address: str

    @property
    def run_image(self) -> str:
        """Return the run image, as the phases are told of it."""
        return f"{self.address}/run-debian"

    def tag(self, image: str, tag: str) -> str:
        """Give an image, as this machine calls it, another tag beside its own, and return the name with it."""
        port, name = int(self.address.split(":")[1]), image.removeprefix(f"{self.address}/")
        kinds = ", ".join(_MANIFESTS)
        found = send(port, "GET", f"/v2/{name}/manifests/latest", headers={"Accept": kinds})
        assert found.status == 200, found.text
        headers = {"Content-Type": found.headers["content-type"]}
        made = send(port, "PUT", f"/v2/{name}/manifests/{tag}", found.text, headers)
        assert made.status == 201, made.text
        return f"{image}:{tag}"


@contextlib.contextmanager
def registry_with_run_image(root: Path) -> Iterator[Registry]:
    """Serve a registry that has the Debian run image, until the block is left."""
    require("registry")
    with registry(root) as address:
        here = Registry(address=address)
        docker("tag", RUN_IMAGE, here.run_image)
        try:
            docker("push", here.run_image)
            yield here
        finally:
            docker("rmi", "--force", here.run_image, check=False)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """How a platform builds one application: all below `root` is on this machine, the rest is how it is in the pod.

    `options` are of the containers of buildpacks, detect and build, alone; `variables` are of every container, while
    those of a build become files that the lifecycle hands to buildpacks. `home` may be one that can't be written to,
    or one that isn't there.
    """

    root: Path
    registry: Registry
    image: str
    user: str = "1001:1000"
    api: str = "0.9"
    app: str = "/workspace"
    layers: str = "/layers"
    home: Literal["writable", "read-only", "absent"] = "writable"
    umask: str = "022"
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()

    def build(
        self,
        repository: Path,
        *,
        env: Mapping[str, str],
        bindings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> Built:
        """Build from a fresh copy of the repository, with what is left of the last build: its cache and its image.

        Args:
            repository: What git has of it.
            env: The variables of the build.
            bindings: The entries of each secret, which has one named `type`.
        """
        self._prepare(repository, env, bindings or {})
        secrets = self._bindings(bindings or {})
        logs = {}
        for phase, flags in self._phases().items():
            is_ours = phase in ("detector", "builder")
            # Only what talks to the registry has a network; buildpacks have the one that the test gives them.
            network = ("--network", "none") if is_ours and "--network" not in self.options else ()
            options = (*network, *secrets, *self.options) if is_ours else ("--network", "host")
            logs[phase] = self._run(phase, flags, options)
        return Built(image=self.address, logs=logs)

    def rebase(self, image: str, run_image: str) -> str:
        """Put an image of the registry onto another run image of the registry, and return what was written."""
        flags = (f"-run-image={run_image}", "-report=/var/report/report.toml", image)
        return self._run("rebaser", flags, ("--network", "host"))

    @property
    def address(self) -> str:
        """Return the image's name in the registry."""
        return f"{self.registry.address}/{self.image}"

    @property
    def cache(self) -> Path:
        """Return the directory that outlives builds."""
        return self.root / "cache"

    def _phases(self) -> dict[str, Sequence[str]]:
        layers, app = self.layers, self.app
        group, plan = f"-group={layers}/group.toml", f"-plan={layers}/plan.toml"
        analyzed = f"-analyzed={layers}/analyzed.toml"
        return {
            "analyzer": (f"-layers={layers}", analyzed, f"-run-image={self.registry.run_image}", self.address),
            "detector": (f"-app={app}", f"-layers={layers}", group, plan),
            "restorer": (f"-layers={layers}", group, analyzed, "-cache-dir=/cache"),
            "builder": (f"-app={app}", f"-layers={layers}", group, plan),
            "exporter": (
                *(f"-app={app}", f"-layers={layers}", group, analyzed, "-cache-dir=/cache"),
                *("-report=/var/report/report.toml", self.address),
            ),
        }

    def _run(self, phase: str, flags: Sequence[str], options: Sequence[str]) -> str:
        mounts = {"layers": self.layers, "workspace": self._workspace, "cache": "/cache", "report": "/var/report"}
        mounts |= {"platform": "/platform"}
        if self.home != "absent":
            mounts |= {"home": f"{_HOME}{':ro' if self.home == 'read-only' else ''}"}
        user, group = self.user.split(":")
        variables = {**self.variables, "CNB_PLATFORM_API": self.api, "CNB_NO_COLOR": "true", "HOME": _HOME}
        # Else the lifecycle would want to become the build image's user.
        variables |= {"CNB_USER_ID": user, "CNB_GROUP_ID": group}
        return docker(
            *("run", "--rm", "--user", self.user, *RESTRICTED, "--workdir", "/"),
            *("--entrypoint", "sh"),
            *(word for name, path in mounts.items() for word in ("--volume", f"{self.root / name}:{path}")),
            *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
            *(*options, BUILDER, "-c", 'umask "$0" && exec "$@"', self.umask, f"/cnb/lifecycle/{phase}", *flags),
        )

    @property
    def _workspace(self) -> str:
        """Return what is mounted: Tekton's application is somewhere below it."""
        return "/" + self.app.split("/")[1]

    def _prepare(self, repository: Path, env: Mapping[str, str], bindings: Mapping[str, Mapping[str, str]]) -> None:
        """Do what a platform's first step does: the source, the variables, and volumes that belong to the group."""
        for name in ("layers", "workspace", "platform", "home", "report", "secrets"):
            shutil.rmtree(self.root / name, ignore_errors=True)
            (self.root / name).mkdir(parents=True)
        self.cache.mkdir(exist_ok=True)
        user, group = map(int, self.user.split(":"))
        source = self.root / "workspace" / self.app.removeprefix(self._workspace).lstrip("/")
        shutil.copytree(repository, source, symlinks=True, dirs_exist_ok=True)
        (self.root / "platform/env").mkdir()
        for name, value in env.items():
            (self.root / "platform/env" / name).write_text(value)
        for name in ("layers", "workspace", "home", "report"):
            os.chown(self.root / name, 0, group)  # The pod's `fsGroup`.
            (self.root / name).chmod(0o2777)
        for path in (self.cache, *self.cache.rglob("*")):  # As a volume is handed over to the next pod.
            os.chown(path, -1, group)
            path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))
        for path in (self.root / "workspace").rglob("*"):
            os.chown(path, user, group, follow_symlinks=False)
        for name, entries in bindings.items():
            _write_secret(self.root / "secrets" / name, entries)

    def _bindings(self, bindings: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
        return tuple(
            word
            for name in bindings
            for word in ("--volume", f"{self.root / 'secrets' / name}:/platform/bindings/{name}:ro")
        )


def _write_secret(directory: Path, entries: Mapping[str, str]) -> None:
    """Lay out a Secret as Kubernetes mounts one: links to links, so that all its entries change at once."""
    stamp = directory / "..2026_01_01_00_00_00.000000001"
    stamp.mkdir(parents=True)
    (directory / "..data").symlink_to(stamp.name)
    for name, value in entries.items():
        (stamp / name).write_text(value)
        (directory / name).symlink_to(f"..data/{name}")
    for path in (stamp, *stamp.iterdir()):
        path.chmod(0o2755 if path.is_dir() else 0o644)
