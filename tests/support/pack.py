"""pack, as a person uses it, with the Debian builder: images built from repositories, with real containers.

Builds need no package index: the wheels of their requirements and of our locks are mounted.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.docker import docker
from tests.support.facilities import require
from tests.support.pythons import CACHE, MODEL_REQUIREMENTS, ROOT, find_python, wheelhouse

PACK = ROOT / ".tools/pack/pack"
BUILDER = "nachlass/builder-debian"
RUN_IMAGE = "nachlass/run-debian"
PREFIX = "nachlass-test"
"""Of all images and volumes that tests make; those left over by a run that was killed are removed by the next one."""
REQUIREMENTS = (*MODEL_REQUIREMENTS, "pandas")
WHEELS = "/wheels"
_CACHE = "pack-cache-"
_TIMEOUT_S = 900


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What one command of pack did."""

    exit_code: int
    output: str


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A person's machine with pack: `env` is her environment, `options` go with every build."""

    env: Mapping[str, str]
    options: Sequence[str] = field(default=())
    mounts: Sequence[str] = field(default=())
    """Of `options`, those that mount the wheels."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of `options`, the variables of builds."""

    def pack(self, *words: str | Path) -> Packed:
        """Run one command of pack."""
        done = subprocess.run(
            [PACK, *words],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
        return Packed(exit_code=done.returncode, output=done.stdout)

    def build_command(
        self, image: str, repository: Path, *options: str, builder: str = BUILDER, env: Mapping[str, str] | None = None
    ) -> list[str]:
        """Return the words of a build."""
        variables = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        where = ["--path", str(repository), "--builder", builder, "--trust-builder", "--pull-policy", "never"]
        return [str(PACK), "build", image, *where, *self.options, *variables, *options]

    def build(
        self, image: str, repository: Path, *options: str, builder: str = BUILDER, env: Mapping[str, str] | None = None
    ) -> Packed:
        """Build an image, whatever comes of it."""
        return self.pack(*self.build_command(image, repository, *options, builder=builder, env=env)[1:])

    def built(
        self, image: str, repository: Path, *options: str, builder: str = BUILDER, env: Mapping[str, str] | None = None
    ) -> str:
        """Build an image, which has to succeed, and return the log."""
        done = self.build(image, repository, *options, builder=builder, env=env)
        assert done.exit_code == 0, done.output
        return done.output


def wheels() -> Path:
    """Return the directory with all that the builder's Python installs in these tests."""
    python = find_python("python3", path="/usr/bin:/bin")
    assert python is not None
    return wheelhouse(python, REQUIREMENTS)


def platform(home: Path) -> Platform:
    """Return a machine on which nothing was built yet; skip the test where there is no pack or no engine."""
    made = bare_platform(home)
    make("builder", BUILDER="debian")
    return made


def bare_platform(home: Path) -> Platform:
    """Return the same without the Debian builder."""
    require("docker")
    require("pack")
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PACK_HOME": str(home / "pack"),
        "PACK_VOLUME_KEY": PREFIX,
        "NO_COLOR": "1",
    }
    mounts = ("--volume", f"{wheels()}:{WHEELS}:ro")
    variables = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
    words = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    return Platform(env=env, options=("--network", "none", *mounts, *words), mounts=mounts, variables=variables)


def make(target: str, **variables: str) -> None:
    """Make a target of the Makefile, once for all processes of a run and anew only when the tree is another."""
    state = hashlib.sha256(json.dumps([target, variables, _tree_state()]).encode()).hexdigest()
    stamp = CACHE / f"made-{target}-{'-'.join(variables.values())}"
    with making():
        if stamp.is_file() and stamp.read_text() == state:
            return
        words = [f"{name}={value}" for name, value in variables.items()]
        if target == "builder":
            _run_make("base-images")
        _run_make(target, *words)
        stamp.write_text(state)


def _run_make(*words: str) -> None:
    done = subprocess.run(
        ["make", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def _tree_state() -> str:
    """Return what identifies the tree's files and the engine that has what was made of them."""
    shipped = ("buildpack.toml", "bin", "nachlass_bp", "scorer", "locks", "builders", "scripts", "pyproject.toml")
    digest = hashlib.sha256(docker("info", "--format", "{{.ID}} {{.DockerRootDir}}").encode())
    # The package has the files that git knows: adding one makes another of the same tree.
    digest.update(subprocess.run(["git", "ls-files", "-z", *shipped], cwd=ROOT, capture_output=True, check=True).stdout)
    for name in shipped:
        top = ROOT / name
        for path in sorted([top, *top.rglob("*")] if top.is_dir() else [top]):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def making() -> Iterator[None]:
    """Keep other tests from what is made in `dist` and in the engine until the block is left."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "making.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache(volume: str) -> tuple[str, str]:
    """Return the option that names the cache, instead of letting pack name it after the image."""
    return ("--cache", f"type=build;format=volume;name={_CACHE}{volume}")


def copy_cache(source: str, target: str) -> None:
    """Make the cache `target` what the cache `source` is."""
    docker("volume", "create", f"{_CACHE}{target}")
    volumes = ("--volume", f"{_CACHE}{source}:/from:ro", "--volume", f"{_CACHE}{target}:/to")
    docker("run", "--rm", "--user", "0", *volumes, "nachlass/build-debian", "cp", "-a", "/from/.", "/to")


def remove_cache(volume: str) -> None:
    """Remove a cache."""
    docker("volume", "rm", "--force", f"{_CACHE}{volume}", check=False)


def remove_images(prefix: str) -> None:
    """Remove the images and cache volumes of tests whose names begin so."""
    listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    images = [name for name in listed if name.startswith(prefix)]
    if images:
        docker("rmi", "--force", *images, check=False)
    ours = re.compile(rf"{_CACHE}(library_)?{prefix}")
    volumes = [name for name in docker("volume", "ls", "--quiet").split() if ours.match(name)]
    if volumes:
        docker("volume", "rm", "--force", *volumes, check=False)


def layer_was_reused(log: str, layer: str) -> bool:
    """Whether the exporter took a layer of ours from the previous image."""
    return f"Reusing layer 'nachlass/nachlass:{layer}'" in log


def ran(log: str) -> list[str]:
    """Return the notebooks that a build ran."""
    return re.findall(r"(\S+\.ipynb): run \(", log)
