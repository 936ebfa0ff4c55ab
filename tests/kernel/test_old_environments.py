"""The kernel of the build runs in environments whose packages today's Jupyter could not be installed beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.user_kernel import UserKernel, overlay_for, user_environment, user_kernel
from tests.support.facilities import require
from tests.support.pythons import find_python, this_python

# What `pip freeze` gave for a data scientist's environment, Jupyter included; compiled packages only where they matter.
EARLY_2022 = (
    "ipykernel==6.7.0", "ipython==8.0.1", "traitlets==5.1.1", "jupyter-client==7.1.2", "jupyter-core==4.9.1",
    "pyzmq==22.3.0", "tornado==6.1", "debugpy==1.5.1", "matplotlib-inline==0.1.3", "jedi==0.18.1", "parso==0.8.3",
    "prompt-toolkit==3.0.26", "Pygments==2.11.2", "python-dateutil==2.8.2", "six==1.16.0", "decorator==5.1.1",
    "nest-asyncio==1.5.4", "pexpect==4.8.0", "ptyprocess==0.7.0", "stack-data==0.1.4", "executing==0.8.2",
    "asttokens==2.0.5", "pure-eval==0.2.2", "wcwidth==0.2.5", "backcall==0.2.0", "pickleshare==0.7.5",
    "entrypoints==0.4", "typing_extensions==4.0.1", "packaging==21.3", "pyparsing==3.0.7",
)  # fmt: skip
IN_2023 = (
    "ipykernel==6.25.2", "ipython==8.15.0", "traitlets==5.10.0", "jupyter_client==8.3.1", "jupyter_core==5.3.1",
    "pyzmq==25.1.1", "tornado==6.3.3", "debugpy==1.8.0", "matplotlib-inline==0.1.6", "jedi==0.19.0", "parso==0.8.3",
    "prompt-toolkit==3.0.39", "Pygments==2.16.1", "python-dateutil==2.8.2", "six==1.16.0", "decorator==5.1.1",
    "nest-asyncio==1.5.8", "psutil==5.9.5", "comm==0.1.4", "platformdirs==3.10.0", "typing_extensions==4.7.1",
    "packaging==23.1", "pexpect==4.8.0", "ptyprocess==0.7.0", "stack-data==0.6.2", "executing==1.2.0",
    "asttokens==2.4.0", "pure-eval==0.2.2", "wcwidth==0.2.6", "backcall==0.2.0", "pickleshare==0.7.5",
)  # fmt: skip


def assert_is_our_kernel(kernel: UserKernel) -> None:
    assert kernel.value("1 + 1") == 2
    assert kernel.value("__import__('importlib.metadata').metadata.version('ipykernel').split('.')[0]") == "7"
    assert "'ipykernel-" not in kernel.run("import ipykernel; ipykernel.__file__").printed
    assert kernel.value("'site-packages' in __import__('ipykernel').__file__") is False


@pytest.mark.parametrize(
    ("requirement", "replaced"),
    [
        ("typing_extensions==3.7.4.3", ["typing-extensions"]),
        ("typing_extensions==4.9.0", ["typing-extensions"]),
        ("typing_extensions==4.12.2", ["typing-extensions"]),
        ("packaging==19.0", ["packaging"]),
        ("tornado==6.1", ["tornado"]),
        ("python-dateutil==2.8.0", ["python-dateutil"]),
        ("decorator==4.4.2", []),
        ("six==1.15.0", []),
    ],
)
def test_kernel_runs_beside_an_old_helper(requirement: str, replaced: list[str], tmp_path: Path) -> None:
    interpreter = user_environment(this_python(), [requirement])

    assert [entry.name for entry in overlay_for(interpreter).replaced] == replaced
    with user_kernel(interpreter, tmp_path) as kernel:
        assert_is_our_kernel(kernel)


@pytest.mark.parametrize(
    ("python", "requirements", "own"),
    [
        ("python3.10", EARLY_2022, {"dateutil": "2.8.2", "six": "1.16.0", "decorator": "5.1.1"}),
        ("python3.11", IN_2023, {"dateutil": "2.8.2", "six": "1.16.0", "packaging": "23.1"}),
    ],
    ids=["early-2022", "2023"],
)
def test_frozen_environment_keeps_its_helpers_and_gets_our_kernel(
    python: str, requirements: tuple[str, ...], own: dict[str, str], tmp_path: Path
) -> None:
    require(python)
    found = find_python(python)
    assert found is not None
    with user_kernel(user_environment(found, requirements), tmp_path, python=found) as kernel:
        assert_is_our_kernel(kernel)
        for module, version in own.items():
            kernel.run(f"import {module}")
            assert kernel.value(f"{module}.__version__, 'site-packages' in {module}.__file__") == (version, True)


@pytest.mark.parametrize("python", ["python3.10", "python3.11", "python3.12", "python3.13", "python3.14"])
def test_kernel_runs_in_a_bare_environment(python: str, tmp_path: Path) -> None:
    require(python)
    found = find_python(python)
    assert found is not None
    with user_kernel(user_environment(found, []), tmp_path, python=found) as kernel:
        assert_is_our_kernel(kernel)
        assert kernel.value("__import__('sys').version_info[:2]") == tuple(map(int, python[6:].split(".")))


def test_users_version_of_a_helper_is_what_the_notebook_imports(tmp_path: Path) -> None:
    interpreter = user_environment(this_python(), ["six==1.15.0", "python-dateutil==2.8.2"])
    with user_kernel(interpreter, tmp_path) as kernel:
        kernel.run("import dateutil, six; from importlib.metadata import version")
        assert kernel.value("six.__version__, dateutil.__version__") == ("1.15.0", "2.8.2")
        assert kernel.value("version('six'), version('python-dateutil')") == ("1.15.0", "2.8.2")


def test_replaced_helper_is_described_as_what_is_imported(tmp_path: Path) -> None:
    interpreter = user_environment(this_python(), ["packaging==19.0"])
    with user_kernel(interpreter, tmp_path) as kernel:
        kernel.run("import packaging; from importlib.metadata import distributions, version")
        imported = kernel.value("packaging.__version__")
        assert imported != "19.0"
        assert kernel.value("version('packaging')") == imported
        assert kernel.value("[d.version for d in distributions() if d.name == 'packaging'][0]") == imported


@pytest.mark.parametrize(
    ("python", "requirements"),
    [
        ("", ["matplotlib"]),
        ("python3.10", ["matplotlib==3.6.3", "numpy==1.23.5"]),
    ],
    ids=["current", "3.6.3"],
)
def test_matplotlib_draws_inline(python: str, requirements: list[str], tmp_path: Path) -> None:
    if python:
        require(python)
    found = find_python(python)
    assert found is not None
    with user_kernel(user_environment(found, requirements), tmp_path, python=found) as kernel:
        outcome = kernel.run("%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);")
        assert outcome.error == ""
        assert any("image/png" in data for data in outcome.displayed)
