"""What a build lets a notebook do to its surroundings, and what the log and the record say of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.phases.conftest import Workshop
from tests.support.distributions import write_wheel
from tests.support.pythons import this_python
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository
from tests.support.terminal import run_on_terminal, screen

NAMED = {"NACHLASS_NOTEBOOKS": "x.ipynb"}
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def pip(*words: str) -> str:
    """Return a cell in which a pip from elsewhere works on the notebook's own environment."""
    command = [str(this_python().executable), "-m", "pip", "--python"]
    return f"import subprocess, sys\nsubprocess.run([*{command!r}, sys.executable, *{words!r}], check=True)"


def test_notebook_that_installs_packages_fails_with_their_names(workshop: Workshop, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", "added", "1.5")
    install = pip("install", "--no-index", "--find-links", str(tmp_path / "wheels"), "added")
    repository = write_repository(tmp_path / "r", {"x.ipynb": [install, "import added", *LOGISTIC_REGRESSION]})
    built = workshop.build(repository)
    assert built.exit_code == 1
    assert "[Error: 'x.ipynb' changed the installed packages]" in built.output
    assert "  added 1.5 (new)\n" in built.output
    assert "  added==1.5\n" in built.output
    assert "The next build installs them anew" in built.output
    assert not (workshop.phases.layers / "packages").exists()

    remove = pip("uninstall", "--yes", "joblib")
    built = workshop.build(write_repository(tmp_path / "s", {"x.ipynb": [install, remove, "1 / 0"]}), NAMED)
    assert "raised ZeroDivisionError" in built.output, "the first failure is the one to mend"
    assert re.search(
        r"Warning: x.ipynb changed the installed packages: added 1.5 \(new\), joblib .* \(removed\)", built.output
    )
    assert not (workshop.phases.layers / "packages").exists()


def test_install_that_finds_everything_there_is_no_change(workshop: Workshop, tmp_path: Path) -> None:
    repository = write_repository(tmp_path / "r", {"x.ipynb": [pip("install", "joblib"), *LOGISTIC_REGRESSION]})
    built = workshop.build(repository)
    assert built.exit_code == 0, built.output
    assert "already satisfied: joblib" in built.output


def test_home_of_the_build_machine_plays_no_part(workshop: Workshop, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in (".ipython/profile_default/startup/00.py", ".jupyter/jupyter_config.py", ".pythonrc"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("raise SystemError('of this machine')")
    (home / ".ipython/profile_default/ipython_kernel_config.py").write_text(
        "c.InteractiveShellApp.exec_lines = ['configured = True']"
    )
    (home / ".config/matplotlib").mkdir(parents=True)
    cells = [
        "import os\nassert os.listdir(os.environ['HOME']) == [], os.listdir(os.environ['HOME'])",
        "assert 'configured' not in globals()\nprint('\\x1b[2Jcoloured')\nkept = bytearray(b'1') * 200_000_000",
        *LOGISTIC_REGRESSION,
    ]
    env = {"HOME": str(home), "PYTHONSTARTUP": str(home / ".pythonrc"), "NACHLASS_ALWAYS_RUN": "x.ipynb"}
    built = workshop.build(write_repository(tmp_path / "r", {"x.ipynb": cells}), env)
    assert built.exit_code == 0, built.output
    assert "    [2/6] coloured\n    [2/6] done in" in built.output
    assert not CONTROLS.search(built.output)
    said = re.search(r"Saved a stage \(.*\) in (\d+\.\d) s, at most (\d+)\.\d MiB of memory", built.output)
    assert said is not None
    assert 200 < int(said[2]) < 600
    record = newest_record(workshop)
    assert record["seconds"] > 0
    assert 200 << 20 < record["peak_bytes"] < 600 << 20


def newest_record(workshop: Workshop) -> dict[str, int]:
    """Return what the stage cache has written down of the last run."""
    traces = (workshop.phases.kept_layer("stage-store") / "traces").glob("*/*.json")
    newest = max(traces, key=lambda path: path.stat().st_mtime_ns)
    record: dict[str, int] = json.loads(newest.read_text().partition("\n")[2])["record"]
    return record


def test_build_without_a_home_on_a_terminal(workshop: Workshop, tmp_path: Path) -> None:
    cells = ["import os\nprint(os.environ['TERM'], os.environ['SECRET_WORD'])", *LOGISTIC_REGRESSION]
    repository = write_repository(tmp_path / "r", {"hunter2-x.ipynb": cells})
    phases = workshop.prepare(repository, bindings={"b": {"type": "nachlass", "SECRET_WORD": "hunter2"}})
    command, env = phases.prepare_build()
    del env["HOME"]
    status, written = run_on_terminal(command, env={**env, "TERM": "xterm-mono"}, cwd=phases.app)
    lines = screen(written)
    assert status == 0, written
    assert "    [1/5] xterm-color ****" in lines
    assert re.search(r"\r\x1b\[K\[====                \] \[1/5\] \*\*\*\*-x.ipynb \d+ s", written)
    assert "hunter2" not in written
    assert not any(CONTROLS.search(line) for line in lines)
