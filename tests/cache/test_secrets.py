"""What notebooks do with secrets, and where none of it may turn up: cache, provenance, bill of materials, notebooks.

The first notebook prints secrets and reads one from its file, the second writes one into the tree in several spellings,
beside a variable's value; the third makes the model.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.support.repositories import write_repository

TOKEN, BY_FILE, VARIABLE = "hunter2-kingfisher", 'cormorant\'s "word"', "swordfish-4711-blue"
PRINT, WRITE, MODEL = "00-print.ipynb", "01-write.ipynb", "02-model.ipynb"
PRINTING = (
    "import json, os, sys\ntoken = os.environ['TOKEN']\nword = open('{binding}/WORD').read()",
    "login = open('{netrc}').read()",
    "print('token', token)\nprint(repr(word), json.dumps(word))",
    "sys.stdout.write(token[:7])\nsys.stdout.flush()\nimport time; time.sleep(0.5)\nprint(token[7:])",
    "from IPython.display import display\ndisplay({'application/json': {token: [word]}}, raw=True)\n{'key': token}",
    "import base64\nprint('Basic', base64.b64encode(f'user:{token}'.encode()).decode(), 'sent')",
)
WRITING = (
    "import base64, os\ntoken = os.environ['TOKEN']\nos.makedirs('made', exist_ok=True)",
    "open('made/base64.txt', 'w').write(base64.b64encode(token.encode()).decode())",
    "open('made/hex.txt', 'w').write(token.encode().hex())",
    "open('made/padded.txt', 'w').write(token + '\\n' * (1 << 16))",
    "open('made/late.bin', 'wb').write(bytes((1 << 20) - 5) + token.encode() + bytes(9))",
    "open('made/token.txt', 'w').write('token=' + token)",
    "open('made/variable.txt', 'w').write(os.environ['ENVTOK'])",
    "open('made/plain.txt', 'w').write('plain')",
)
MODELLING = (
    "import os, pickle\nfrom sklearn.linear_model import LogisticRegression",
    "assert open('made/token.txt').read()",
    "model = LogisticRegression().fit([[0, 0.1], [0.2, 0], [2.9, 2.5], [2.6, 2.7]], ['low', 'low', 'high', 'high'])",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
HOLDING = {
    "made/base64.txt": base64.b64encode(TOKEN.encode()),
    "made/hex.txt": TOKEN.encode().hex().encode(),
    "made/late.bin": bytes((1 << 20) - 5) + TOKEN.encode() + bytes(9),
    "made/padded.txt": TOKEN.encode() + b"\n" * (1 << 16),
    "made/token.txt": b"token=" + TOKEN.encode(),
}
NETRC = f"machine warehouse login user password {TOKEN}\n"
RUN_AGAIN = "made/base64.txt holds the value of the secret TOKEN, which may be in no layer"


@dataclass(frozen=True, kw_only=True)
class Built:
    lab: Lab
    binding: Path
    report: Path

    @property
    def cached(self) -> dict[str, bytes]:
        root = self.lab.phases.store.kept / "stage-store"
        return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}

    @property
    def published(self) -> dict[str, bytes]:
        """What the image says of the model."""
        layers = self.lab.phases.layers
        found = [layers / "stages/provenance.json", layers / "stages/manifest.json", layers / "stages.sbom.cdx.json"]
        return {path.name: path.read_bytes() for path in (*found, layers / "launch.toml")}

    @property
    def notebooks(self) -> list[Any]:
        return list(json.loads(self.published["provenance.json"])["notebooks"])


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory: pytest.TempPathFactory, make_lab: LabMaker) -> Built:
    root = tmp_path_factory.mktemp("secrets")
    binding, report, home = root / "bindings/warehouse", root / "report", root / "home"
    binding.mkdir(parents=True)
    home.mkdir()
    (home / "netrc").write_text(NETRC)
    for key, value in {"type": "nachlass", "TOKEN": TOKEN, "WORD": BY_FILE}.items():
        (binding / key).write_text(value)
    cells = [cell.replace("{binding}", str(binding)).replace("{netrc}", str(home / "netrc")) for cell in PRINTING]
    repository = write_repository(root / "repository", {PRINT: cells, WRITE: WRITING, MODEL: MODELLING})
    env = {
        "NACHLASS_NOTEBOOKS": f"{PRINT},{WRITE},{MODEL}",
        "NACHLASS_REPORT_DIR": str(report),
        "NACHLASS_HOME": str(home),
        "NACHLASS_SHIP": "made/token.txt",
        "SERVICE_BINDING_ROOT": str(binding.parent),
        "ENVTOK": VARIABLE,
    }
    return Built(lab=make_lab(repository, env), binding=binding, report=report)


@pytest.fixture
def built(module_lab: Built) -> Built:
    module_lab.lab.reset()
    (module_lab.binding / "WORD").write_text(BY_FILE)
    return module_lab


def telling() -> Iterator[bytes]:
    """Yield what tells a secret, or lets it be guessed."""
    for secret in (TOKEN, BY_FILE):
        yield from (secret.encode(), repr(secret)[1:-1].encode(), json.dumps(secret)[1:-1].encode())
        yield base64.b64encode(secret.encode()).rstrip(b"=")
    yield base64.b64encode(f"user:{TOKEN}".encode())[8:-4]
    for content in (TOKEN.encode(), BY_FILE.encode(), NETRC.encode(), *HOLDING.values()):
        yield hashlib.sha256(content).hexdigest().encode()


def test_no_secret_and_no_digest_from_which_one_could_be_guessed_is_in_the_cache(built: Built) -> None:
    assert [(name, each) for name, content in built.cached.items() for each in telling() if each in content] == []


def test_executed_notebooks_show_marks_in_place_of_secrets(built: Built) -> None:
    text = (built.report / "notebooks" / PRINT).read_text()
    outputs = [output for cell in json.loads(text)["cells"] for output in cell["outputs"]]

    assert [each for each in telling() if each in text.encode()] == []
    assert "".join(outputs[0]["text"]) == "token ****\n'****' \"****\"\n"
    assert "".join(outputs[1]["text"]) == "****\n", "it was written in two pieces"
    assert outputs[2]["data"]["application/json"] == {"****": ["****"]}
    assert "".join(outputs[3]["data"]["text/plain"]) == "{'key': '****'}"
    assert "".join(outputs[4]["text"]).endswith(" sent\n")
    assert any(text.encode() == content for content in built.cached.values()), "the cache has the same"


def test_run_that_wrote_a_secret_is_not_reused_and_the_others_are(built: Built) -> None:
    assert f"The next build will run it again: {RUN_AGAIN}" in built.lab.cold.built.output
    assert "Warning: tree/made/token.txt holds the value of the secret TOKEN" in built.lab.cold.built.output

    outcome = built.lab.build()

    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what == {PRINT: "reused", WRITE: "run", MODEL: "reused"}, outcome.built.output
    assert outcome.decisions[WRITE].why == RUN_AGAIN
    assert [(name, each) for name, content in built.cached.items() for each in telling() if each in content] == []


def test_digests_of_files_that_hold_secrets_or_variables_are_published_nowhere(built: Built) -> None:
    withheld = [*telling(), VARIABLE.encode(), hashlib.sha256(VARIABLE.encode()).hexdigest().encode()]
    assert [(name, each) for name, content in built.published.items() for each in withheld if each in content] == []

    printing, write, model = built.notebooks
    assert printing["inputs"]["external_files"] == {"~/netrc": None}
    files = write["outputs"]["files"]
    assert {path: files[path] for path in (*HOLDING, "made/variable.txt")} == dict.fromkeys(
        (*HOLDING, "made/variable.txt")
    )
    assert files["made/plain.txt"] == hashlib.sha256(b"plain").hexdigest()
    assert model["inputs"]["files"]["made/token.txt"] is None


def test_secret_that_is_read_from_its_file_is_an_input(built: Built) -> None:
    (built.binding / "WORD").write_text("another word")

    outcome = built.lab.build()

    assert outcome.decisions[PRINT].what == "run", outcome.built.output
    assert "WORD changed" in outcome.decisions[PRINT].why


def test_names_that_hold_a_secret_are_told_with_marks_and_kept_nowhere(built: Built) -> None:
    def name_files(root: Path) -> None:
        text = (root / WRITE).read_text()
        # Two names that differ in nothing but the spelling.
        code = "open(token + '.name', 'w').write('1'), open(token.encode().hex() + '.name', 'w').write('2')"
        (root / WRITE).write_text(text.replace("open('made/plain.txt', 'w').write('plain')", code))

    outcome = built.lab.build(name_files)

    assert outcome.built.exit_code == 0, outcome.built.output
    assert "a name that it used holds the value of the secret TOKEN" in outcome.built.output
    files = built.notebooks[1]["outputs"]["files"]
    assert {files["****.name"], files["****.name (2)"]} == {hashlib.sha256(each).hexdigest() for each in (b"1", b"2")}
    for contents in (built.published, built.cached):
        assert [(name, each) for name, content in contents.items() for each in telling() if each in content] == []
        assert [name for name in contents if TOKEN in name] == []


def test_stage_that_holds_a_secret_is_warned_of_in_each_build_and_not_kept(built: Built) -> None:
    def remember(root: Path) -> None:
        text, code = (root / MODEL).read_text(), "pickle.dump(model"
        (root / MODEL).write_text(text.replace(code, f"model.token = os.environ['TOKEN']; {code}"))

    for change in (remember, None):
        outcome = built.lab.build(change)

        assert outcome.built.exit_code == 0, outcome.built.output
        assert "Warning: stages/01-02-model.stage holds the value of the secret TOKEN" in outcome.built.output
        assert outcome.what[MODEL] == "run"
        assert "its stage holds the value of the secret TOKEN, which may be in no layer" in outcome.built.output
        assert [name for name, content in built.cached.items() if TOKEN.encode() in content] == []
