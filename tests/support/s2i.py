"""What the program `s2i` does with docker, step by step.

Source: https://github.com/openshift/source-to-image/blob/master/docs/builder_image.md and its pkg/build/strategies/sti:
sources and artifacts are streamed as a tar into /tmp of a container of the builder image, whose `assemble` is run; the
container is committed with `run` as its command. `save-artifacts` of the last image writes the artifacts.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.docker import docker

BUILDER = "nachlass-s2i"
_SCRIPTS_LABEL = "io.openshift.s2i.scripts-url"


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What one build did."""

    exit_code: int
    output: str


def scripts(image: str) -> str:
    """Return where an image says that its scripts are."""
    label = docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{_SCRIPTS_LABEL}"}}}}', image).strip()
    assert label.startswith("image://")
    return label.removeprefix("image://")


def build(
    image: str,
    repository: Path,
    *,
    env: Mapping[str, str],
    user: str | None = None,
    previous: str | None = None,
    volumes: Mapping[Path, str] | None = None,
) -> Assembled:
    """Build `image` from `repository`; `previous` makes it an incremental build, `user` is OpenShift's choice."""
    place = scripts(BUILDER)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(repository, "src")
        if previous is not None:
            _add_artifacts(archive, previous, user)
    options = [word for name, value in env.items() for word in ("--env", f"{name}={value}")]
    options += [word for source, target in (volumes or {}).items() for word in ("--volume", f"{source}:{target}:ro")]
    options += ["--user", user] if user else []
    name = f"{image}-assembling"
    docker("rm", "--force", name, check=False)
    done = subprocess.run(
        [
            *("docker", "run", "--interactive", "--name", name, *options, "--network", "none", BUILDER),
            *("sh", "-c", f"tar -C /tmp -xf - && exec {place}/assemble"),
        ],
        input=stream.getvalue(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode == 0:
        # The program commits with the user of the builder image, whoever ran `assemble`.
        user_of_builder = docker("image", "inspect", "--format", "{{.Config.User}}", BUILDER).strip()
        changes = ("--change", f'CMD ["{place}/run"]', "--change", f"USER {user_of_builder}")
        docker("commit", *changes, name, image)
    docker("rm", "--force", name)
    return Assembled(exit_code=done.returncode, output=done.stdout.decode(errors="replace"))


def _add_artifacts(archive: tarfile.TarFile, previous: str, user: str | None) -> None:
    options = ["--user", user] if user else []
    saved = subprocess.run(
        ["docker", "run", "--rm", *options, previous, f"{scripts(previous)}/save-artifacts"],
        stdout=subprocess.PIPE,
        check=True,
    )
    with tarfile.open(fileobj=io.BytesIO(saved.stdout)) as artifacts:
        for member in artifacts:
            content = artifacts.extractfile(member) if member.isreg() else None
            member.name = f"artifacts/{member.name}"
            if member.islnk():
                member.linkname = f"artifacts/{member.linkname}"
            archive.addfile(member, content)
