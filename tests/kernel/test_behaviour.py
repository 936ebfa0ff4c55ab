"""What cells do that is no plain Python, and what comes of it: each in a real kernel of a build."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nachlass_bp.runner.kept import KeptNotebook
from tests.kernel.notebook_run import Cell, Outcome, job_for, notebook_of, run
from tests.kernel.user_kernel import running, user_environment
from tests.support.pythons import this_python

BACKEND = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.savefig('{0}.png'); print(plt.get_backend())"


@pytest.fixture(scope="session")
def bare() -> Path:
    return user_environment(this_python(), [])


def run_cells(interpreter: Path, directory: Path, *cells: str | Cell, **changes: Any) -> Outcome:
    return run(job_for(interpreter, directory, notebook_of(cells)), **changes)


# --- How a notebook ends ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "Its process was killed by SIGKILL."),
        ("import os; os.kill(os.getpid(), 15)", "Its process was killed by SIGTERM."),
        ("import os; os._exit(0)", "Its process ended with status 0."),
    ],
)
def test_death_of_the_kernel_is_named_and_visible_in_the_notebook(
    bare: Path, tmp_path: Path, cell: str, said: str
) -> None:
    notebook = notebook_of(["print('before')", cell, "print('after')"])
    notebook.content.cells[2].outputs = [{"output_type": "stream", "name": "stdout", "text": "of last year"}]
    outcome = run(job_for(bare, tmp_path, notebook))
    assert outcome.failure.kind == "KernelDiedError"
    assert outcome.failure.heading.startswith("The kernel died in code cell 2 of 3")
    assert outcome.failure.body == said
    assert outcome.text(1) == "before\n"
    assert outcome.errors(2) == ["KernelDied"]
    assert outcome.cells[1].outputs[0].evalue == said
    assert outcome.cells[2].outputs == [], "an earlier run's output would pass for this one's"


@pytest.mark.parametrize("cell", ["import sys; sys.exit(0)", "import sys; sys.exit()", "exit()", "quit()"])
def test_exit_with_success_ends_the_notebook_there(bare: Path, tmp_path: Path, cell: str) -> None:
    outcome = run_cells(bare, tmp_path, "1", cell, "raise SystemError")
    assert outcome.error is None
    assert "[2/3] ended the notebook after" in outcome.log
    assert outcome.cells[2].execution_count is None


def test_nobody_answers_a_cell_that_asks(bare: Path, tmp_path: Path) -> None:
    secretly = Cell(source="import getpass; getpass.getpass()", tags=("raises-exception",))
    outcome = run_cells(bare, tmp_path, secretly, "name = input('Name? ')")
    assert outcome.errors(1) == ["StdinNotImplementedError"]
    assert outcome.failure.kind == "CellWantsInputError"
    assert "name = input('Name? ')" in outcome.failure.body


def test_notebook_that_is_too_slow_is_interrupted_first(bare: Path, tmp_path: Path) -> None:
    cell = "import subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\nprint(child.pid)\ntime.sleep(600)"
    outcome = run_cells(bare, tmp_path, "1", cell, timeout_s=2.0)
    assert outcome.failure.kind == "NotebookTimeoutError"
    assert outcome.failure.heading == "'x.ipynb' ran longer than 2 seconds"
    assert "It was in code cell 2 of 2 (In [2]) when the time was up." in outcome.failure.body
    assert outcome.failure.body.endswith("    time.sleep(600)")
    assert outcome.errors(2) == ["KeyboardInterrupt", "NotebookTimeout"]
    assert not running(int(outcome.cells[1].outputs[0].text))


def test_cell_that_does_not_stop_when_it_is_interrupted_is_killed(bare: Path, tmp_path: Path) -> None:
    stubborn = """
import time
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        print("no")
"""
    outcome = run_cells(bare, tmp_path, stubborn, timeout_s=1.0, grace_s=1.0)
    assert outcome.failure.kind == "NotebookTimeoutError"
    assert "code cell 1 of 1" in outcome.failure.body
    assert outcome.cells[0].outputs[0].text == "no\n"
    assert outcome.errors(1) == ["NotebookTimeout"]


def test_cell_that_swallows_the_interruption_gives_the_next_one_no_more_time(bare: Path, tmp_path: Path) -> None:
    cell = "import time\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    pass"
    outcome = run_cells(bare, tmp_path, cell, "open('ran', 'w')", timeout_s=1.0)
    assert outcome.failure.kind == "NotebookTimeoutError"
    assert outcome.errors(1) == ["NotebookTimeout"]
    assert not (tmp_path / "tree" / "ran").exists()


def test_process_that_is_left_running_is_ended_and_makes_the_trace_incomplete(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(bare, tmp_path, "import subprocess; print(subprocess.Popen(['setsid', 'sleep', '600']).pid)")
    assert "Ended 1 processes that the notebook left running" in outcome.log
    assert outcome.result.untraced == "processes of its were still running at its end"
    assert not running(int(outcome.text(1)))


def test_worker_processes_that_take_long_to_end_are_none_that_were_left_running(bare: Path, tmp_path: Path) -> None:
    # As joblib's: in the kernel's own process group, and gone with it, but with much memory to give back first.
    cell = """
import os, time
if os.fork() == 0:
    ballast = bytearray(os.urandom(1 << 20) * 600)
    open('ready', 'w').close()
    time.sleep(600)
while not os.path.exists('ready'):
    time.sleep(0.01)
"""
    outcome = run_cells(bare, tmp_path, cell)
    assert "left running" not in outcome.log
    assert outcome.result.untraced is None


# --- What IPython and Jupyter add to Python --------------------------------------------------------------------------


def test_shell_lines_magics_and_await(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(
        bare,
        tmp_path,
        "import asyncio\nprint(await asyncio.sleep(0.01, 'awaited'))",
        "%%bash\necho from bash",
        "!false",
        "print(_exit_code)",
        "%%bash\nexit 3",
    )
    assert [outcome.text(cell) for cell in (1, 2, 4)] == ["awaited\n", "from bash\n", "1\n"]
    assert outcome.failure.kind == "CellFailedError"
    assert outcome.failure.heading == "Code cell 5 of 5 (In [5]) of 'x.ipynb' raised CalledProcessError"


def test_tags_say_what_runs_and_those_for_display_change_nothing(bare: Path, tmp_path: Path) -> None:
    shown_only = ("remove-cell", "remove-input", "remove-output", "hide-cell", "hide-input", "hide-output", "skip")
    cells = [Cell(source=f"ran = globals().get('ran', []) + [{tag!r}]", tags=(tag,)) for tag in shown_only]
    outcome = run_cells(
        bare,
        tmp_path,
        *cells,
        Cell(source="raise SystemError('left out')", tags=("skip-execution",)),
        Cell(source="raise ValueError('wanted')", tags=("raises-exception",)),
        "print(*ran)",
    )
    assert outcome.error is None
    assert outcome.text(10) == " ".join(shown_only) + "\n"
    assert outcome.errors(9) == ["ValueError"]
    assert "    [8/10] left out (its tag is skip-execution)\n" in outcome.log
    assert "    [9/10] raised ValueError, as its tag raises-exception allows, after" in outcome.log


def test_metadata_of_other_tools_decides_nothing(bare: Path, tmp_path: Path) -> None:
    metadata = {"execution": {"allow_errors": True, "timeout": 1}}
    outcome = run(job_for(bare, tmp_path, notebook_of(["import time; time.sleep(1.5)", "1 / 0", "2"], metadata)))
    assert outcome.failure.heading == "Code cell 2 of 3 (In [2]) of 'x.ipynb' raised ZeroDivisionError"


def test_plots_are_in_the_notebook_and_programs_plot_without_jupyter(tmp_path: Path) -> None:
    program = f'!"{{sys.executable}}" -c "{BACKEND.format("child")}"'
    cells = [BACKEND.format("cell"), f"import sys\n{program}", "import os; print(os.environ['MPLBACKEND'])"]
    interpreter = user_environment(this_python(), ["matplotlib"])
    outcome = run_cells(interpreter, tmp_path / "a", *cells)
    assert outcome.error is None
    assert "image/png" in outcome.cells[0].outputs[-1].data
    assert "inline" in outcome.cells[0].outputs[0].text
    assert outcome.text(2) == "agg\r\n"
    assert {path.name for path in (tmp_path / "a" / "tree").iterdir()} == {"cell.png", "child.png"}

    chosen = run_cells(interpreter, tmp_path / "b", *cells, variables={"MPLBACKEND": "svg"})
    assert [chosen.text(cell) for cell in (1, 2, 3)] == ["svg\n", "svg\r\n", "svg\n"]


TABLE = "import numpy as np\nX = np.arange(60.0).reshape(30, 2)\ny = np.arange(30) % 2\n"
SEARCH = """
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
print(GridSearchCV(LogisticRegression(), {"C": [0.1, 1, 10]}, n_jobs=2, cv=2).fit(X, y).best_params_)
"""
FUNCTION_OF_A_CELL = """
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
def halve(table):
    return np.asarray(table) / 2
print(len(cross_val_score(make_pipeline(FunctionTransformer(halve), LogisticRegression()), X, y, n_jobs=2, cv=3)))
"""
CLASS_OF_A_CELL = """
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import cross_val_score
class Majority(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.most_ = self.classes_[counts.argmax()]
        return self
    def predict(self, X):
        return np.full(len(X), self.most_)
print(len(cross_val_score(Majority(), X, y, n_jobs=2, cv=3)))
"""
PROCESS_POOL = """
import warnings
from joblib.externals.loky import ProcessPoolExecutor
def told():
    import sys
    return sorted(name for name in sys.modules if name.partition(".")[0] in {"IPython", "ipykernel", "traitlets"})
with ProcessPoolExecutor(2) as pool:
    print(pool.submit(told).result(), pool.submit(len, warnings.filters).result() == len(warnings.filters))
"""


def test_worker_processes_need_nothing_of_jupyter(data_python: Path, tmp_path: Path) -> None:
    outcome = run_cells(data_python, tmp_path, TABLE, SEARCH, FUNCTION_OF_A_CELL, CLASS_OF_A_CELL, PROCESS_POOL)
    assert outcome.error is None, outcome.failure.body
    assert [outcome.text(cell) for cell in (2, 3, 4, 5)] == ["{'C': 0.1}\n", "3\n", "3\n", "[] True\n"]


def test_filters_of_warnings_are_those_of_python_and_the_notebook(bare: Path, tmp_path: Path) -> None:
    shown = "import warnings\nprint(*(each[2].__module__ for each in warnings.filters))"
    outcome = run_cells(bare, tmp_path, f"{shown}\nwarnings.warn('of a cell')", "warnings.simplefilter('error')", shown)
    assert set(outcome.text(1).splitlines()[0].split()) == {"builtins"}
    assert "UserWarning: of a cell" in outcome.text(1)
    assert set(outcome.text(3).split()) == {"builtins"}


UNREADABLE_IN_WORKERS = """
from joblib.externals.loky import ProcessPoolExecutor
class Absent:
    def __reduce__(self):
        return __import__, ("absent_from_workers",)
ProcessPoolExecutor(1).submit(id, Absent()).result()
"""


def test_what_a_worker_process_said_is_told(data_python: Path, tmp_path: Path) -> None:
    failure = run_cells(data_python, tmp_path, UNREADABLE_IN_WORKERS).failure
    assert failure.heading == "Code cell 1 of 1 (In [1]) of 'x.ipynb' raised BrokenProcessPool", failure.details
    assert failure.body.splitlines()[1:] == [
        "In a worker process:",
        "    ModuleNotFoundError: No module named 'absent_from_workers'",
        "The line that failed:",
        "    ProcessPoolExecutor(1).submit(id, Absent()).result()",
    ]
    assert failure.details is not None
    lines = failure.details.splitlines()
    assert len(lines) < 70
    assert lines[1].startswith("_RemoteTraceback")
    assert "ModuleNotFoundError: No module named 'absent_from_workers'" in lines
    assert any(re.match(r"-+> \d+ ProcessPoolExecutor\(1\)", line) for line in lines)


def test_exception_of_a_worker_process_that_the_cell_raises_is_told_once(bare: Path, tmp_path: Path) -> None:
    cell = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
def divide(x):
    return 1 / x
ProcessPoolExecutor(1, multiprocessing.get_context("fork")).submit(divide, 0).result()
"""
    failure = run_cells(bare, tmp_path, cell).failure
    assert failure.body.splitlines()[:2] == ["ZeroDivisionError: division by zero", "The line that failed:"]


def test_long_traceback_keeps_its_two_ends_and_the_cause(bare: Path, tmp_path: Path) -> None:
    steps = "\n\n".join(f"def step_{n}():\n    step_{n + 1}()" for n in range(30))
    cell = (
        f"{steps}\n\ndef step_30():\n    raise ValueError('deep')\n\ntry:\n    step_0()\nexcept ValueError as error:\n"
    )
    failure = run_cells(bare, tmp_path, f"{cell}    raise RuntimeError('no model') from error").failure
    assert failure.details is not None
    lines = failure.details.splitlines()
    assert len(lines) < 70
    assert lines[1].startswith("ValueError ")
    assert any(line.startswith("Cell In[1], line ") for line in lines[:4])
    assert any(line.endswith(" lines left out)") for line in lines)
    assert "ValueError: deep" in lines
    assert any(line.startswith("RuntimeError ") for line in lines)
    assert any(line.strip().endswith("raise RuntimeError('no model') from error") for line in lines)


def test_syntax_error_is_told_once_and_by_the_cells_own_line(bare: Path, tmp_path: Path) -> None:
    failure = run_cells(bare, tmp_path, "x = 1\nif x\n    pass").failure
    assert failure.body == "SyntaxError: expected ':'\nThe line that failed:\n    if x"
    assert failure.details is not None
    assert failure.details.splitlines()[0].strip() == "Cell In[1], line 2"
    assert failure.details.splitlines()[-1].strip() == "^"


def test_syntax_error_of_a_module_keeps_its_place(bare: Path, tmp_path: Path) -> None:
    cell = "open('slip.py', 'w').write('x = 1\\nif x')\nimport slip"
    failure = run_cells(bare, tmp_path, cell).failure
    assert failure.body.splitlines()[0] == "SyntaxError: expected ':' (slip.py, line 2)"


# --- Much of everything ----------------------------------------------------------------------------------------------


def test_large_output_is_whole_in_the_notebook_and_short_in_the_log(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(bare, tmp_path, "print(('x' * 99 + '\\n') * 500_000)", "for i in range(3000): display(i)")
    assert outcome.error is None
    assert len(outcome.text(1)) == 50_000_001
    assert [output.data["text/plain"] for output in outcome.cells[1].outputs] == [str(n) for n in range(3000)]
    assert len(outcome.log) < 200_000
    assert "    [1/2] … (the rest of this cell's output is left out of the log)\n" in outcome.log


def test_endless_output_does_not_fill_the_memory_of_the_build(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(bare, tmp_path, "for i in range(200): print('y' * 9_999)", "1 / 0", kept_bytes=100_000)
    assert len(outcome.text(1)) < 110_000
    assert "… (this notebook's output exceeds 97.7 KiB; from here on none of it is kept)" in outcome.text(1)
    assert outcome.errors(2) == ["ZeroDivisionError"]


def test_peak_memory_and_seconds_are_measured(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(bare, tmp_path, "import time; x = bytearray(b'1') * 300_000_000; del x; time.sleep(0.5)")
    assert outcome.result.seconds >= 0.5
    assert outcome.result.peak_bytes is not None
    assert 300_000_000 < outcome.result.peak_bytes < 600_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="macOS takes RLIMIT_AS and does nothing with it")
def test_memory_limit_makes_an_exception_that_names_it(bare: Path, tmp_path: Path) -> None:
    job = job_for(bare, tmp_path, notebook_of(["x = bytearray(500 << 20)", "y = [x]\nz = bytearray(4 << 30)"]))
    outcome = run(job, kernel=replace(job.kernel, memory_limit_bytes=3 << 30))
    assert outcome.failure.kind == "CellFailedError"
    assert "Code cell 2 of 2" in outcome.failure.heading
    assert "    z = bytearray(4 << 30)" in outcome.failure.body
    assert outcome.failure.advice.startswith("NACHLASS_MEMORY_LIMIT allows it 3.0 GiB of address space.")
    assert outcome.errors(2) == ["MemoryError"]


def test_memory_that_nobody_has_is_no_matter_of_a_setting(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(bare, tmp_path, "bytearray(1 << 60)")
    assert outcome.failure.advice.startswith("The build has no more memory")


# --- The executed notebook -------------------------------------------------------------------------------------------


def test_notebook_is_saved_while_it_runs(tmp_path: Path) -> None:
    notebook = notebook_of(["1", "2"])
    file = tmp_path / "kept" / "x.ipynb"
    kept = KeptNotebook(notebook.content, file, str, every_s=0)
    notebook.content.cells[0].execution_count = 7
    kept.save_if_due()
    assert '"execution_count": 7' in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["x.ipynb"]


# --- pip -------------------------------------------------------------------------------------------------------------


def path_with_a_pip(directory: Path) -> dict[str, str]:
    """Return variables in which PATH begins with the pip of another Python; it writes down that it was asked."""
    outer = directory / "outer"
    outer.mkdir()
    for name in ("pip", "pip3"):
        (outer / name).write_text(f"#!/bin/sh\ntouch {directory}/asked\n")
        (outer / name).chmod(0o755)
    return {"PATH": f"{outer}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize(
    "cell",
    [
        "!pip install x",
        "said = !pip3 -q install x",
        "%pip install x",
        "!python -m pip install x",
        "import sys\n!{sys.executable} -m pip install x",
        "%%bash\npip install x\ntrue",
        "import subprocess\nsubprocess.run(['pip', 'uninstall', '--yes', 'x'])",
        "import subprocess as s, sys\ntry: s.run([sys.executable, '-m', 'pip', 'install', 'x'])\nexcept Exception: 1",
    ],
)
def test_pip_of_a_cell_is_refused_and_no_other_is_asked(bare: Path, tmp_path: Path, cell: str) -> None:
    outcome = run_cells(bare, tmp_path, "1", cell, "2", env=path_with_a_pip(tmp_path))
    assert outcome.failure.kind == "InstallRefusedError"
    assert outcome.failure.heading.startswith("Code cell 2 of 3 (In [2]) of 'x.ipynb'")
    assert "install" in outcome.failure.body.splitlines()[1]
    assert "[2/3] failed after" in outcome.log
    assert outcome.cells[2].execution_count is None
    assert not (tmp_path / "asked").exists()


def test_refused_pip_says_so_and_has_a_status(bare: Path, tmp_path: Path) -> None:
    outcome = run_cells(bare, tmp_path, "!pip install x y\nprint('status', _exit_code)")
    assert "pip install x y: packages go into requirements.txt; nachlass does not let notebooks install." in outcome.log
    assert "status 1" in outcome.log


def test_pip_that_only_looks_is_that_of_the_notebooks_python(tmp_path: Path) -> None:
    with_pip = user_environment(this_python(), ["pip", "six==1.15.0"])
    cells = ("!pip --version", "%pip list", "!pip3 freeze", "%pip show six", "!python -m pip check")
    outcome = run_cells(with_pip, tmp_path, *cells, env=path_with_a_pip(tmp_path))
    assert outcome.error is None
    assert str(with_pip.parent.parent) in outcome.text(1)
    assert all("six" in outcome.text(cell) for cell in (2, 3, 4))
    assert "No broken requirements" in outcome.text(5)
    assert not (tmp_path / "asked").exists()


def test_pip_that_only_looks_is_told_of_where_there_is_none(bare: Path, tmp_path: Path) -> None:
    cells = ("%pip list", "!pip --version\nassert _exit_code == 1")
    outcome = run_cells(bare, tmp_path, *cells, env=path_with_a_pip(tmp_path))
    assert outcome.error is None
    assert all("There is no pip in this build's Python" in outcome.text(cell) for cell in (1, 2))
    assert not (tmp_path / "asked").exists()
