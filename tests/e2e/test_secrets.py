"""Secrets of a build: the notebooks get them, and nobody who has the image, the cache or the logs finds one."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.docker import docker, serving
from tests.support.leaks import Search
from tests.support.pack import Platform, wheels
from tests.support.package_index import CERTIFICATE, Company, Login, company
from tests.support.repositories import write_repository

TOKEN = 'kingfisher "4711" & blue/green'
KEY = "-----BEGIN KEY-----\ncormorantMIIEvQIBADANBgkqhkiG9w0BAQ\nheronEFAASCBKcwggSjAgEAAoIBAQC7\n-----END KEY-----\n"
VARIABLE = "swordfish+2600=red"
INDEX = Login(name="build", password="albatross/1729@white")
PROXY = Login(name="company", password="pelican-6174-grey")
PLANTED = {
    "TOKEN": TOKEN,
    "KEY": "\n".join(KEY.splitlines()[1:3]),
    "VARIABLE": VARIABLE,
    "index": INDEX.password,
    "proxy": PROXY.password,
}
KNOWN = "LinearRegression"
"""What is in all of these places and no secret."""
SECRET = (
    "import hashlib, os\ntoken, word = os.environ['TOKEN'], os.environ['DB_PASSWORD']\n"
    "key = open('/platform/bindings/data/KEY').read()"
)
TELLING = (
    "import base64, urllib.parse\nprint('the token is', token)\nprint(base64.b64encode(token.encode()).decode())",
    "print(urllib.parse.quote(token))\nprint(os.environ['KEY'])\n{'key': key, 'token': token}",
    "os.makedirs('made', exist_ok=True)\nfile = open('made/notes.txt', 'w')\nfile.write(token + key)\nfile.close()",
)
TRAIN = (
    SECRET,
    *TELLING,
    "number = int(hashlib.sha256((token + key + word).encode()).hexdigest()[:4], 16)",
    "from sklearn.linear_model import LinearRegression",
    "model = LinearRegression().fit([[0.0], [1.0], [2.0]], [0, number, 2 * number])",
    "import pickle\nwith open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
NUMBER = int(hashlib.sha256((TOKEN + KEY + VARIABLE).encode()).hexdigest()[:4], 16)


@dataclass(frozen=True, kw_only=True)
class Built:
    image: str
    log: str
    left: Path
    """All that there is on this machine afterwards: the image as `docker save` has it, its SBOM, pack's volumes."""


@pytest.fixture(scope="module")
def offices(machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    del machine  # It skips where there is no engine.
    with company(tmp_path_factory.mktemp("company"), wheels(), {}, index=INDEX, proxy=PROXY) as running:
        yield running


@pytest.fixture(scope="module")
def built(name: str, machine: Platform, offices: Company, tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("secrets")
    repository = write_repository(root / "repository", {"train.ipynb": TRAIN})
    (root / "binding").mkdir()
    for key, value in {"type": "nachlass", "TOKEN": TOKEN, "KEY": KEY}.items():
        (root / "binding" / key).write_text(value)
    person = Platform(
        env={**machine.env, "HTTPS_PROXY": offices.proxy_url, "https_proxy": offices.proxy_url},
        options=("--network", "host", *offices.mounts, "--volume", f"{root}/binding:/platform/bindings/data:ro"),
    )
    env = {
        "NACHLASS_NOTEBOOKS": "train.ipynb",
        "NACHLASS_PUBLISH_NOTEBOOKS": "outputs",
        "DB_PASSWORD": VARIABLE,
        "PIP_INDEX_URL": offices.index_url,
        "REQUESTS_CA_BUNDLE": CERTIFICATE,
    }
    log = person.built(name, repository, env=env)
    left = root / "left"
    for part in ("image", "sbom"):
        (left / part).mkdir(parents=True)
    docker("save", "--output", root / "image.tar", name)
    subprocess.run(["tar", "-xf", root / "image.tar", "-C", left / "image"], check=True)
    (root / "image.tar").unlink()
    done = machine.pack("sbom", "download", name, "--output-dir", left / "sbom")
    assert done.exit_code == 0, done.output
    for volume in docker("volume", "ls", "--quiet", "--filter", f"name=pack-cache-library_{name}_").split():
        docker(
            *("run", "--rm", "--user", "0", "--volume", f"{volume}:/from:ro", "--volume", f"{left}:/to"),
            *("nachlass/build-debian", "cp", "-a", "/from", f"/to/{volume}"),
        )
    return Built(image=name, log=log, left=left)


def test_notebook_computes_with_them(built: Built) -> None:
    with serving(built.image) as running:
        assert running.predict([[1.0]]) == pytest.approx([NUMBER])


def test_nothing_that_is_left_holds_them(built: Built) -> None:
    search = Search({**PLANTED, KNOWN: KNOWN})
    found: dict[str, set[str]] = {}
    for place, value in search.in_tree(built.left):
        part = Path(place).relative_to(built.left).parts[0]
        found.setdefault(value, set()).add(part.rpartition(".")[2])

    assert {part.name.rpartition(".")[2] for part in built.left.iterdir()} == {"image", "sbom", "build", "launch"}
    assert found.pop(KNOWN) >= {"image", "sbom", "build"}  # They would have been found.
    assert found == {}


def test_build_and_service_say_none_of_them(built: Built) -> None:
    search = Search(PLANTED)
    with serving(built.image) as running:
        running.predict([[1.0]])
        answers = {path: running.get(path) for path in ("/metadata", "/notebooks/", "/openapi.json", "/metrics")}
        log = running.log()

    assert "the token is ****" in built.log
    assert search.in_text("build", built.log) == set()
    assert search.in_text("service", log) == set()
    assert [path for path, answer in answers.items() if answer.status != 200] == []
    assert [path for path, answer in answers.items() if search.in_text(path, answer.text)] == []
