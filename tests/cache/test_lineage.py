"""What a model was made from: `provenance.json`, `/metadata` and the bill of materials of one repository's builds.

The first notebook reads what provenance has to keep quiet about: a secret, by its variable and by its file. What
comes of one that writes it into the tree is in test_secrets.py.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.support.repositories import write_repository

SECRET = "hunter2-kingfisher"
COMMIT, LATER_COMMIT = "1" * 40, "2" * 40
ROWS = "0,0.1,low\n0.2,0,low\n2.9,2.5,high\n2.6,2.7,high\n"
PREPARE, MODEL = "00-prepare.ipynb", "notebooks/01-model.ipynb"
PREPARING = (
    "import os\nfrom cleaning import clean",
    "token = os.environ['TOKEN']\nassert open('{binding}/TOKEN').read() == token",
    "text = open('data/raw.csv').read()\nlimit = open('{outside}').read()",
    "os.makedirs('made', exist_ok=True)\nopen('made/clean.csv', 'w').write(clean(text))",
    "open('/proc/self/environ').read()",
)
MODELLING = (
    "import csv, os, pickle\nfrom sklearn.linear_model import LogisticRegression",
    "rows = list(csv.reader(open('../made/clean.csv')))\nX = [[float(x) for x in row[:2]] for row in rows]",
    "model = LogisticRegression().fit(X, [row[2] for row in rows])",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
CLEANING = "def clean(text):\n    return text.strip()\n"


@dataclass(frozen=True, kw_only=True)
class Built:
    lab: Lab
    binding: Path
    outside: Path

    @property
    def layer(self) -> Path:
        return self.lab.phases.layers / "stages"

    @property
    def provenance(self) -> Any:
        return json.loads((self.layer / "provenance.json").read_text())

    @property
    def bill(self) -> Any:
        return json.loads((self.lab.phases.layers / "stages.sbom.cdx.json").read_text())

    @property
    def contents(self) -> Mapping[str, bytes]:
        """Every byte of the layer and of what stands beside it."""
        found = {str(path.relative_to(self.layer)): path for path in self.layer.rglob("*") if path.is_file()}
        found["bill"] = self.lab.phases.layers / "stages.sbom.cdx.json"
        return {name: path.read_bytes() for name, path in found.items()}


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory, make_lab: LabMaker) -> Built:
    root = tmp_path_factory.mktemp("lineage")
    binding, outside = root / "bindings/warehouse", root / "home/settings/limit.txt"
    for file, text in {binding / "type": "nachlass", binding / "TOKEN": SECRET, outside: "10"}.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    repository = write_repository(
        root / "repository",
        {
            PREPARE: [cell.replace("{binding}", str(binding)).replace("{outside}", str(outside)) for cell in PREPARING],
            MODEL: MODELLING,
        },
        files={
            "data/raw.csv": ROWS,
            "cleaning.py": CLEANING,
            "README.md": "Words.\n",
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/refs/heads/main": f"{COMMIT}\n",
        },
    )
    env = {
        "NACHLASS_NOTEBOOKS": f"{PREPARE},{MODEL}",
        "SERVICE_BINDING_ROOT": str(binding.parent),
        "NACHLASS_HOME": str(root / "home"),
    }
    return Built(lab=make_lab(repository, env), binding=binding, outside=outside)


@pytest.fixture
def built(module_lab: Built) -> Built:
    module_lab.lab.reset()
    return module_lab


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_provenance_has_the_digest_of_every_file_that_went_into_the_model_or_came_out(built: Built) -> None:
    prepare, model = built.provenance["notebooks"]
    clean = sha256(ROWS.strip())

    assert (prepare["notebook"], model["notebook"]) == (PREPARE, MODEL)
    assert prepare["inputs"]["files"]["data/raw.csv"] == sha256(ROWS)
    assert prepare["inputs"]["files"]["cleaning.py"] == sha256(CLEANING)
    assert prepare["inputs"]["external_files"] == {"~/settings/limit.txt": sha256("10")}
    assert prepare["outputs"]["files"]["made/clean.csv"] == clean
    assert prepare["inputs_are"] == "what it used"
    assert model["inputs"]["files"]["made/clean.csv"] == clean
    assert prepare["stage"] is None
    assert model["stage"]["estimator"] == "sklearn.linear_model._logistic.LogisticRegression"
    assert (
        model["stage"]["sha256"] == hashlib.sha256((built.layer / "stages/01-01-model.stage").read_bytes()).hexdigest()
    )
    assert (prepare["used_network"], prepare["started_programs"]) == (False, False)
    assert "TOKEN" in prepare["inputs"]["variables"]
    assert [each["trained"]["commit"] for each in (prepare, model)] == [{"id": COMMIT, "dirty": None}] * 2
    assert {"scikit-learn", "numpy", "joblib"} <= built.provenance["packages"].keys()


def test_nothing_that_is_published_tells_of_a_secret(built: Built) -> None:
    published = [*built.contents.values(), (built.lab.phases.layers / "launch.toml").read_bytes()]
    published.append(json.dumps(built.lab.phases.store.layers["stages"].metadata).encode())
    telling = [SECRET, sha256(SECRET), str(built.binding)]

    prepare, _ = built.provenance["notebooks"]
    assert [(word, text) for word in telling for text in published if word.encode() in text] == []
    assert not any("environ" in path for path in prepare["inputs"]["external_files"])


def test_bill_of_materials_is_cyclonedx_with_the_model_its_data_and_all_packages(built: Built) -> None:
    text = json.dumps(built.bill)
    components = {component["bom-ref"]: component for component in built.bill["components"]}
    stage = components["stage:01-model"]
    raw, clean = f"data:data/raw.csv@{sha256(ROWS)[:16]}", f"data:made/clean.csv@{sha256(ROWS.strip())[:16]}"
    depends = {each["ref"]: each["dependsOn"] for each in built.bill["dependencies"]}

    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(text) is None
    assert stage["type"] == "machine-learning-model"
    assert stage["hashes"] == [{"alg": "SHA-256", "content": built.provenance["notebooks"][1]["stage"]["sha256"]}]
    assert stage["modelCard"]["modelParameters"]["task"] == "classification"
    assert {"ref": clean} in stage["modelCard"]["modelParameters"]["datasets"]
    assert stage["pedigree"]["commits"][0]["uid"] == COMMIT
    assert components[raw]["hashes"] == [{"alg": "SHA-256", "content": sha256(ROWS)}]
    assert clean in depends["stage:01-model"]
    assert raw in depends[clean]
    libraries = {each["name"]: each["purl"] for each in components.values() if each["type"] == "library"}
    assert libraries.keys() == built.provenance["packages"].keys()
    assert libraries["numpy"] == f"pkg:pypi/numpy@{built.provenance['packages']['numpy']}"


def test_service_answers_with_the_provenance(built: Built) -> None:
    with built.lab.phases.serve() as service:
        assert service.get("/metadata").json()["provenance"] == built.provenance


def test_layer_that_is_made_again_from_reused_runs_is_the_same_byte_for_byte(built: Built) -> None:
    before = built.contents
    store = built.lab.phases.store
    store.layers = {name: layer for name, layer in store.layers.items() if name != "stages"}
    shutil.rmtree(built.layer)
    (store.kept / "stages.sbom.cdx.json").unlink()

    outcome = built.lab.build(lambda root: (root / ".git/refs/heads/main").write_text(LATER_COMMIT))

    assert set(outcome.what.values()) == {"reused"}, outcome.built.output
    assert "stages" not in outcome.built.reused
    assert built.contents == before


def test_commit_that_changes_nothing_of_the_model_leaves_it_to_the_previous_image(built: Built) -> None:
    bill = built.bill

    def commit(root: Path) -> None:
        (root / ".git/refs/heads/main").write_text(LATER_COMMIT)
        (root / "README.md").write_text("More words.\n")

    outcome = built.lab.build(commit)

    assert "stages" in outcome.built.reused, outcome.built.output
    assert {each["trained"]["commit"]["id"] for each in built.provenance["notebooks"]} == {COMMIT}
    assert built.bill == bill


def test_changed_notebook_is_of_the_new_commit_and_the_reused_one_of_the_old(built: Built) -> None:
    def commit(root: Path) -> None:
        (root / ".git/refs/heads/main").write_text(LATER_COMMIT)
        text = (root / MODEL).read_text()
        (root / MODEL).write_text(text.replace("LogisticRegression()", "LogisticRegression(C=2)"))

    outcome = built.lab.build(commit)

    assert outcome.what == {PREPARE: "reused", MODEL: "run"}, outcome.built.output
    assert [each["trained"]["commit"]["id"] for each in built.provenance["notebooks"]] == [COMMIT, LATER_COMMIT]


def test_without_the_cache_provenance_says_why_inputs_are_not_known(built: Built) -> None:
    built.lab.phases.set_env({"NACHLASS_CACHE": "off", "NACHLASS_COMMIT": f"{LATER_COMMIT}-dirty"})
    outcome = built.lab.build()

    assert outcome.built.exit_code == 0, outcome.built.output
    for notebook in built.provenance["notebooks"]:
        assert notebook["inputs"] is None
        assert notebook["inputs_are"] == "not known: the cache is off"
        assert notebook["trained"]["commit"] == {"id": LATER_COMMIT, "dirty": True}
        assert notebook["trained"]["seconds"] > 0
    assert built.provenance["notebooks"][1]["stage"] is not None
    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(built.bill)) is None
