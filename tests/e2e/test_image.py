"""What is in the image: how large our layers are, its bill of materials, and what two builds have in common."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from nachlass_bp.cnb.layer import KEY_FILE
from tests.support import spam
from tests.support.docker import docker, labels
from tests.support.pack import Platform
from tests.support.pythons import ROOT

MOST_BYTES = 15_000_000
"""Of all that nachlass adds to the repository's own packages."""
JUPYTER = ("IPython", "ipykernel", "jupyter_client", "jupyter_core", "nbclient", "nbformat", "traitlets", "zmq")
VOLATILE = {"at", "seconds", "peak_memory_bytes"}
"""Of a training record."""


@pytest.fixture
def image(spam: str) -> str:
    return spam


def test_service_and_stages_take_less_than_15_megabytes(image: str) -> None:
    script = "cd /layers/nachlass_nachlass && du --summarize --bytes scorer stages"
    sizes = {line.split()[1]: int(line.split()[0]) for line in docker(*launched(image, script)).splitlines()}
    assert sum(sizes.values()) < MOST_BYTES, sizes


def launched(image: str, script: str, *, user: str = "") -> list[str]:
    return ["run", "--rm", *(("--user", user) if user else ()), "--entrypoint", "launcher", image, script]


def test_no_row_of_the_training_is_anywhere_but_in_the_repositorys_own_file(image: str) -> None:
    row = (ROOT / "examples/spam/data/spam.txt").read_text(encoding="utf-8").splitlines()[0]
    search = f"grep -rlF --devices=skip --exclude-dir=proc --exclude-dir=sys -e {shlex.quote(row)} /"

    assert docker(*launched(image, search, user="0"), check=False).split() == ["/workspace/data/spam.txt"]
    assert row not in docker("image", "inspect", image)


def test_nothing_of_jupyter_and_of_the_build_is_in_it_and_everybody_may_read_all_of_ours(image: str) -> None:
    ours = "/layers/nachlass_nachlass"
    names = docker(*launched(image, f"find {ours} -printf '%f\\n'")).split()
    narrow = f"find {ours} /workspace ! -type l ( ! -perm -444 -o -type d ! -perm -555 )"

    assert not {*names} & {*JUPYTER, "nachlass_bp"}
    assert {"sklearn", "falcon"} <= {*names}
    assert docker(*launched(image, narrow.replace("(", "\\(").replace(")", "\\)"), user="0")) == ""


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
    data = {each["bom-ref"]: each["name"] for each in bill["components"] if each["type"] == "data"}
    inputs = models["01-features"]["modelCard"]["modelParameters"]["datasets"]
    assert {data[each["ref"]] for each in inputs} == {"data/legitimate.txt", "data/spam.txt"}


def test_second_build_of_the_same_commit_differs_in_the_training_alone(
    image: str, name: str, machine: Platform, tmp_path: Path
) -> None:
    spam.build(machine, f"{name}-second", tmp_path)  # Another name: another cache, and no previous image.

    second = f"{name}-second"
    assert described(image) == described(second)
    assert stages(image) == stages(second)


def described(image: str) -> dict[str, Any]:
    """Return all labels, with the digests of all layers, but what says when the training was and how long it took."""
    found: dict[str, Any] = dict(labels(image))
    layers = json.loads(found.pop("io.buildpacks.lifecycle.metadata"))
    del layers["sbom"]  # It names the stages by their bytes.
    (ours,) = layers["buildpacks"]
    del ours["layers"]["stages"]
    return {**found, "layers": layers}


def stages(image: str) -> dict[str, Any]:
    """Return each file of the layer: the training records without what they say of time and memory."""
    directory = "/layers/nachlass_nachlass/stages"
    files = docker(*launched(image, f"cd {directory} && find . -type f -exec sha256sum {{}} +"))
    found: dict[str, Any] = {line.split()[1]: line.split()[0] for line in files.splitlines()}
    del found[f"./{KEY_FILE}"]  # The digest of the others.
    for record in ("./manifest.json", "./provenance.json"):
        found[record] = steady(json.loads(docker(*launched(image, f"cat {directory}/{record}"))))
    return found


def steady(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: steady(each) for name, each in value.items() if name not in VOLATILE}
    return [steady(each) for each in value] if isinstance(value, list) else value
