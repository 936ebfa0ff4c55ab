"""The files that people copy into their repositories for CI: their commands, run against a registry of the test's."""

from __future__ import annotations

import os
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker import docker, registry, serving
from tests.support.facilities import require
from tests.support.pack import BUILDER, PACK, Platform, ran
from tests.support.pythons import ROOT
from tests.support.repositories import classifier_repository

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NEXT = "89abcdef0123456789abcdef0123456789abcdef"


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / "deploy/ci" / name).read_text(encoding="utf-8"))


def github_steps() -> list[str]:
    steps = read("github-actions.yml")["jobs"]["image"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def gitlab_steps() -> list[str]:
    return ["\n".join(read("gitlab-ci.yml")["image"]["script"])]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A machine of a CI service with a checkout of one commit, a registry that it may push to, and nothing else."""

    env: Mapping[str, str]
    repository: Path
    address: str

    def run(self, steps: Sequence[str], variable: str, commit: str) -> str:
        """Run a job's commands, with the commit in a variable, and return what they print."""
        printed = ""
        for step in steps:
            done = subprocess.run(
                ["sh", "-ec", step],
                cwd=self.repository,
                env={**self.env, variable: commit},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout
            printed += done.stdout
        return printed

    def published(self, tag: str) -> str:
        """Return the digest of an image in the registry."""
        kinds = ("application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json")
        request = urllib.request.Request(f"http://{self.address}/v2/model/manifests/{tag}", method="HEAD")
        request.add_header("Accept", ", ".join(kinds))
        with urllib.request.urlopen(request, timeout=10) as answer:
            return str(answer.headers["Docker-Content-Digest"])


@pytest.fixture(scope="module")
def runner(machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    require("registry")
    require("curl")
    root = tmp_path_factory.mktemp("runner")
    with registry(root / "registry") as address:
        docker("tag", "nachlass/run-debian", f"{address}/run")
        docker("push", f"{address}/run")
        add_pack(root / "bin", machine, f"{address}/run")
        path = f"{root / 'bin'}:{os.environ['PATH']}"
        env = {**machine.env, "PATH": path, "BUILDER": BUILDER, "IMAGE": f"{address}/model"}
        try:
            yield Runner(env=env, repository=classifier_repository(root / "repository"), address=address)
        finally:
            forget(f"{address}/")


def forget(prefix: str) -> None:
    """Remove the images whose names begin so, and the container that the commands start."""
    docker("rm", "--force", "model", check=False)
    listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    docker("rmi", "--force", *[each for each in listed if each.startswith(prefix)], check=False)


@pytest.fixture(scope="module")
def first(runner: Runner) -> str:
    """Run the commands for GitHub, in a registry that has neither image nor cache."""
    return runner.run(github_steps(), "GITHUB_SHA", COMMIT)


def test_githubs_commands_publish_an_image_that_predicts_and_a_cache(first: str, runner: Runner) -> None:
    assert ran(first) == ["train.ipynb"]
    assert runner.published(COMMIT) == runner.published("latest")
    for tag in (COMMIT, "latest", "cache"):
        docker("pull", f"{runner.address}/model:{tag}")
    assert predictions(runner, COMMIT) == ["low", "high"]


def test_gitlabs_commands_run_no_notebook_on_a_machine_that_has_nothing(first: str, runner: Runner) -> None:
    del first
    before = runner.published(COMMIT)
    forget(f"{runner.address}/model")
    assert ran(runner.run(gitlab_steps(), "CI_COMMIT_SHA", COMMIT)) == []
    assert runner.published(COMMIT) == runner.published("latest") == before


def test_gitlabs_commands_run_no_notebook_for_the_next_commit_on_a_machine_that_has_nothing(
    first: str, runner: Runner
) -> None:
    del first
    forget(f"{runner.address}/model")
    log = runner.run(gitlab_steps(), "CI_COMMIT_SHA", NEXT)

    # No image is called so: all that a build can know is in the cache.
    assert 'Restoring data for "nachlass/nachlass:stage-store" from cache' in log
    assert ran(log) == []
    assert runner.published(NEXT) == runner.published("latest")
    docker("pull", f"{runner.address}/model:{NEXT}")
    assert predictions(runner, NEXT) == ["low", "high"]


def predictions(runner: Runner, commit: str) -> Any:
    with serving(f"{runner.address}/model:{commit}") as running:
        return running.predict([[0.1, 0.0], [3.0, 2.9]])


def add_pack(directory: Path, machine: Platform, run_image: str) -> None:
    """Put a `pack` on a path that builds without the Internet, whatever else it is told."""
    directory.mkdir()
    options = [word for word in machine.options if word not in {"--network", "none"}]
    more = [*options, "--network", "host", "--pull-policy", "never", "--run-image", run_image]
    (directory / "pack").write_text(f'#!/bin/sh\nexec {shlex.quote(str(PACK))} "$@" {shlex.join(more)}\n')
    (directory / "pack").chmod(0o755)
