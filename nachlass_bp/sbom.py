"""The bill of materials of the `stages` layer: CycloneDX 1.5, the first version that knows models and their data.

Source: https://cyclonedx.org/docs/1.5/json/. No time and no random number is in it: the same model has the same bill.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from nachlass_bp.interpreter import Interpreter
from scorer.manifest import Manifest, Model

_CODE = frozenset({".py", ".pyi", ".ipynb", ".so"})
_MOST_DATASETS = 1000
"""For each notebook; provenance.json has more."""
_TASKS = {"classifier": "classification", "regressor": "regression"}
_MODEL = "pipeline"

Document = dict[str, Any]


def to_json(manifest: Manifest, provenance: Mapping[str, Any], user: Interpreter) -> str:
    """Return the bill of materials of a model.

    Args:
        manifest: The finished manifest.
        provenance: The document of `provenance.py`.
        user: The interpreter whose packages are in the image.
    """
    assert manifest.model is not None
    data = _Data(provenance["notebooks"])
    stages = [_stage(index, manifest, provenance["notebooks"], data) for index in range(len(manifest.stages))]
    packages = _packages(user)
    document: Document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [{"type": "application", "name": "nachlass", "version": manifest.nachlass_version}]
            },
            "component": {
                "type": "machine-learning-model",
                "bom-ref": _MODEL,
                "name": manifest.name,
                "modelCard": {"modelParameters": {**_task(manifest.model), **_interface(manifest.model)}},
            },
        },
        "components": [*stages, *data.components, *packages],
        "dependencies": [
            {
                "ref": _MODEL,
                "dependsOn": sorted(each["bom-ref"] for each in (*stages, *packages)),
            },
            *data.dependencies(manifest),
        ],
    }
    # Of the content, so that equal models have equal bills.
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, content).urn
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


class _Data:
    """The data files that the notebooks read, each content of each path once, and which notebook made which."""

    def __init__(self, notebooks: Sequence[Mapping[str, Any]]) -> None:
        self.components: list[Document] = []
        self.read: dict[str, list[str]] = {}
        """References of what a notebook read, by the notebook's name."""
        self.omitted: dict[str, int] = {}
        self._made: dict[str, list[str]] = {}
        known: set[str] = set()
        for notebook in notebooks:
            name = notebook["notebook"]
            files = _data_files(notebook)
            self.omitted[name] = max(0, len(files) - _MOST_DATASETS)
            self.read[name] = [_reference(path, digest) for path, digest in files[:_MOST_DATASETS]]
            for path, digest in files[:_MOST_DATASETS]:
                if _reference(path, digest) not in known:
                    known.add(_reference(path, digest))
                    self.components.append(_data_component(path, digest))
            for path, digest in ((notebook["outputs"] or {}).get("files") or {}).items():
                self._made[_reference(path, digest)] = self.read[name]
        self._known = known

    def dependencies(self, manifest: Manifest) -> list[Document]:
        """Return what stages and intermediate files were made from."""
        found = [
            {"ref": f"stage:{stage.name}", "dependsOn": self.read.get(stage.notebook, [])} for stage in manifest.stages
        ]
        for made, inputs in sorted(self._made.items()):
            if made in self._known:
                found.append({"ref": made, "dependsOn": [each for each in inputs if each != made]})
        return found


def _data_files(notebook: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    inputs = notebook["inputs"] or {}
    files = {**inputs.get("files", {}), **inputs.get("external_files", {})}
    return sorted((path, digest) for path, digest in files.items() if PurePosixPath(path).suffix not in _CODE)


def _reference(path: str, digest: str | None) -> str:
    return f"data:{path}@{(digest or 'unknown')[:16]}"


def _data_component(path: str, digest: str | None) -> Document:
    component: Document = {
        "type": "data",
        "bom-ref": _reference(path, digest),
        "name": path,
        "data": [{"type": "dataset", "name": path}],
    }
    if digest is not None:
        component["hashes"] = _hashes(digest)
    return component


def _stage(index: int, manifest: Manifest, notebooks: Sequence[Mapping[str, Any]], data: _Data) -> Document:
    stage, model = manifest.stages[index], manifest.model
    assert model is not None
    is_first, is_last = index == 0, index == len(manifest.stages) - 1
    interface = _interface(model)
    parameters: Document = {
        "modelArchitecture": stage.estimator,
        "datasets": [{"ref": reference} for reference in data.read.get(stage.notebook, [])],
        # Of a stage in the middle it isn't known what it takes or gives.
        **(_task(model) if is_last else {}),
        **({"inputs": interface["inputs"]} if is_first else {}),
        **({"outputs": interface["outputs"]} if is_last else {}),
    }
    component: Document = {
        "type": "machine-learning-model",
        "bom-ref": f"stage:{stage.name}",
        "name": stage.name,
        "description": f"{stage.estimator}, saved by {stage.notebook}",
        "hashes": _hashes(stage.sha256),
        "modelCard": {"modelParameters": parameters},
    }
    made = [each for each in notebooks if each["notebook"] == stage.notebook and each["stage"] is not None]
    if made:
        component.update(_origin(made[-1], data.omitted.get(stage.notebook, 0)))
    return component


def _origin(notebook: Mapping[str, Any], omitted: int) -> Document:
    properties = {
        "nachlass:notebook": notebook["notebook"],
        "nachlass:code_sha256": notebook["code_sha256"],
        "nachlass:trained_at": notebook["trained"]["at"],
        "nachlass:inputs_are": notebook["inputs_are"],
        "nachlass:provenance": "provenance.json",
    }
    if omitted:
        properties["nachlass:omitted_datasets"] = str(omitted)
    origin: Document = {"properties": [{"name": name, "value": value} for name, value in properties.items()]}
    if commit := notebook["trained"]["commit"]:
        different = {True: "The files differed from it.", None: "Nobody compared the files with it."}
        described = {"uid": commit["id"]}
        if commit["dirty"] in different:
            described["message"] = different[commit["dirty"]]
        origin["pedigree"] = {"commits": [described]}
    return origin


def _task(model: Model) -> Document:
    task = _TASKS.get(model.task)
    return {"task": task, "approach": {"type": "supervised"}} if task is not None else {}


def _interface(model: Model) -> Document:
    taken = model.input
    if taken.kind == "text":
        shape = "text"
    elif taken.kind == "array":
        shape = f"array of {taken.width} numbers without names"
    else:
        shape = "table with the columns " + ", ".join(f"{column.name} ({column.kind})" for column in taken.columns)
    given = {
        "classifier": "class label",
        "regressor": "number",
        "outlier_detector": "1 for an inlier, -1 for an outlier",
    }.get(model.task, "what predict returns")
    return {"inputs": [{"format": shape}], "outputs": [{"format": given}]}


def _packages(user: Interpreter) -> list[Document]:
    """Return the packages of the environment; one that came from no index has no address there."""
    found: list[Document] = [
        {"type": "platform", "bom-ref": "python", "name": user.implementation, "version": user.version}
    ]
    for name, distribution in sorted(user.distributions.items()):
        purl = f"pkg:pypi/{name}@{quote(distribution.version, safe='')}"
        component = {"type": "library", "bom-ref": purl, "name": name, "version": distribution.version}
        found.append(component if distribution.origin else {**component, "purl": purl})
    return found


def _hashes(sha256: str) -> list[Document]:
    return [{"alg": "SHA-256", "content": sha256}]
