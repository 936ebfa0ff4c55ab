"""The files that people copy into their repositories for CI: their own commands, run against a registry of the test's."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.docker import docker, registry
from tests.support.facilities import require
from tests.support.pack import BUILDER, PACK, Platform
from tests.support.pythons import ROOT
from tests.support.repositories import classifier_repository

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / "deploy/ci" / name).read_text(encoding="utf-8"))


def github_steps() -> list[str]:
    steps = read("github-actions.yml")["jobs"]["image"]["steps"]
    return [step["run"] for step in steps if "run" in step]


def gitlab_steps() -> list[str]:
    return ["\n".join(read("gitlab-ci.yml")["image"]["script"])]


@pytest.mark.parametrize(
    ("steps", "commit"), [(github_steps, "GITHUB_SHA"), (gitlab_steps, "CI_COMMIT_SHA")], ids=["github", "gitlab"]
)
def test_its_commands_publish_an_image_and_a_cache(
    machine: Platform, tmp_path: Path, steps: Callable[[], list[str]], commit: str
) -> None:
    require("registry")
    require("curl")
    repository = classifier_repository(tmp_path / "repository")
    with registry(tmp_path / "registry") as address:
        docker("tag", "nachlass/run-debian", f"{address}/run")
        docker("push", f"{address}/run")
        image = f"{address}/model"
        add_pack(tmp_path / "bin", machine, f"{address}/run")
        env = {
            **machine.env,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "BUILDER": BUILDER,
            "IMAGE": image,
            commit: COMMIT,
        }
        try:
            for step in steps():
                done = subprocess.run(
                    ["sh", "-ec", step],
                    cwd=repository,
                    env=env,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                assert done.returncode == 0, done.stdout
            for tag in (COMMIT, "latest", "cache"):
                docker("pull", f"{image}:{tag}")
        finally:
            docker("rm", "--force", "model", check=False)
            listed = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
            docker("rmi", "--force", *[each for each in listed if each.startswith(f"{address}/")], check=False)


def add_pack(directory: Path, machine: Platform, run_image: str) -> None:
    """Put a `pack` on a path that builds without the Internet, whatever else it is told."""
    directory.mkdir()
    options = [word for word in machine.options if word not in {"--network", "none"}]
    more = [*options, "--network", "host", "--pull-policy", "never", "--run-image", run_image]
    (directory / "pack").write_text(f'#!/bin/sh\nexec {shlex.quote(str(PACK))} "$@" {shlex.join(more)}\n')
    (directory / "pack").chmod(0o755)
