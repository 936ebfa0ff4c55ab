"""The kernel's process: what a notebook finds around it, and what ends it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.kernel.user_kernel import UserKernel, running, user_environment, user_kernel
from tests.support.pythons import ROOT, this_python


def test_notebooks_directory_comes_before_packages_and_the_root_last(bare_kernel: UserKernel, tree: Path) -> None:
    path = bare_kernel.value("__import__('sys').path")
    assert path[-1] == str(tree)
    assert path.index("") < min(index for index, entry in enumerate(path) if entry.endswith("site-packages"))


def test_nothing_of_the_build_is_importable_in_a_notebook(bare_kernel: UserKernel) -> None:
    for module in ("kernel_boot", "probe", "failure", "samples", "nachlass_bp", "scorer", "nbclient"):
        assert bare_kernel.run(f"import {module}").error.startswith("ModuleNotFoundError"), module


def test_main_module_is_the_notebooks(bare_kernel: UserKernel) -> None:
    assert bare_kernel.run("x = 1").error == ""
    assert bare_kernel.value("__import__('sys').modules['__main__'].x") == 1
    assert bare_kernel.value("hasattr(__import__('sys').modules['__main__'], '__file__')") is False
    assert bare_kernel.value("__import__('sys').argv[0].endswith('ipykernel_launcher.py')") is True


def test_persons_ipython_settings_stay_out(tmp_path: Path) -> None:
    directory = tmp_path / "ipython" / "profile_default"
    (directory / "startup").mkdir(parents=True)
    (directory / "startup" / "00.py").write_text("started_up = True")
    (directory / "ipython_config.py").write_text("c.InteractiveShellApp.exec_lines = ['configured = True']")
    (tmp_path / "start.py").write_text("python_started_up = True")
    env = {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONSTARTUP": str(tmp_path / "start.py")}
    with user_kernel(user_environment(this_python(), []), tmp_path, env=env) as kernel:
        names = kernel.value("[name for name in dir() if name.endswith(('started_up', 'configured'))]")
    assert names == []
    assert not list((tmp_path / "ipython").rglob("history.sqlite"))


def test_package_that_the_environment_lacks_comes_from_the_end_of_the_path(tmp_path: Path) -> None:
    extra = tmp_path / "extra"
    extra.mkdir()
    (extra / "onlyhere.py").write_text("VALUE = 5")
    (extra / "six.py").write_text("raise ImportError('the environment has its own')")
    interpreter = user_environment(this_python(), ["six==1.15.0"])
    with user_kernel(interpreter, tmp_path, fallback_paths=[str(extra)]) as kernel:
        kernel.run("import onlyhere, six")
        assert kernel.value("onlyhere.VALUE, six.__version__") == (5, "1.15.0")


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's; elsewhere ipykernel polls its parent")
def test_kernel_dies_with_its_driver(tmp_path: Path) -> None:
    interpreter = user_environment(this_python(), [])
    program = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from tests.kernel.user_kernel import user_kernel
        with user_kernel(Path({str(interpreter)!r}), Path({str(tmp_path)!r})) as kernel:
            print(kernel.manager.process_id, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    kernel = int(done.stdout)
    for _ in range(100):
        if not running(kernel):
            break
        time.sleep(0.1)
    assert not running(kernel)
