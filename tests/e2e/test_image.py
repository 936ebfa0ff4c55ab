"""What is in the image: how large our layers are, its bill of materials, and what two builds have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from nachlass_bp.cnb.layer import KEY_FILE
from tests.support import spam
from tests.support.docker import docker, labels
from tests.support.pack import Platform

MOST_BYTES = 15_000_000
"""Of all that nachlass adds to the repository's own packages."""


@pytest.fixture
def image(spam: str) -> str:
    return spam


def shas(image: str) -> Mapping[str, str]:
    """Return the digests of our launch layers."""
    (ours,) = json.loads(labels(image)["io.buildpacks.lifecycle.metadata"])["buildpacks"]
    return {name: layer["sha"] for name, layer in ours["layers"].items() if layer["launch"]}


def test_service_and_stages_take_less_than_15_megabytes(image: str) -> None:
    script = "cd /layers/nachlass_nachlass && du --summarize --bytes scorer stages"
    sizes = {line.split()[1]: int(line.split()[0]) for line in docker(*launched(image, script)).splitlines()}
    assert sum(sizes.values()) < MOST_BYTES, sizes


def launched(image: str, script: str) -> list[str]:
    return ["run", "--rm", "--entrypoint", "launcher", image, script]


def test_bill_of_materials_is_valid_and_names_each_stage_with_its_inputs(
    image: str, machine: Platform, tmp_path: Path
) -> None:
    done = machine.pack("sbom", "download", image, "--output-dir", tmp_path)
    assert done.exit_code == 0, done.output
    (file,) = tmp_path.rglob("nachlass_nachlass/**/sbom.cdx.json")
    text = file.read_text()
    bill = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    models = {each["name"]: each for each in bill["components"] if each["type"] == "machine-learning-model"}
    assert len(models) == 2, models
    inputs = json.dumps(bill)
    for path in ("data/legitimate.txt", "data/spam.txt"):
        assert path in inputs


def test_second_build_of_the_same_commit_differs_in_the_training_alone(
    image: str, name: str, machine: Platform, tmp_path: Path
) -> None:
    spam.build(machine, f"{name}-second", tmp_path)  # Another name: another cache, and no previous image.

    first, second = shas(image), shas(f"{name}-second")
    assert {layer for layer in first if first[layer] != second[layer]} <= {"stages"}
    assert parts(image) == parts(f"{name}-second")


def parts(image: str) -> dict[str, Any]:
    """Return the digest of each file of the stages, without the training record and the digest of it all."""
    files = docker(*launched(image, "cd /layers/nachlass_nachlass/stages && find . -type f -exec sha256sum {} +"))
    found = {line.split()[1]: line.split()[0] for line in files.splitlines()}
    return {
        path: digest
        for path, digest in found.items()
        if Path(path).name not in {"manifest.json", "provenance.json", KEY_FILE}
    }
