"""One application on one platform: detect it, build it as often as one likes, launch what came out.

Plays the lifecycle around the real `bin/detect` and `bin/build`, as real processes in the environment that a lifecycle
gives them. Source: buildpacks/lifecycle v0.21.17 and the buildpack spec, API 0.10.
"""

from __future__ import annotations

import contextlib
import os
import platform as host
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.environment import (
    BUILD_DIRECTORIES,
    IMAGE_PATH,
    LAUNCH_DIRECTORIES,
    add_env_files,
    add_layer_directories,
    add_platform_env,
)
from tests.support.layers import Layer, LayerStore, read_layers
from tests.support.pythons import ROOT
from tests.support.service import Service, free_port, running_service

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUILD_TIMEOUT_S = 900.0


def _install_nothing(_layers: Path) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Provider:
    """The buildpacks that come before ours: they make their layers below the directory that `install` gets."""

    buildpacks: Sequence[str] = ()
    """Directory names below the layers directory, in the order of the group."""
    install: Callable[[Path], None] = _install_nothing
    env: Mapping[str, str] = field(default_factory=dict)
    """What such a platform's user or operator sets."""
    path: str = IMAGE_PATH


@dataclass(frozen=True, kw_only=True)
class Detected:
    """What `bin/detect` did."""

    exit_code: int
    output: str
    plan: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Built:
    """What `bin/build` did; `layers`, `processes` and `labels` are empty when it failed."""

    exit_code: int
    output: str
    layers: Mapping[str, Layer] = field(default_factory=dict)
    reused: frozenset[str] = frozenset()
    processes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class Phases:
    """An application directory, a platform directory and layers that outlive a build."""

    def __init__(
        self,
        root: Path,
        repository: Path,
        *,
        provider: Provider | None = None,
        env: Mapping[str, str] | None = None,
        buildpack: Path = ROOT,
    ) -> None:
        """Set up the directories below `root`; `env` is what the user sets by `pack build --env`."""
        self.root = root
        self.repository = repository
        self.provider = provider or Provider()
        self.buildpack = buildpack
        self.app = root / "app"
        self.layers_root = root / "layers"
        self.layers = self.layers_root / "nachlass_nachlass"
        self.platform = root / "platform"
        self.home = root / "home"
        self.store = LayerStore(self.layers, root / "kept")
        for directory in (self.layers_root, self.platform / "env", self.platform / "bindings", self.home):
            directory.mkdir(parents=True)
        self.set_env({**self.provider.env, **(env or {})})
        self.provider.install(self.layers_root)

    def set_env(self, env: Mapping[str, str]) -> None:
        """Set variables of the platform's user, for all later phases."""
        for name, value in env.items():
            (self.platform / "env" / name).write_text(value)

    def add_binding(self, name: str, content: Mapping[str, str]) -> None:
        """Mount a service binding; `content` has its `type` and its keys."""
        directory = self.platform / "bindings" / name
        directory.mkdir(parents=True)
        for key, value in content.items():
            (directory / key).write_text(value)

    def detect(self) -> Detected:
        """Run `bin/detect` in a fresh copy of the repository."""
        self._copy_repository()
        plan = self.root / "plan.toml"
        plan.write_text("")
        env = {**self.build_env(), "CNB_PLATFORM_DIR": str(self.platform), "CNB_BUILD_PLAN_PATH": str(plan)}
        done = subprocess.run(
            [self.buildpack / "bin/detect", self.platform, plan],
            cwd=self.app,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Detected(exit_code=done.returncode, output=done.stdout, plan=tomllib.loads(plan.read_text()))

    def build(self) -> Built:
        """Restore what the last successful build left, run `bin/build`, and keep or launch what it made."""
        process = self.start_build()
        try:
            output, _ = process.communicate(timeout=BUILD_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return self.finish_build(process.returncode, output)

    def prepare_build(self) -> tuple[list[str | Path], dict[str, str]]:
        """Lay out what `bin/build` finds, and return its command and environment."""
        self._copy_repository()
        self._show_provider_layers(build_time=True)
        self.store.restore()
        plan = self.root / "buildpack-plan.toml"
        plan.write_text("")
        env = {
            **self.build_env(),
            "CNB_PLATFORM_DIR": str(self.platform),
            "CNB_LAYERS_DIR": str(self.layers),
            "CNB_BP_PLAN_PATH": str(plan),
        }
        return [self.buildpack / "bin/build", self.layers, self.platform, plan], env

    def start_build(self) -> subprocess.Popen[str]:
        """Start `bin/build` in a session of its own, for tests that interrupt it; `finish_build` is theirs to call."""
        command, env = self.prepare_build()
        return subprocess.Popen(
            command,
            cwd=self.app,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def finish_build(self, exit_code: int, output: str) -> Built:
        """Keep a successful build's layers. A failed one leaves cache and image as they were."""
        if exit_code != 0:
            return Built(exit_code=exit_code, output=output)
        self.store.keep()
        self._show_provider_layers(build_time=False)
        launch = self._launch_toml()
        return Built(
            exit_code=exit_code,
            output=output,
            layers=self.store.layers,
            reused=frozenset(self.store.reused),
            processes={process["type"]: process for process in launch.get("processes", [])},
            labels={label["key"]: label["value"] for label in launch.get("labels", [])},
        )

    @contextlib.contextmanager
    def serve(self, process: str = "web", *, env: Mapping[str, str] | None = None) -> Iterator[Service]:
        """Launch a process of the last successful build until the block is left."""
        port = free_port()
        with running_service(
            self.command(process),
            cwd=self.app,
            env={**self.launch_env(process), "PORT": str(port), **(env or {})},
            port=port,
            log_file=self.root / "service.log",
        ) as service:
            yield service

    def command(self, process: str) -> list[str]:
        """Return the command line of a process type of the last successful build."""
        types = {entry["type"]: entry for entry in self._launch_toml()["processes"]}
        return [*types[process]["command"], *types[process].get("args", [])]

    def build_env(self) -> dict[str, str]:
        """Return the environment of both phases: nothing of the test runner's, the provider's, the user's."""
        env = {"PATH": self.provider.path, "HOME": str(self.home)}
        for directory, layer in self._provider_layers():
            if layer.build:
                add_layer_directories(env, directory, BUILD_DIRECTORIES)
                add_env_files(env, directory / "env")
                add_env_files(env, directory / "env.build")
        add_platform_env(env, self.platform)
        arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(host.machine(), host.machine())
        return {**env, "CNB_BUILDPACK_DIR": str(self.buildpack), "CNB_TARGET_OS": "linux", "CNB_TARGET_ARCH": arch}

    def launch_env(self, process: str) -> dict[str, str]:
        """Return the environment of a launched process: the run image's and the launch layers'."""
        env = {"PATH": self.provider.path, "HOME": "/nonexistent"}
        for directory in (*(self.layers_root / name for name in self.provider.buildpacks), self.layers):
            layers = [directory / layer.name for layer in read_layers(directory).values() if layer.launch]
            for layer in layers:
                add_layer_directories(env, layer, LAUNCH_DIRECTORIES)
            for layer in layers:
                for files in ("env", "env.launch", f"env.launch/{process}"):
                    add_env_files(env, layer / files)
        return env

    def kept_layer(self, name: str) -> Path:
        """Return where a layer of the last successful build is now: in the image, or in the cache."""
        in_image = self.layers / name
        return in_image if in_image.exists() else self.store.kept / name

    def _launch_toml(self) -> dict[str, Any]:
        file = self.layers / "launch.toml"
        return tomllib.loads(file.read_text()) if file.exists() else {}

    def _copy_repository(self) -> None:
        shutil.rmtree(self.app, ignore_errors=True)
        shutil.copytree(self.repository, self.app, symlinks=True)

    def _provider_layers(self) -> Iterator[tuple[Path, Layer]]:
        for buildpack in self.provider.buildpacks:
            directory = self.layers_root / buildpack
            for layer in read_layers(directory).values():
                yield directory / layer.name, layer

    def _show_provider_layers(self, *, build_time: bool) -> None:
        """Take the layers that are not for launch out of the way, or put them back for the next build."""
        for directory, layer in self._provider_layers():
            aside = self.root / "aside" / directory.parent.name / layer.name
            if build_time and aside.exists():
                aside.rename(directory)
            elif not build_time and not layer.launch and directory.exists():
                aside.parent.mkdir(parents=True, exist_ok=True)
                directory.rename(aside)
