"""Images on bases without Python, which comes from buildpacks as Paketo's, Heroku's and Google's bring it.

The builders are ours, made from their own files, with stand-ins for what these pull.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import builders, debian
from tests.support.docker import RESTRICTED, image_id, serving, unpack
from tests.support.facilities import require
from tests.support.pack import Platform, bare_platform, layer_was_reused, make
from tests.support.pythons import ROOT
from tests.support.repositories import classifier_repository

ROWS = [[0.1, 0.0], [3.0, 2.9]]
ANSWER = ["low", "high"]
CUSTOM = ("--user", "4321:0")
"""A user whom nobody knows, as OpenShift has it."""
BYTECODE = "/layers/nachlass_nachlass/pycache/bytecode"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One built image: by which builder, what the log of its build said, and what the name stood for before."""

    image: str
    builder: str
    log: str
    previous: str | None = None


@dataclass(frozen=True, kw_only=True)
class Bases:
    """The machine, its two base images, and the repository that all builds are of."""

    machine: Platform
    name: str
    repository: Path

    def builder(self, provider: str, content: dict[str, Any], scratch: Path) -> str:
        """Make the builder of a file's content, and return its name."""
        image = f"{self.name}-builder-{provider}"
        file = builders.write_toml(scratch / f"{provider}.toml", content)
        made = self.machine.pack("builder", "create", image, "--config", file, "--pull-policy", "never")
        assert made.exit_code == 0, made.output
        return image

    def replaced(self, file: str) -> dict[str, Any]:
        """Return one of our builder files, with stand-ins for what it pulls."""
        group = builders.group_of(ROOT / file)
        return self.content(group, nachlass=ROOT / "dist/nachlass.cnb")

    def content(self, group: Sequence[Mapping[str, Any]], *, nachlass: Path | None = None) -> dict[str, Any]:
        """Return a builder file of one group, on the two base images."""
        images = (f"{self.name}-build", f"{self.name}-run")
        return builders.builder(group, build_image=images[0], run_image=images[1], nachlass=nachlass)

    def build(self, provider: str, builder: str, *options: str, env: dict[str, str] | None = None) -> str:
        """Build the repository, and return the log."""
        variables = {"NACHLASS_NOTEBOOKS": "train.ipynb", **(env or {})}
        dependencies = ("--volume", f"{debian.dependencies()}:/dependencies:ro")
        return self.machine.built(
            f"{self.name}-{provider}", self.repository, *dependencies, *options, builder=builder, env=variables
        )


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """Return a machine with pack, the minimal Debian and the buildpack."""
    require("apt-get")
    made = bare_platform(tmp_path_factory.mktemp("person"))
    make("base-images")
    make("buildpack")
    return made


@pytest.fixture(scope="module")
def bases(name: str, machine: Platform, tmp_path_factory: pytest.TempPathFactory) -> Bases:
    debian.build_image(f"{name}-build")
    debian.run_image(f"{name}-run")
    repository = classifier_repository(tmp_path_factory.mktemp("providers") / "repository")
    return Bases(machine=machine, name=name, repository=repository)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("builders")


@pytest.fixture(scope="module")
def paketo(bases: Bases, scratch: Path) -> Shape:
    builder = bases.builder("paketo", bases.replaced("builder.toml"), scratch)
    return Shape(image=f"{bases.name}-paketo", builder=builder, log=bases.build("paketo", builder))


@pytest.fixture(scope="module")
def rebuilt(bases: Bases, paketo: Shape, scratch: Path) -> Shape:
    """Build the same once more, by the composite: one buildpack instead of five."""
    composite = scratch / "composite.cnb"
    members = [member["id"] for member in builders.group_of(ROOT / "builders/paketo/buildpack.toml")]
    known = {**builders.stand_ins(), builders.NACHLASS: ROOT / "dist/nachlass.cnb"}
    config = {
        "buildpack": {"uri": str(ROOT / "builders/paketo")},
        "dependencies": [{"uri": str(known[each])} for each in members],
    }
    file = builders.write_toml(scratch / "package.toml", config)
    options = ("--config", file, "--format", "file", "--pull-policy", "never")
    packaged = bases.machine.pack("buildpack", "package", composite, *options)
    assert packaged.exit_code == 0, packaged.output
    before = image_id(paketo.image)
    log = bases.build("paketo", paketo.builder, "--buildpack", str(composite), "--trust-extra-buildpacks")
    return Shape(image=paketo.image, builder=paketo.builder, log=log, previous=before)


@pytest.fixture(scope="module")
def heroku(bases: Bases, scratch: Path) -> Shape:
    builder = bases.builder("heroku", bases.replaced("builders/heroku/builder.toml"), scratch)
    return Shape(image=f"{bases.name}-heroku", builder=builder, log=bases.build("heroku", builder))


@pytest.fixture(scope="module")
def google(bases: Bases, scratch: Path) -> Shape:
    """Build on somebody else's builder, as docs/platforms.md has it."""
    ids = ["google.python.runtime", "google.python.pip"]
    builder = bases.builder("google", bases.content([{"id": each} for each in ids]), scratch)
    buildpacks = [*ids, str(ROOT / "dist/nachlass.cnb")]
    options = [word for each in buildpacks for word in ("--buildpack", each)]
    log = bases.build("google", builder, *options, "--trust-extra-buildpacks", env={"GOOGLE_RUNTIME": "python"})
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


def test_paketos_service_finds_bytecode_of_all_that_it_imports(paketo: Shape, tmp_path: Path) -> None:
    assert re.search(r"Shipping bytecode, .*: \d+ modules that the service imports \([\d.]+ MiB\)", paketo.log)
    shipped = unpack(paketo.image, tmp_path / "shipped", BYTECODE)
    # Where there is none, Python leaves what it had to compile.
    compiled = tmp_path / "compiled"
    compiled.mkdir()
    compiled.chmod(0o777)
    with serving(paketo.image, options=(*CUSTOM, "--volume", f"{compiled}:{BYTECODE}")) as running:
        assert running.predict(ROWS) == ANSWER

    found = modules_below(compiled)
    assert len(found) > 500, "numpy, scipy and scikit-learn are among them"
    assert found - modules_below(shipped) == set()


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


def test_nachlass_before_herokus_python_is_told_the_right_order(bases: Bases, heroku: Shape) -> None:
    wrong = ("--buildpack", builders.NACHLASS, "--buildpack", "heroku/python")
    done = bases.machine.build(
        f"{bases.name}-wrong",
        bases.repository,
        *wrong,
        builder=heroku.builder,
        env={"NACHLASS_NOTEBOOKS": "train.ipynb"},
    )

    assert done.exit_code != 0
    assert "[Error: There is no Python to run your notebooks with]" in done.output
    assert "-b heroku/python -b nachlass" in done.output
