"""requirements.txt means to nachlass what it means to pip, now and in the next build."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.phases.conftest import Workshop
from tests.phases.providers import bare, heroku
from tests.support.distributions import project_files, write_wheel
from tests.support.facilities import require
from tests.support.phases import BUILD_TIMEOUT_S, Phases
from tests.support.pythons import ROOT, this_python
from tests.support.repositories import LOGISTIC_REGRESSION, classifier_repository, write_repository
from tests.support.trees import link_tree

NO_MODEL = "Reference: sklearn-missing"
"""How a build ends that has installed requirements without scikit-learn."""


@pytest.fixture(scope="module")
def setuptools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a wheel of setuptools, which builds the projects of these tests."""
    directory = tmp_path_factory.mktemp("setuptools")
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--only-binary",
        ":all:",
        "--dest",
        directory,
    ]
    subprocess.run([*command, "setuptools"], check=True)
    return directory


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A platform that keeps the layers where they are between builds, as a local one does."""

    phases: Phases
    offline: Mapping[str, str]
    wheels: Path

    def build(
        self, requirements: str | bytes, files: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Build a repository of requirements and other files; return the log of a build that ends in NO_MODEL.

        Wheels that a test wrote to `vendored` become a directory of the repository.
        """
        log = self.fail(requirements, files, env)
        assert log.splitlines()[-1] == NO_MODEL, log
        return log

    def fail(
        self, requirements: str | bytes, files: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Build as `build` does; return the log of a build that fails, whatever for."""
        phases = self.phases
        shutil.rmtree(phases.repository)
        write_repository(phases.repository, {"x.ipynb": LOGISTIC_REGRESSION}, files=files)
        if (phases.root / "vendored").exists():
            shutil.move(phases.root / "vendored", phases.repository)
        (phases.repository / "requirements.txt").write_bytes(
            requirements if isinstance(requirements, bytes) else requirements.encode()
        )
        shutil.rmtree(phases.app, ignore_errors=True)
        shutil.copytree(phases.repository, phases.app, symlinks=True)
        before = self.app_files()
        directories = {"CNB_PLATFORM_DIR": str(phases.platform), "CNB_LAYERS_DIR": str(phases.layers)}
        phases.layers.mkdir(exist_ok=True)
        done = subprocess.run(
            [phases.buildpack / "bin/build"],
            cwd=phases.app,
            env={**phases.build_env(), **self.offline, **directories, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=BUILD_TIMEOUT_S,
        )
        assert done.returncode == 1, done.stdout
        assert self.app_files() == before, "the application directory ships as it came"
        assert not (phases.layers / "stages").exists()
        return done.stdout

    def app_files(self) -> list[str]:
        return sorted(str(path.relative_to(self.phases.app)) for path in self.phases.app.rglob("*"))

    def installed(self) -> dict[str, str]:
        """Return name and version of what is in the layer."""
        program = "from importlib.metadata import distributions as d; [print(x.name, x.version) for x in d()]"
        return dict(line.split() for line in self.python(program).splitlines())

    def python(self, program: str) -> str:
        """Run a program with the layer's interpreter, as the service would."""
        python = self.phases.layers / "packages" / "bin" / "python"
        done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True, cwd="/")
        return done.stdout.strip()


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, workshop: Workshop, offline: dict[str, str], setuptools: Path
) -> Shop:
    root = tmp_path_factory.mktemp("shop")
    phases = Phases(root / "platform", classifier_repository(root / "r"), provider=bare(this_python()))
    # The tools were made for the same Python.
    phases.layers.mkdir(parents=True)
    link_tree(workshop.phases.kept_layer("tools"), phases.layers / "tools")
    wheels = root / "wheels"
    for version in ("1.0", "1.5", "2.0"):
        write_wheel(wheels, "alpha", version, extras={"more": "beta"})
    for name in ("beta", "gamma", "delta", "epsilon"):
        write_wheel(wheels, name, "1.0")
    return Shop(
        phases=phases,
        offline={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{offline['PIP_FIND_LINKS']} {wheels} {setuptools}"},
        wheels=wheels,
    )


# --- What the file may say ------------------------------------------------------------------------------------------


def test_packages_have_bytecode_beside_all_that_a_model_can_need(workshop: Workshop) -> None:
    (packages,) = workshop.phases.kept_layer("packages").glob("lib/python*/site-packages")
    sources = {path.relative_to(packages) for path in packages.rglob("*.py")}
    compiled = {path.relative_to(packages) for path in packages.rglob("*.pyc")}
    without = sources - {path.parent.parent / f"{path.name.partition('.')[0]}.py" for path in compiled}
    tests = {source for source in sources if "tests" in source.parts[:-1]}
    assert len(tests) > 500, "numpy, scipy and scikit-learn bring theirs"
    assert without == tests


def test_files_options_extras_markers_comments_and_continuations(shop: Shop) -> None:
    requirements = """\ufeff# the model's
--find-links vendored
-r more/nested.txt
-c constraints.txt
alpha[more]>=1 ; python_version >= "3"   # with an extra
gamma; python_version < "3"
delta \\
    >=1
"""
    files = {
        "more/nested.txt": "-r deeper/all.txt\nzeta\n",
        "more/deeper/all.txt": "epsilon == 1.*\n",
        "constraints.txt": "alpha<2\ngamma==1.0\n",
    }
    write_wheel(shop.phases.root / "vendored", "zeta", "3.0")
    shop.build(requirements.replace("\n", "\r\n").encode(), files)

    expected = {"alpha": "1.5", "beta": "1.0", "delta": "1.0", "epsilon": "1.0", "zeta": "3.0"}
    assert shop.installed() == expected


def test_settings_may_be_relative_to_the_repository(shop: Shop) -> None:
    write_wheel(shop.phases.root / "vendored", "theta", "1.0")
    shop.build("theta\n", env={"PIP_FIND_LINKS": "vendored"})
    assert shop.installed() == {"theta": "1.0"}


def test_what_a_vendored_directory_lacks_is_not_the_networks_fault(shop: Shop) -> None:
    write_wheel(shop.phases.root / "vendored", "theta", "1.0")
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_INDEX": "0", "PIP_RETRIES": "0"}
    log = shop.fail("--no-index\n--find-links vendored\ntheta\niota\n", env=nowhere)
    assert "No matching distribution found for iota" in log
    assert log.splitlines()[-1] == "Reference: requirements-failed"


def test_file_that_powershell_wrote(shop: Shop) -> None:
    shop.build("alpha==1.0\r\n-r more.txt\r\n".encode("utf-16"), {"more.txt": "beta\n"})
    assert shop.installed() == {"alpha": "1.0", "beta": "1.0"}

    log = shop.build("alpha==1.0\r\n-r more.txt\r\n".encode("utf-16"), {"more.txt": "delta\n"})
    assert "Discarding cached packages" in log
    assert shop.installed() == {"alpha": "1.0", "delta": "1.0"}


def test_hashes_are_checked(shop: Shop) -> None:
    digest = write_wheel(shop.wheels, "hashed", "1.0")
    shop.build(f"--require-hashes\nhashed==1.0 \\\n    --hash={digest}\n")
    assert shop.installed() == {"hashed": "1.0"}

    log = shop.fail(f"--require-hashes\nhashed==1.0 --hash=sha256:{'0' * 64}\n")
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in log
    assert log.splitlines()[-1] == "Reference: requirements-failed"
    assert not (shop.phases.layers / "packages").exists()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Serve two package indexes, `a` and `b`; their address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    write_wheel(tmp_path / "a" / "iota", "iota", "1.0")
    write_wheel(tmp_path / "b" / "kappa", "kappa", "1.0")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_indexes_that_the_file_names(shop: Shop, index: str) -> None:
    lines = f"-i {index}/a\n--extra-index-url={index}/b\niota\nkappa\n"
    shop.build(lines, env={"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": ""})
    assert shop.installed() == {"iota": "1.0", "kappa": "1.0"}


# --- Projects -------------------------------------------------------------------------------------------------------

NAMED_FILE = "from pathlib import Path\nplace = Path(__file__)\n"


def below(directory: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{directory}/{path}": text for path, text in files.items()}


def test_local_project_is_built_and_built_again_when_it_changes(shop: Shop) -> None:
    shop.build("./pkg\n", below("pkg", project_files("lambda1", "VALUE = 1\n")))
    assert shop.python("import lambda1; print(lambda1.VALUE)") == "1"

    log = shop.build("./pkg\n", below("pkg", project_files("lambda1", "VALUE = 2\n")))
    assert "Discarding cached packages" in log
    assert shop.python("import lambda1; print(lambda1.VALUE)") == "2"


@pytest.mark.parametrize(("line", "directory"), [("-e ./pkg", "pkg"), ("-e .", "."), ("--editable=pkg", "pkg")])
def test_editable_project_is_imported_from_the_working_tree(shop: Shop, line: str, directory: str) -> None:
    shop.build(f"{line}\nalpha\n", below(directory, project_files("mu", NAMED_FILE)))

    assert shop.installed() == {"mu": "1", "alpha": "2.0"}
    tree = shop.phases.layers / "stages" / "tree"
    tree.parent.mkdir()
    tree.symlink_to(shop.phases.app)  # As the stages layer has it at launch.
    try:
        place = shop.python("import mu; print(mu.place)")
    finally:
        shutil.rmtree(tree.parent)
    assert place == str(tree / directory / "src/mu/__init__.py")


def test_edited_notebook_or_module_does_not_install_an_editable_project_again(shop: Shop) -> None:
    files = {**project_files("nu", ""), "src/nu/train.py": "A = 1\n", "y.ipynb": "{}"}
    shop.build("-e .\n", files)
    log = shop.build("-e .\n", {**files, "src/nu/train.py": "A = 2\n", "y.ipynb": '{"cells": []}'})
    assert "Using cached packages" in log
    log = shop.build("-e .\n", {**files, "src/nu/predict.py": ""})
    assert "Discarding cached packages" in log, "a new module may be a new name to import"


@pytest.mark.parametrize("editable", ["", "-e "])
def test_project_in_a_git_repository(shop: Shop, tmp_path: Path, editable: str) -> None:
    require("git")
    for path, text in project_files("xi", NAMED_FILE).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)

    shop.build(f"{editable}git+file://{tmp_path}#egg=xi\n")
    assert shop.python("import xi; print(xi.place)").startswith(str(shop.phases.layers / "packages") + "/")


# --- The next build -------------------------------------------------------------------------------------------------


def test_packages_are_kept_until_a_file_that_pip_reads_changes(shop: Shop) -> None:
    shop.build("-r nested.txt\nbeta\n", {"nested.txt": "alpha\n"})
    assert "Using cached packages" in shop.build("-r nested.txt\nbeta\n", {"nested.txt": "alpha\n", "other.txt": "x"})

    log = shop.build("-r nested.txt\nbeta\n", {"nested.txt": "delta\n"})
    assert "Discarding cached packages since:\n - requirements.txt or a file that it names has changed\n" in log
    assert shop.installed() == {"beta": "1.0", "delta": "1.0"}, "nothing of the removed requirement is left"


def test_unpinned_packages_tell_their_age_and_are_resolved_anew_on_demand(shop: Shop) -> None:
    shop.build("omicron\n", env={"PIP_FIND_LINKS": str(released(shop, "omicron", "1.0"))})
    installed_at = shop.phases.layers / "tools" / "packages-installed"
    before = datetime.now(timezone.utc) - timedelta(days=30)
    installed_at.unlink()  # Others may have links to it, and would write their own time into it.
    installed_at.write_text(before.isoformat(timespec="seconds"))
    newer = {"PIP_FIND_LINKS": str(released(shop, "omicron", "2.0"))}

    log = shop.build("omicron\n", env=newer)
    assert f"Using cached packages (resolved {before:%Y-%m-%d}, 30 days ago; NACHLASS_UPGRADE=1 resolves" in log, log
    assert shop.installed() == {"omicron": "1.0"}

    kept = shop.phases.root / "kept"
    os.link(installed_at, kept)
    log = shop.build("omicron\n", env={**newer, "NACHLASS_UPGRADE": "1"})
    assert "Discarding cached packages since:\n - NACHLASS_UPGRADE asks for the newest versions" in log
    assert shop.installed() == {"omicron": "2.0"}
    assert kept.read_text() == before.isoformat(timespec="seconds"), "what a platform keeps by links stays as it is"


def released(shop: Shop, name: str, version: str) -> Path:
    directory = shop.phases.root / "releases"
    write_wheel(directory, name, version)
    return directory


@pytest.mark.parametrize(
    ("requirements", "files"),
    [
        ("alpha==1.0\n", {}),
        ("alpha\n-c c.txt\n", {"c.txt": "alpha==1.0\n"}),
        ('alpha==1.0 ; python_version > "3"\n', {}),
    ],
)
def test_pinned_packages_have_no_age(shop: Shop, requirements: str, files: Mapping[str, str]) -> None:
    shop.build(requirements, files)
    assert "Using cached packages\n" in shop.build(requirements, files)


# --- With a model ---------------------------------------------------------------------------------------------------

SHIFT = """
from pathlib import Path

from sklearn.base import BaseEstimator, TransformerMixin


class Shift(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X + float(Path(__file__).with_name("shift.txt").read_text())
"""
"""A module that reads, when the model predicts, what a notebook wrote beside it."""


def editable_repository(root: Path, *cells: str, **projects: Mapping[str, str]) -> Path:
    """Write a repository with editable projects of a module SHIFT each, which one notebook uses."""
    notebook = [
        *LOGISTIC_REGRESSION[:2],
        f"import {', '.join(projects)}\nfrom pathlib import Path\nfrom sklearn.pipeline import make_pipeline",
        *(f"place = Path({name}.__file__)\nassert place.is_relative_to(Path.cwd()), place" for name in projects),
        *(f"Path({name}.__file__).with_name('shift.txt').write_text('0.5')" for name in projects),
        f"steps = [{', '.join(f'{name}.Shift()' for name in projects)}]",
        "model = make_pipeline(*steps, LogisticRegression()).fit(X, y)",
        *cells,
        LOGISTIC_REGRESSION[3],
    ]
    requirements = ["numpy", "scikit-learn", *(f"-e ./libs/{name}" for name in projects)]
    files = {path: text for name, project in projects.items() for path, text in below(f"libs/{name}", project).items()}
    return write_repository(root, {"x.ipynb": notebook}, requirements=requirements, files=files)


def flat(project: Mapping[str, str]) -> dict[str, str]:
    """Put the package into the project's root: setuptools finds it by a table instead of a path."""
    return {path.removeprefix("src/"): text for path, text in project.items()}


@pytest.fixture(scope="module")
def provided(
    tmp_path_factory: pytest.TempPathFactory, workshop: Workshop, setuptools: Path, offline: dict[str, str]
) -> Phases:
    """Return a platform whose provider installed two editable projects and no cloudpickle."""
    root = tmp_path_factory.mktemp("provided")
    repository = editable_repository(
        root / "r",
        "import cloudpickle\nassert Path(cloudpickle.__file__).parts[-3] == 'extra', cloudpickle.__file__",
        "from sklearn.preprocessing import FunctionTransformer\nadd = lambda X: X + 0.0",
        "model = make_pipeline(FunctionTransformer(add), model)\npickle = cloudpickle",
        sigma=project_files("sigma", SHIFT),
        tau=flat(project_files("tau", SHIFT)),
    )
    python = this_python()
    shape = heroku(python)

    def install(layers: Path) -> None:
        shape.install(layers)
        venv = layers / "heroku_python/venv"
        for part in (venv / "lib" / python.name / "site-packages").glob("cloudpickle*"):
            shutil.rmtree(part)
        app = layers.parent / "app"
        shutil.copytree(repository, app)
        pip: list[str | Path] = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            venv / "bin/python",
            "install",
            "--quiet",
            "--no-deps",
        ]
        links: list[str | Path] = ["--no-index", "--find-links", setuptools]
        env = {**os.environ, "LD_LIBRARY_PATH": str(layers / "heroku_python/python/lib")}
        subprocess.run([*pip, *links, *("-e", app / "libs/sigma"), *("-e", app / "libs/tau")], check=True, env=env)

    phases = Phases(root / "platform", repository, provider=replace(shape, install=install), env=offline)
    for name in ("tools", "kernel", "scorer"):  # They were made for the same Python.
        link_tree(workshop.phases.kept_layer(name), phases.store.kept / name)
        phases.store.layers[name] = workshop.phases.store.layers[name]
    return phases


def test_provided_editable_projects_are_imported_from_the_working_tree(provided: Phases) -> None:
    built = provided.build()

    assert built.exit_code == 0, built.output
    assert "Installing" not in built.output
    assert "Shipping libs/sigma/src/sigma/shift.txt" in built.output
    assert "Shipping libs/tau/tau/shift.txt" in built.output
    with provided.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]


def test_cloudpickle_of_ours_serves_where_the_requirements_have_none(provided: Phases) -> None:
    built = provided.build()

    assert built.exit_code == 0, "the notebook asserts whose cloudpickle it gets\n" + built.output
    manifest = json.loads((provided.layers / "stages" / "manifest.json").read_text())
    assert manifest["launch"]["fallback_paths"] == [str(provided.layers / "scorer" / "extra")]
    locked = (ROOT / "locks" / "cloudpickle.txt").read_text()
    assert f"cloudpickle=={manifest['versions']['cloudpickle']} " in locked


def test_requirement_that_a_provider_did_not_install_is_named(provided: Phases) -> None:
    with (provided.repository / "requirements.txt").open("a") as file:
        file.write("alpha[more]>=2 ; python_version >= '3'  # a comment\n")
    built = provided.build()

    assert built.exit_code == 1
    assert "Your requirement 'alpha[more]>=2; python_version >= \"3\"' isn't installed" in built.output
    assert built.output.splitlines()[-1] == "Reference: requirement-unmet"


def test_editable_project_of_our_own_installing_serves(
    workshop: Workshop, tmp_path: Path, setuptools: Path, offline: dict[str, str]
) -> None:
    repository = editable_repository(tmp_path / "r", upsilon=project_files("upsilon", SHIFT))
    links = {"PIP_FIND_LINKS": f"{offline['PIP_FIND_LINKS']} {setuptools}"}
    built = workshop.build(repository, links)

    assert built.exit_code == 0, built.output
    assert "Shipping libs/upsilon/src/upsilon/shift.txt" in built.output
    with workshop.phases.serve() as service:
        assert service.predict([[0.1, 0.0], [3.0, 2.8]]) == ["low", "high"]
