"""The odd places, users and networks that platforms build in, several at a time: each build is one platform.

A build without network, home and known user is in test_buildpackage.py, which has a buildpack for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.docker import RESTRICTED, docker, image_id, serving, unpack
from tests.support.leaks import Search
from tests.support.pack import Platform, wheels
from tests.support.package_index import CERTIFICATE, DATA_HOST, Company, Login, company
from tests.support.platform_phases import Built, Cluster, Registry, registry_with_run_image
from tests.support.repositories import write_repository

INDEX = Login(name="build", password="kingfisher/4711@blue")
PROXY = Login(name="company", password="cormorant-2600")
DATA = {"/train.csv": "0.0,0.1,low\n0.2,0.0,low\n", "/more.csv": "2.9,3.0,high\n3.0,3.1,high\n"}
TRAIN = (
    "import os, pickle, urllib.request\nfrom sklearn.linear_model import LogisticRegression",
    (
        f"addresses = ['https://{DATA_HOST}/train.csv', 'http://{DATA_HOST}/more.csv']\n"
        "text = ''.join(urllib.request.urlopen(address).read().decode() for address in addresses)"
    ),
    "rows = [line.split(',') for line in text.splitlines()]",
    "model = LogisticRegression().fit([[float(each) for each in row[:2]] for row in rows], [row[2] for row in rows])",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
OTHER = (*TRAIN[:3], TRAIN[3].replace("()", "(C=2)", 1), TRAIN[4])
ROWS = [[0, 0], [3, 3]]
LABELS = ["low", "high"]


@pytest.fixture(scope="module")
def registry(name: str, machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    del name, machine
    with registry_with_run_image(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture(scope="module")
def offices(machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    del machine  # It skips where there is no engine.
    with company(tmp_path_factory.mktemp("company"), wheels(), DATA, index=INDEX, proxy=PROXY) as running:
        yield running


@pytest.fixture(scope="module")
def cluster(name: str, registry: Registry, offices: Company, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Return Tekton's user and application, Shipwright's layers, a read-only home, and a network behind a proxy."""
    return Cluster(
        root=tmp_path_factory.mktemp("elsewhere"),
        registry=registry,
        image=f"{name}-elsewhere",
        user="1000:1000",
        app="/workspace/source/models/spam",
        layers="/tmp/.shp/layers",
        home="read-only",
        umask="077",
        variables={
            **dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"), offices.proxy_url),
            "NO_PROXY": "localhost",
        },
        options=("--network", "host", *offices.mounts),
    )


@pytest.fixture(scope="module")
def settings(offices: Company) -> dict[str, str]:
    return {
        "NACHLASS_NOTEBOOKS": "train.ipynb",
        "PIP_INDEX_URL": offices.index_url,
        "PIP_CERT": CERTIFICATE,
        "SSL_CERT_FILE": CERTIFICATE,
    }


@pytest.fixture(scope="module")
def elsewhere(cluster: Cluster, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Built:
    repository = write_repository(tmp_path_factory.mktemp("source"), {"train.ipynb": TRAIN})
    return cluster.build(repository, env=settings)


OUTSIDE_TMP = (*RESTRICTED[:-1], "/scratch:mode=1777")
"""Shipwright's images have their layers in /tmp: whoever mounts something there hides them."""


@pytest.fixture(scope="module")
def image(elsewhere: Built) -> Iterator[str]:
    """Yield what was pushed, on this machine."""
    docker("pull", elsewhere.image)
    yield elsewhere.image
    docker("rmi", "--force", elsewhere.image, check=False)


def predicts(image: str, *options: str, env: Mapping[str, str] | None = None) -> bool:
    with serving(image, options=options, env=env) as running:
        return bool(running.predict(ROWS) == LABELS)


def test_build_elsewhere_installs_and_trains_through_the_proxy(elsewhere: Built, offices: Company) -> None:
    assert "Running 5 code cells" in elsewhere.log
    assert any("/files/scikit_learn" in address for address in offices.seen)
    assert any("/files/gunicorn" in address for address in offices.seen)
    assert f"{DATA_HOST}/train.csv" in offices.seen
    assert f"http://{DATA_HOST}/more.csv" in offices.seen


def test_image_of_phases_that_share_nothing_serves_their_user(image: str) -> None:
    # The lifecycle's own files are narrow then, and no buildpack can change them.
    assert predicts(image, *OUTSIDE_TMP, "--user", "1000:1000", env={"TMPDIR": "/scratch"})


def test_passwords_of_index_and_proxy_are_shown_nowhere(
    elsewhere: Built, image: str, cluster: Cluster, tmp_path: Path
) -> None:
    search = Search({"index": INDEX.password, "proxy": PROXY.password, "known": "LogisticRegression"})
    unpack(image, tmp_path / "image", "/")

    for text in (elsewhere.log, docker("image", "inspect", image)):
        assert {value for _, value in search.in_text("text", text)} == {"known"}
    for directory in (tmp_path / "image/tmp", tmp_path / "image/workspace", cluster.cache):
        assert {value for _, value in search.in_tree(directory)} == {"known"}


def test_private_source_and_another_user_without_a_home_give_an_image_for_everybody(
    image: str, cluster: Cluster, settings: dict[str, str], tmp_path: Path
) -> None:
    repository = write_repository(tmp_path / "repository", {"train.ipynb": OTHER})
    for path in (repository, *repository.iterdir()):
        path.chmod(path.stat().st_mode & 0o700)
    other = replace(cluster, user="1002:1000", home="absent", umask="022")

    built = other.build(repository, env=settings)

    assert "Using cached packages" in built.log
    assert "Running 5 code cells" in built.log
    before = image_id(image)
    docker("pull", image)
    docker("rmi", "--force", str(before))
    assert predicts(image, *OUTSIDE_TMP, "--user", "54321:54321", env={"TMPDIR": "/scratch"})
