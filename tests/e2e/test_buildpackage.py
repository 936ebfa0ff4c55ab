"""The buildpack as it is shipped: the same bytes each time, whoever makes it, and of one version."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker import RESTRICTED, docker, registry, serving
from tests.support.facilities import require
from tests.support.pack import PACK, WHEELS, Platform, making, wheels
from tests.support.platform_phases import Cluster, registry_with_run_image
from tests.support.project import VERSION
from tests.support.pythons import ROOT
from tests.support.repositories import classifier_repository
from tests.support.service import send

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VENDORED = {"numpy", "scipy", "scikit_learn", "joblib", "cloudpickle", "threadpoolctl", "narwhals"}
RANDOM_USER = "1000620000:1000620000"
"""As OpenShift gives them: in no file of the image."""


def assemble(directory: Path, *options: str, umask: int = 0o022) -> Path:
    """Put the buildpack together, as `make buildpack` does."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/buildpackage.py"), str(directory), *options],
        capture_output=True,
        text=True,
        umask=umask,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


def package(directory: Path) -> Path:
    require("pack")
    file = directory.with_suffix(".cnb")
    words: list[str | Path] = ["buildpack", "package", file, "--path", directory, "--format", "file"]
    home = directory.parent / "home"
    subprocess.run([PACK, *words], env={"PATH": os.environ["PATH"], "HOME": str(home)}, check=True)
    return file


def test_same_tree_gives_the_same_bytes_under_another_umask_and_at_another_time(tmp_path: Path) -> None:
    first = package(assemble(tmp_path / "first"))
    second_directory = assemble(tmp_path / "second", umask=0o077)
    for path in second_directory.rglob("*"):
        os.utime(path, (0, 0))
    second = package(second_directory)

    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def test_package_holds_what_a_build_needs_and_nothing_else(tmp_path: Path) -> None:
    directory = assemble(tmp_path / "buildpack")

    assert {path.name for path in directory.iterdir()} == {
        *("LICENSE", "bin", "buildpack.toml", "locks", "nachlass_bp", "scorer")
    }
    assert not list(directory.rglob("__pycache__"))
    assert not (directory / "locks/dev.txt").exists()
    for program in ("detect", "build"):
        assert os.access(directory / "bin" / program, os.X_OK)


def test_its_label_names_the_projects_version(tmp_path: Path) -> None:
    file = package(assemble(tmp_path / "buildpack"))
    described = metadata_of(file)

    assert (described["id"], described["version"]) == ("nachlass/nachlass", VERSION)
    assert toml_of(tmp_path / "buildpack")["buildpack"]["version"] == VERSION


def metadata_of(file: Path) -> Any:
    """Return what a buildpackage says of itself (distribution specification, "Buildpackage")."""
    with tarfile.open(file) as archive:
        index = json.load(member(archive, "index.json"))
        manifest = json.load(member(archive, blob(index["manifests"][0]["digest"])))
        config = json.load(member(archive, blob(manifest["config"]["digest"])))
    return json.loads(config["config"]["Labels"]["io.buildpacks.buildpackage.metadata"])


def member(archive: tarfile.TarFile, name: str) -> Any:
    for spelling in (name, f"/{name}", f"./{name}"):
        try:
            found = archive.extractfile(spelling)
        except KeyError:
            continue
        assert found is not None
        return found
    raise AssertionError(archive.getnames())


def blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def toml_of(directory: Path) -> dict[str, Any]:
    return tomllib.loads((directory / "buildpack.toml").read_text())


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do what `make buildpack WHEELS=1` does, and return what it left."""
    require("pack")
    kept = tmp_path_factory.mktemp("packed")
    with making():
        environment = {**os.environ, "PACK_HOME": str(kept), "VENV": sys.prefix, "WHEELS": "1"}
        done = subprocess.run(
            [ROOT / "scripts/buildpackage.sh"], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        for architecture in ("amd64", "arm64"):
            name = f"nachlass-linux-{architecture}"
            assert f"dist/{name}.cnb: nachlass {VERSION}, " in done.stdout
            shutil.copytree(ROOT / "dist" / name, kept / name)
            shutil.copy(ROOT / f"dist/{name}.cnb", kept)
    return kept


@pytest.fixture(scope="module")
def with_wheels(packed: Path) -> Path:
    return packed / "nachlass-linux-amd64"


@pytest.mark.parametrize(("architecture", "other"), [("amd64", "aarch64"), ("arm64", "x86_64")])
def test_wheels_are_for_one_architecture_and_for_every_python(packed: Path, architecture: str, other: str) -> None:
    directory = packed / f"nachlass-linux-{architecture}"
    wheels = {path.name for path in (directory / "wheels").glob("*.whl")}

    assert toml_of(directory)["targets"] == [{"os": "linux", "arch": architecture}]
    assert {name for name in wheels if "musllinux" in name or other in name} == set()
    for python in ("cp310", "cp311", "cp312", "cp313", "cp314"):
        assert [name for name in wheels if name.startswith("httptools") and python in name], python


def test_package_with_wheels_has_the_same_bytes_each_time(packed: Path, tmp_path: Path) -> None:
    shutil.copytree(packed / "nachlass-linux-arm64", tmp_path / "again")
    again = package(tmp_path / "again")
    first = packed / "nachlass-linux-arm64.cnb"
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(first.read_bytes()).digest()


def vendor(directory: Path) -> None:
    """Put the wheels of a repository's requirements there, and none of ours."""
    directory.mkdir()
    for wheel in wheels().glob("*.whl"):
        if wheel.name.split("-")[0] in VENDORED:
            shutil.copy(wheel, directory)


def test_pack_needs_no_network_with_the_package_that_has_wheels(
    name: str, machine: Platform, packed: Path, tmp_path: Path
) -> None:
    vendor(tmp_path / "wheels")
    repository = classifier_repository(tmp_path / "repository")
    offline = replace(machine, options=("--network", "none", "--volume", f"{tmp_path / 'wheels'}:{WHEELS}:ro"))
    image = f"{name}-offline"
    try:
        log = offline.built(
            image,
            repository,
            *("--buildpack", str(packed / "nachlass-linux-amd64.cnb"), "--trust-extra-buildpacks"),
            env={"NACHLASS_NOTEBOOKS": "train.ipynb", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS},
        )
        assert "Successfully installed" in log
        with serving(image, options=RESTRICTED) as running:
            assert running.predict([[0, 0], [3, 3]]) == ["low", "high"]
    finally:
        docker("rmi", "--force", image, check=False)


def test_packed_wheels_and_vendored_requirements_need_no_network_no_home_and_no_known_user(
    name: str, machine: Platform, with_wheels: Path, tmp_path: Path
) -> None:
    del machine  # It has the builder made.
    repository = classifier_repository(tmp_path / "repository")
    (repository / "requirements.txt").write_text("--no-index\n--find-links vendor\nnumpy\nscikit-learn\n")
    vendor(repository / "vendor")
    inside = f"/cnb/buildpacks/nachlass_nachlass/{VERSION}"
    with registry_with_run_image(tmp_path / "registry") as address:
        cluster = Cluster(
            root=tmp_path / "pod",
            registry=address,
            image=f"{name}-wheels",
            user=RANDOM_USER,
            home="absent",
            api="0.13",
            options=("--network", "none", "--volume", f"{with_wheels}:{inside}:ro"),
        )

        built = cluster.build(repository, env={"NACHLASS_NOTEBOOKS": "train.ipynb"})

        assert "Successfully installed" in built.log
        docker("pull", built.image)
        try:
            with serving(built.image, options=(*RESTRICTED, "--user", RANDOM_USER)) as running:
                assert running.predict([[0, 0], [3, 3]]) == ["low", "high"]
        finally:
            docker("rmi", "--force", built.image)


def test_published_package_is_that_of_the_projects_version(tmp_path: Path) -> None:
    require("pack")
    require("registry")
    with making(), registry(tmp_path / "registry") as address:
        subprocess.run(
            [ROOT / "scripts/buildpackage.sh", address],
            env={**os.environ, "HOME": str(tmp_path), "VENV": sys.prefix},
            check=True,
            capture_output=True,
        )
        host, _, port = address.partition(":")
        config = json.loads(fetch(int(port), f"/v2/nachlass/blobs/{config_digest(int(port))}"))
    assert host == "localhost"
    described = json.loads(config["config"]["Labels"]["io.buildpacks.buildpackage.metadata"])
    assert (described["id"], described["version"]) == ("nachlass/nachlass", VERSION)


def config_digest(port: int) -> str:
    return str(json.loads(fetch(port, f"/v2/nachlass/manifests/{VERSION}"))["config"]["digest"])


def fetch(port: int, path: str) -> str:
    accepted = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    answer = send(port, "GET", path, headers={"Accept": accepted})
    assert answer.status == 200, answer.text
    return answer.text
