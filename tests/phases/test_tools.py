"""bin/build gets its own tools whatever a provider has set, left out or damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from nachlass_bp import pip
from nachlass_bp.errors import PipMissingError
from tests.phases.conftest import Workshop
from tests.support.environment import IMAGE_PATH
from tests.support.layers import unreadable_files
from tests.support.phases import Built, Phases, Provider
from tests.support.pythons import ROOT, copy_interpreter, pip_distribution, this_python
from tests.support.repositories import LOGISTIC_REGRESSION, classifier_repository, write_repository
from tests.support.trees import remove_tree

GOLDEN = ROOT / "tests" / "golden" / "errors"
NO_SUCH_NOTEBOOK = {"NACHLASS_NOTEBOOKS": "missing.ipynb"}
"""The error that a build with working tools ends in at once."""
RAISES = "raise SystemError('as planned')"


def without(prefix: Path, *modules: str) -> Path:
    """Make a relocated copy of this Python that lacks `modules`; return its executable."""
    python = this_python()
    copy_interpreter(python, prefix)
    for module in modules:
        shutil.rmtree(prefix / "lib" / python.name / module)
    return prefix / "bin" / "python3"


def phases_with(
    root: Path, python: Path, env: Mapping[str, str], repository: Path | None = None, path: str = IMAGE_PATH
) -> Phases:
    provider = Provider(path=f"{python.parent}:{path}", env={"NACHLASS_SYSTEM_PYTHON": "true"})
    return Phases(root / "platform", repository or classifier_repository(root / "r"), provider=provider, env=env)


def assert_tools_work(built: Built) -> None:
    assert built.output.splitlines()[-1] == "Reference: notebook-missing", built.output


# --- What a provider or a user has set ------------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """Return settings that each break a pip or a Python that obeys them."""
    modules = tmp_path / "hostile"
    modules.mkdir()
    for name in ("toml", "json", "nbformat", "sitecustomize", "typing_extensions"):
        (modules / f"{name}.py").write_text(f"raise SystemError('{name} of the provider')\n")
    (tmp_path / "constraints.txt").write_text("toml==0.9\n")
    return {
        "PIP_PYTHON": "/nonexistent/python",
        "PIP_CONSTRAINT": str(tmp_path / "constraints.txt"),
        "PIP_NO_BINARY": ":all:",
        "PIP_USER": "1",
        "PIP_TARGET": str(tmp_path / "elsewhere"),
        "PIP_PREFIX": str(tmp_path / "elsewhere"),
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_QUIET": "3",
        "PYTHONPATH": str(modules),
        "PYTHONHOME": "/nonexistent",
        "VIRTUAL_ENV": "/nonexistent",
    }


@pytest.fixture
def hostile_pip_conf(tmp_path: Path, offline: Mapping[str, str]) -> Path:
    """Return a pip.conf with an index and with settings that would send pip elsewhere."""
    file = tmp_path / "pip.conf"
    file.write_text(
        f"[global]\nno-index = true\nuser = true\ntarget = {tmp_path / 'elsewhere'}\npython = /nonexistent/python\n"
        f"require-virtualenv = true\nquiet = 2\n[install]\nfind-links =\n  {tmp_path}\n  {offline['PIP_FIND_LINKS']}\n"
    )
    return file


def test_tools_are_installed_and_start_whatever_a_provider_has_set(
    tmp_path: Path, hostile: Mapping[str, str], hostile_pip_conf: Path
) -> None:
    env = {**NO_SUCH_NOTEBOOK, **hostile, "PIP_CONFIG_FILE": str(hostile_pip_conf)}
    phases = phases_with(tmp_path, this_python().executable, env)

    assert_tools_work(phases.build())
    assert not (tmp_path / "elsewhere").exists()


def test_settings_of_the_index_are_taken_from_pip_conf_and_from_nowhere_else(
    tmp_path: Path, hostile: Mapping[str, str], hostile_pip_conf: Path, offline: Mapping[str, str]
) -> None:
    env = {**hostile, "PATH": IMAGE_PATH, "PIP_CONFIG_FILE": str(hostile_pip_conf), "PIP_RETRIES": "7"}
    installer = pip.find(this_python().executable, env, tmp_path)
    settings = {name: value for name, value in installer.env.items() if name.startswith("PIP_")}

    expected = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "true", "PIP_RETRIES": "7"}
    assert expected.items() <= settings.items()
    assert settings["PIP_FIND_LINKS"].split() == [str(tmp_path), offline["PIP_FIND_LINKS"]]
    others = {name.removeprefix("PIP_").lower().replace("_", "-") for name in settings.keys() - expected.keys()}
    assert others <= pip.ALLOWED_SETTINGS, "this machine's own pip.conf may add some of these"


def test_pip_conf_that_pip_cannot_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("index-url = https://example.org/simple\n")
    env = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    built = phases_with(tmp_path, this_python().executable, env).build()

    assert built.exit_code == 1
    assert str(tmp_path / "pip.conf") in built.output
    assert built.output.splitlines()[-1] == "Reference: pip-settings-invalid"


def test_module_that_hides_the_standard_library_is_told_with_its_path(
    workshop: Workshop, tmp_path: Path, hostile: Mapping[str, str]
) -> None:
    built = workshop.build(classifier_repository(tmp_path / "r"), {"PYTHONPATH": hostile["PYTHONPATH"]})

    assert built.exit_code == 1
    assert f"PYTHONPATH is {hostile['PYTHONPATH']}" in built.output
    assert built.output.splitlines()[-1] == "Reference: python-failed"


# --- What a provider has left out -----------------------------------------------------------------------------------


def found_pip(python: Path, env: Mapping[str, str], wheels: Path = Path("/nonexistent")) -> str:
    """Return where nachlass finds a pip for `python` in a system without wheels; that pip ran."""
    installer = pip.find(python, {"PATH": IMAGE_PATH, **env}, wheels, system_wheels=())
    assert installer.run(["--version"], cwd=python.parent).ok
    return installer.origin


@pytest.fixture(scope="module")
def only_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python without pip and without ensurepip, as Debian has it before python3-venv is installed."""
    return without(tmp_path_factory.mktemp("python"), "ensurepip")


def test_python_without_pip_runs_the_wheel_that_came_with_it(tmp_path: Path) -> None:
    origin = found_pip(without(tmp_path / "python"), {})
    assert origin.startswith("pip-")
    assert origin.endswith(".whl of the system")


def test_python_without_ensurepip_runs_the_wheel_of_the_buildpack(only_venv: Path, tmp_path: Path) -> None:
    wheel = next((this_python().stdlib / "ensurepip" / "_bundled").glob("pip-*.whl"), None)
    if wheel is None:
        pytest.skip("needs ensurepip: this Python came without it")
    shutil.copy(wheel, tmp_path)
    assert found_pip(only_venv, {}, tmp_path) == f"the buildpack's {wheel.name}"


def test_pip_on_pythonpath_is_used_and_what_lies_beside_it_is_not(
    only_venv: Path, tmp_path: Path, hostile: Mapping[str, str]
) -> None:
    site = tmp_path / "site"
    shutil.copytree(pip_distribution() / "pip", site / "pip")
    path = os.pathsep.join([hostile["PYTHONPATH"], str(site)])
    assert found_pip(only_venv, {"PYTHONPATH": path}) == f"the pip in {site}"


def test_python_without_any_pip_names_what_was_tried_and_what_to_add(only_venv: Path) -> None:
    with pytest.raises(PipMissingError) as caught:
        found_pip(only_venv, {})
    assert "the interpreter's own pip: " in caught.value.body
    assert "a wheel of the system: none" in caught.value.body
    assert "python3-pip or python3-venv" in caught.value.advice


def test_python_without_venv_installs_the_tools_and_says_what_the_packages_need(
    tmp_path: Path, offline: Mapping[str, str]
) -> None:
    built = phases_with(tmp_path, without(tmp_path / "python", "venv"), offline).build()

    assert built.exit_code == 1
    assert "No module named venv" in built.output
    assert "install the package python3-venv" in built.output
    assert built.output.splitlines()[-1] == "Reference: venv-missing"


# --- No Python, or an old one ---------------------------------------------------------------------------------------


def run_build(path: str) -> str:
    """Start bin/build with nothing but PATH; return what it says when it fails."""
    env = {"PATH": path, "CNB_BUILDPACK_DIR": str(ROOT)}
    done = subprocess.run([ROOT / "bin/build"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    return done.stdout + done.stderr


def old_python() -> Path:
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in ("python3.9", "python3.8", "python3.7", "python3.6"):
        for candidate in (shutil.which(name), *map(str, versions.glob(f"*/bin/{name}"))):
            if (
                candidate
                and subprocess.run([candidate, "-I", "-c", ""], capture_output=True, check=False).returncode == 0
            ):
                return Path(candidate)
    return pytest.skip("needs an old Python: there is none before 3.10 on this machine")


def test_no_python_reads_as_its_golden_file() -> None:
    assert run_build("/opt/app/bin:/opt/bin") == (GOLDEN / "python-missing.txt").read_text()


def test_old_python_reads_as_its_golden_file(tmp_path: Path) -> None:
    old = old_python()
    (tmp_path / "python3").symlink_to(old)
    version = subprocess.run([old, "--version"], capture_output=True, text=True, check=True).stdout.strip()

    said = run_build(f"{tmp_path}:/opt/bin")
    assert version in said
    said = said.replace(str(tmp_path), "/opt/app/bin").replace(version, "Python 3.9.18")
    assert said == (GOLDEN / "python-too-old.txt").read_text()


def test_new_python_beside_an_old_python3_is_used(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(old_python())
    (tmp_path / "python").symlink_to(this_python().executable)
    assert "Reference: not-a-lifecycle" in run_build(str(tmp_path))


# --- Restored layers ------------------------------------------------------------------------------------------------


@contextmanager
def moved_away(workshop: Workshop, path: str, aside: Path) -> Iterator[None]:
    """Take something out of the cache until the block is left."""
    (workshop.phases.store.kept / path).rename(aside)
    try:
        yield
    finally:
        aside.rename(workshop.phases.store.kept / path)


def test_restored_layers_are_used_as_they_are(workshop: Workshop, tmp_path: Path) -> None:
    repository = classifier_repository(tmp_path / "r")
    workshop.build(repository)  # The test before this one may have had other requirements.
    built = workshop.build(repository)

    assert built.exit_code == 0, built.output
    for what in ("build tools", "packages", "notebook kernel", "scoring service"):
        assert f"Using cached {what}" in built.output
    assert "Installing" not in built.output


def test_changed_locks_are_installed_anew_and_the_log_says_why(workshop: Workshop, tmp_path: Path) -> None:
    buildpack = tmp_path / "buildpack"
    for part in ("bin", "nachlass_bp", "scorer", "locks"):
        shutil.copytree(ROOT / part, buildpack / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "buildpack.toml", buildpack)
    for lock in ("tools", "kernel"):
        with (buildpack / "locks" / f"{lock}.txt").open("a") as file:
            file.write("# another\n")
    repository = write_repository(tmp_path / "r", {"x.ipynb": [RAISES, *LOGISTIC_REGRESSION]})
    usual, workshop.phases.buildpack = workshop.phases.buildpack, buildpack
    try:
        built = workshop.build(repository)
    finally:
        workshop.phases.buildpack = usual

    for what in ("build tools", "notebook kernel"):
        assert f"Discarding cached {what} since:\n - nachlass has changed\n" in built.output
    assert "Installing build tools and notebook kernel\n" in built.output
    assert "as planned" in built.output, "the new kernel runs cells"


def test_layer_restored_without_its_contents_is_made_anew(workshop: Workshop, tmp_path: Path) -> None:
    with moved_away(workshop, "tools", tmp_path / "tools"):
        built = workshop.build(classifier_repository(tmp_path / "r"), NO_SUCH_NOTEBOOK)
    assert "Discarding cached build tools since:\n - Its contents were not restored" in built.output
    assert_tools_work(built)


def test_layer_that_lost_files_is_made_anew(workshop: Workshop, tmp_path: Path) -> None:
    with moved_away(workshop, "tools/site/toml", tmp_path / "toml"):
        built = workshop.build(classifier_repository(tmp_path / "r"), NO_SUCH_NOTEBOOK)
    assert "Discarding cached build tools since:\n - Some of its files are missing" in built.output
    assert_tools_work(built)


def test_layer_that_another_python_made_is_made_anew(workshop: Workshop, tmp_path: Path) -> None:
    key = workshop.phases.store.kept / "tools" / ".nachlass-key"
    version = ".".join(map(str, sys.version_info[:3]))
    text = key.read_text()
    assert version in text
    with moved_away(workshop, "tools/.nachlass-key", tmp_path / "key"):
        key.write_text(text.replace(version, "3.9.1"))
        built = workshop.build(classifier_repository(tmp_path / "r"), NO_SUCH_NOTEBOOK)
    assert "Discarding cached build tools since:\n - Python has changed" in built.output
    assert_tools_work(built)


def test_everyone_may_read_what_a_build_with_a_narrow_umask_made(workshop: Workshop, tmp_path: Path) -> None:
    cells = (
        *LOGISTIC_REGRESSION[:3],
        "os.makedirs('a/b', exist_ok=True)\nwith open('a/b/shift.txt', 'w') as file:\n    file.write('0.0')",
        "def shift(X):\n    return X + float(open('a/b/shift.txt').read())",
        "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import FunctionTransformer",
        "import cloudpickle\nmodel = make_pipeline(FunctionTransformer(shift), model)",
        "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    cloudpickle.dump(model, file)",
    )
    repository = write_repository(tmp_path / "r", {"x.ipynb": cells})
    for path in (repository, *repository.iterdir()):
        path.chmod(path.stat().st_mode & 0o700)
    for name in ("packages", "scorer"):
        remove_tree(workshop.phases.store.kept / name)
        remove_tree(workshop.phases.layers / name)
    usual = os.umask(0o077)
    try:
        built = workshop.build(repository)
    finally:
        os.umask(usual)

    assert built.exit_code == 0, built.output
    assert "Shipping a/b/shift.txt" in built.output
    launched = [name for name, layer in built.layers.items() if layer.launch]
    assert sorted(launched) == ["packages", "scorer", "stages"]
    for name in launched:
        assert not unreadable_files(workshop.phases.layers / name)
    assert not unreadable_files(workshop.phases.app)


def test_kernel_compiles_nothing_of_ours_at_its_start(workshop: Workshop, tmp_path: Path) -> None:
    cell = (
        "import pathlib, sys\n"
        "ours = [getattr(m, '__cached__', None) or '' for m in list(sys.modules.values())]\n"
        "ours = [pathlib.Path(file) for file in ours if '/kernel/site/' in file]\n"
        "raise SystemExit(f'many: {len(ours) > 100}, anew: {[file.name for file in ours if not file.is_file()]}')"
    )
    built = workshop.build(write_repository(tmp_path / "r", {"x.ipynb": [cell, *LOGISTIC_REGRESSION]}))

    assert "many: True, anew: []" in built.output, built.output
