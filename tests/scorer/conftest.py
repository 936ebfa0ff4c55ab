from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.scorer import models
from tests.scorer.image import ROOT, Image, ScorerLayer, make_image, make_scorer_layer
from tests.support.service import Service, free_port, running_service

HOUSES = ROOT / "examples/houses"
NewImage = Callable[[], Image]
Serve = Callable[..., contextlib.AbstractContextManager[Service]]


@pytest.fixture(scope="session")
def scorer_layer(tmp_path_factory: pytest.TempPathFactory) -> ScorerLayer:
    return make_scorer_layer(tmp_path_factory.mktemp("layers") / "scorer")


@pytest.fixture
def image(scorer_layer: ScorerLayer, tmp_path: Path) -> Image:
    return make_image(scorer_layer, tmp_path)


@pytest.fixture(scope="session")
def new_image(scorer_layer: ScorerLayer, tmp_path_factory: pytest.TempPathFactory) -> NewImage:
    return lambda: make_image(scorer_layer, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    @contextlib.contextmanager
    def run(image: Image, *, before: Sequence[str] = (), **variables: str) -> Iterator[Service]:
        port = free_port()
        with running_service(
            [*before, sys.executable, str(image.scorer.launcher), "web"],
            cwd=Path("/"),
            env=image.env(PORT=str(port), NACHLASS_HOST="127.0.0.1", **variables),
            port=port,
            log_file=tmp_path_factory.mktemp("log") / "web.log",
        ) as service:
            yield service

    return run


@pytest.fixture(scope="session")
def spam_image(new_image: NewImage) -> Image:
    return built(new_image(), models.text_stages(), models.TEXTS)


@pytest.fixture(scope="session")
def line_image(new_image: NewImage) -> Image:
    return built(new_image(), models.line_stages(), [[1.0], [3.0]])


@pytest.fixture(scope="session")
def spam(spam_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(spam_image) as service:
        yield service


@pytest.fixture(scope="session")
def line(line_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(line_image) as service:
        yield service


@pytest.fixture(scope="session")
def flower_image(new_image: NewImage) -> Image:
    return built(new_image(), models.flower_stages(), models.FLOWERS)


@pytest.fixture(scope="session")
def house_image(new_image: NewImage) -> Image:
    return built(new_image(), models.house_stages(), models.HOUSES)


@pytest.fixture(scope="session")
def priced_image(new_image: NewImage, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Return the image of examples/houses, whose rows the documentation shows."""
    stage = tmp_path_factory.mktemp("stage") / "prices.sav"
    notebook = json.loads((HOUSES / "prices.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    environment = {**os.environ, "NACHLASS_STAGE_FILE": str(stage)}
    subprocess.run([sys.executable, "-c", "\n".join(cells)], cwd=HOUSES, env=environment, check=True)
    return built(new_image(), [stage.read_bytes()], pd.read_csv(HOUSES / "data/houses.csv").drop(columns="price"))


@pytest.fixture(scope="session")
def priced(priced_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(priced_image) as service:
        yield service


@pytest.fixture(scope="session")
def flowers(flower_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(flower_image) as service:
        yield service


@pytest.fixture(scope="session")
def houses(house_image: Image, serve: Serve) -> Iterator[Service]:
    with serve(house_image) as service:
        yield service


def built(image: Image, stages: list[Any], sample: Any) -> Image:
    """Give an image its stages, and the manifest that a build would."""
    image.write_stages(stages)
    image.finish(image.check([sample]))
    return image
