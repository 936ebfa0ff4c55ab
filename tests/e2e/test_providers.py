"""Images on bases without Python, which comes from buildpacks as Paketo's, Heroku's and Google's bring it.

The builders are ours, made from their own files, with stand-ins for what these pull.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import builders
from tests.support.builders import Bases
from tests.support.docker import RESTRICTED, docker, image_id, serving, unpack
from tests.support.facilities import require
from tests.support.pack import Platform, bare_platform, layer_was_reused
from tests.support.pythons import ROOT
from tests.support.repositories import classifier_repository

ROWS = [[0.1, 0.0], [3.0, 2.9]]
ANSWER = ["low", "high"]
SETTINGS = {"NACHLASS_NOTEBOOKS": "train.ipynb"}
MOST_RUN_IMAGE_BYTES = 30_000_000
GOOGLE = ["google.python.runtime", "google.python.pip"]
CUSTOM = ("--user", "4321:0")
"""A user whom nobody knows, as OpenShift has it."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One built image: by which builder, what the log of its build said, and what the name stood for before."""

    image: str
    builder: str
    log: str
    previous: str | None = None


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Return a machine with pack, the minimal Debian and the buildpack."""
    require("apt-get")
    return bare_platform(tmp_path_factory.mktemp("person"))


@pytest.fixture(scope="module")
def bases(name: str, machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    repository = classifier_repository(tmp_path_factory.mktemp("providers") / "repository")
    return Bases.make(machine, name, repository)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builders")


@pytest.fixture(scope="module")
def paketo(bases: Bases, scratch: Path) -> Shape:
    builder = bases.builder("paketo", bases.replaced("builder.toml"), scratch)
    return Shape(image=f"{bases.name}-paketo", builder=builder, log=bases.build("paketo", builder, env=SETTINGS))


@pytest.fixture(scope="module")
def rebuilt(bases: Bases, paketo: Shape, scratch: Path) -> Shape:
    """Build the same once more, by the composite: one buildpack instead of five."""
    composite = scratch / "composite.cnb"
    members = [member["id"] for member in builders.group_of(ROOT / "builders/paketo/buildpack.toml")]
    known = {**builders.stand_ins(), builders.NACHLASS: builders.PACKAGE}
    config = {
        "buildpack": {"uri": str(ROOT / "builders/paketo")},
        "dependencies": [{"uri": str(known[each])} for each in members],
    }
    file = builders.write_toml(scratch / "package.toml", config)
    options = ("--config", file, "--format", "file", "--pull-policy", "never")
    packaged = bases.machine.pack("buildpack", "package", composite, *options)
    assert packaged.exit_code == 0, packaged.output
    before = image_id(paketo.image)
    log = bases.build("paketo", paketo.builder, "--buildpack", str(composite), "--trust-extra-buildpacks", env=SETTINGS)
    return Shape(image=paketo.image, builder=paketo.builder, log=log, previous=before)


@pytest.fixture(scope="module")
def heroku(bases: Bases, scratch: Path) -> Shape:
    builder = bases.builder("heroku", bases.replaced("builders/heroku/builder.toml"), scratch)
    return Shape(image=f"{bases.name}-heroku", builder=builder, log=bases.build("heroku", builder, env=SETTINGS))


@pytest.fixture(scope="module")
def google(bases: Bases, scratch: Path) -> Shape:
    """Build on somebody else's builder, as docs/platforms.md has it."""
    builder = bases.builder("google", bases.content([{"id": each} for each in GOOGLE]), scratch)
    buildpacks = [*GOOGLE, str(builders.PACKAGE)]
    options = [word for each in buildpacks for word in ("--buildpack", each)]
    log = bases.build(
        "google", builder, *options, "--trust-extra-buildpacks", env={**SETTINGS, "GOOGLE_RUNTIME": "python"}
    )
    return Shape(image=f"{bases.name}-google", builder=builder, log=log)


@pytest.fixture
def shape(request: pytest.FixtureRequest) -> Shape:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Shape)
    return found


SHAPES = pytest.mark.parametrize("shape", ["paketo", "heroku", "google"], indirect=True)


@SHAPES
def test_it_takes_the_providers_packages_and_predicts_for_a_user_whom_nobody_knows(shape: Shape) -> None:
    assert "Using the packages that an earlier buildpack installed for Python 3.11" in shape.log
    with serving(shape.image, options=(*RESTRICTED, *CUSTOM)) as running:
        assert running.predict(ROWS) == ANSWER


def test_base_images_have_no_python_and_the_run_image_no_tools(bases: Bases) -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", f"{bases.name}-run"))
    assert size < MOST_RUN_IMAGE_BYTES
    for image, programs in (("run", "python3 python ls cat grep find"), ("build", "python3 python")):
        shell = ("run", "--rm", "--entrypoint", "/bin/sh", f"{bases.name}-{image}", "-c")
        (found,) = docker(*shell, f"command -v sh {programs}", check=False).split()
        assert found.endswith("/sh")


def test_paketos_service_finds_bytecode_of_all_that_it_imports_and_of_nothing_else(
    paketo: Shape, tmp_path: Path
) -> None:
    assert re.search(r"Shipping bytecode, .*: \d+ modules that the service imports \([\d.]+ MiB\)", paketo.log)
    shipped = unpack(paketo.image, tmp_path / "shipped", builders.BYTECODE)
    # Where there is none, Python leaves what it had to compile.
    compiled = tmp_path / "compiled"
    compiled.mkdir()
    compiled.chmod(0o777)
    with serving(paketo.image, options=(*CUSTOM, "--volume", f"{compiled}:{builders.BYTECODE}")) as running:
        assert running.predict(ROWS) == ANSWER

    found = modules_below(compiled)
    assert len(found) > 500, "numpy, scipy and scikit-learn are among them"
    more = modules_below(shipped) - found
    assert found - modules_below(shipped) == set()
    assert [module for module in more if "site-packages" in module or "/tests/" in module] == []
    assert len(more) < len(found) / 10, "what the proof imports besides, and `score`"


def modules_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*.pyc")}


def test_paketos_rebuild_runs_nothing_and_gives_the_same_image(rebuilt: Shape) -> None:
    assert re.findall(r"Running \d+ code cells", rebuilt.log) == []
    for layer in ("pycache", "scorer", "stages"):
        assert layer_was_reused(rebuilt.log, layer), layer
    assert image_id(rebuilt.image) == rebuilt.previous


@pytest.mark.parametrize("shape", ["heroku", "google"], indirect=True)
def test_where_the_provider_ships_bytecode_there_is_no_layer_of_it(shape: Shape) -> None:
    assert "bytecode" not in shape.log
    assert "nachlass/nachlass:pycache" not in shape.log


@pytest.mark.parametrize(
    ("shape", "others"),
    [("heroku", ["heroku/python"]), ("google", GOOGLE)],
    indirect=["shape"],
    ids=["heroku", "google"],
)
def test_nachlass_before_the_providers_python_is_told_the_right_order(
    bases: Bases, shape: Shape, others: list[str]
) -> None:
    nachlass = builders.NACHLASS if shape.image.endswith("heroku") else str(builders.PACKAGE)
    wrong = [word for each in (nachlass, *others) for word in ("--buildpack", each)]
    done = bases.machine.build(
        f"{bases.name}-wrong",
        bases.repository,
        *wrong,
        "--trust-extra-buildpacks",
        builder=shape.builder,
        env={"NACHLASS_NOTEBOOKS": "train.ipynb", "GOOGLE_RUNTIME": "python"},
    )

    assert done.exit_code != 0
    assert "[Error: There is no Python to run your notebooks with]" in done.output
    assert "-b heroku/python -b dist/nachlass.cnb" in done.output
