"""Whatever way a notebook reads, a change of what it read runs it again: through C++, a database, memory, a program."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import joblib
import nbformat
import numpy as np
import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab, Outcome
from tests.support.repositories import LOGISTIC_REGRESSION, write_notebook, write_repository

Z = "z.ipynb"
"""Trains the model, and reads nothing: that it is reused each time saves the proof."""
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n"
N = "x.ipynb"


Notebooks = Mapping[str, tuple[str, ...]]


def repository_of(root: Path, notebooks: Notebooks, files: Mapping[str, str] | None = None) -> Path:
    return write_repository(root, {**notebooks, Z: LOGISTIC_REGRESSION}, files=files)


def lab_of(make_lab: LabMaker, repository: Path, notebooks: Iterable[str] = (N,), **env: str) -> Lab:
    return make_lab(repository, {"NACHLASS_NOTEBOOKS": ",".join([*notebooks, Z]), **env})


def what(outcome: Outcome) -> dict[str, str]:
    """Return what a build did with the notebooks besides the last."""
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what[Z] == "reused", outcome.built.output
    return {notebook: done for notebook, done in outcome.what.items() if notebook != Z}


def by_program(path: str) -> tuple[str, ...]:
    return (f"import subprocess\nprint(subprocess.run(['cat', {path!r}], capture_output=True, check=True).stdout)",)


WORKERS = """
from concurrent.futures import ProcessPoolExecutor
import multiprocessing

def read(name):
    with open(f"parts/{name}.txt") as file:
        return file.read()

with ProcessPoolExecutor(8, multiprocessing.get_context("fork")) as pool:
    print(list(pool.map(read, range(8))))
"""
JOBLIB = """
from joblib import Parallel, delayed

def read(name):
    with open(f"parts/{name}.txt") as file:
        return file.read()

print(Parallel(n_jobs=8)(delayed(read)(name) for name in range(8)))
"""


def write_database(path: Path, value: int) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database:
        database.execute("create table t (v integer)")
        database.execute("insert into t values (?)", (value,))
    database.close()


def write_array(path: Path, value: int) -> None:
    joblib.dump(np.full(1000, value), path)


def write_text(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{value}\n")


def write_raw(path: Path, value: int) -> None:
    path.write_bytes(bytes([value]) * 16)


@pytest.mark.parametrize(
    ("cells", "path", "write"),
    [
        # What pyarrow and other C++ libraries do: no event of Python's tells of it.
        (("import ctypes, os\nfd = ctypes.CDLL(None).open(b'd/raw', 0)\nprint(os.read(fd, 16))",), "d/raw", write_raw),
        (
            ("import sqlite3\nprint(sqlite3.connect('d/base.db').execute('select v from t').fetchall())",),
            "d/base.db",
            write_database,
        ),
        (("import joblib\nprint(joblib.load('d/array.joblib', mmap_mode='r').sum())",), "d/array.joblib", write_array),
        (by_program("d/text.txt"), "d/text.txt", write_text),
        (("!cat d/text.txt",), "d/text.txt", write_text),
        ((WORKERS,), "parts/7.txt", write_text),
        ((JOBLIB,), "parts/7.txt", write_text),
        (("import glob\nprint([open(f).read() for f in sorted(glob.glob('parts/*'))])",), "parts/7.txt", write_text),
    ],
    ids=["compiled code", "sqlite", "memory map", "program", "shell", "eight forked workers", "joblib", "glob"],
)
def test_reader_runs_when_what_it_read_changed(
    make_lab: LabMaker, tmp_path: Path, cells: tuple[str, ...], path: str, write: Callable[[Path, int], None]
) -> None:
    repository = repository_of(tmp_path / "r", {N: cells})
    (repository / "d").mkdir()
    for name in range(8):
        write_text(repository / f"parts/{name}.txt", name)
    write(repository / path, 7)
    lab = lab_of(make_lab, repository)
    assert_traced(lab)

    assert what(lab.build()) == {N: "reused"}
    outcome = lab.build(lambda root: write(root / path, 8))
    assert what(outcome) == {N: "run"}, outcome.built.output
    assert f"{path} changed" in outcome.decisions[N].why


def assert_traced(lab: Lab) -> None:
    """The first build saw everything: otherwise these tests would show nothing."""
    assert "The whole repository counts" not in lab.cold.built.output, lab.cold.built.output
    assert "will run it again" not in lab.cold.built.output, lab.cold.built.output


PARQUET = """
import pyarrow.parquet as pq
print(pq.read_table("d/table.parquet").num_rows)
"""
WRITE_PARQUET = """
import pyarrow, pyarrow.parquet as pq
pq.write_table(pyarrow.table({"v": [1, 2, 3]}), "d/table.parquet")
print("written")
"""


def test_parquet_is_followed_from_writer_to_reader(make_lab: LabMaker, tmp_path: Path) -> None:
    notebooks = {"a.ipynb": (WRITE_PARQUET,), N: (PARQUET,)}
    repository = repository_of(tmp_path / "r", notebooks, {"d/keep": ""})
    lab = lab_of(make_lab, repository, notebooks)
    assert_traced(lab)

    assert what(lab.build()) == {"a.ipynb": "reused", N: "reused"}
    same = lab.build(lambda root: write_notebook(root / "a.ipynb", (WRITE_PARQUET + "# again",)))
    assert what(same) == {"a.ipynb": "run", N: "reused"}
    other = lab.build(lambda root: write_notebook(root / "a.ipynb", (WRITE_PARQUET.replace("3]", "3, 4]"),)))
    assert what(other) == {"a.ipynb": "run", N: "run"}
    assert "d/table.parquet changed" in other.decisions[N].why


def test_link_that_leads_elsewhere_is_a_change(make_lab: LabMaker, tmp_path: Path) -> None:
    by_python = "print(open('d/now').read())"
    by_compiled_code = "import ctypes\nassert ctypes.CDLL(None).open(b'alias/link', 0) > 0"
    files = {"d/a": "1", "d/b": "2", "e/read": "1", "f/link": "1"}
    repository = repository_of(tmp_path / "r", {N: (by_python, by_compiled_code)}, files)
    (repository / "d/now").symlink_to("a")
    (repository / "c").mkdir()
    (repository / "c/link").symlink_to("../e/read")
    (repository / "alias").symlink_to("c")
    lab = lab_of(make_lab, repository)

    def relink(path: str, target: str) -> Callable[[Path], None]:
        def change(root: Path) -> None:
            (root / path).unlink()
            (root / path).symlink_to(target)

        return change

    assert what(lab.build()) == {N: "reused"}
    assert what(lab.build(lambda root: (root / "d/b").write_text("3"))) == {N: "reused"}
    assert what(lab.build(relink("d/now", "b"))) == {N: "run"}
    assert what(lab.build(relink("alias", "f"))) == {N: "run"}


def test_file_outside_the_repository_is_a_dependency(make_lab: LabMaker, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("1")
    repository = repository_of(tmp_path / "r", {N: (f"print(open({str(outside)!r}).read())",)})
    lab = lab_of(make_lab, repository)

    assert what(lab.build()) == {N: "reused"}
    outside.write_text("2")
    outcome = lab.build()
    assert what(outcome) == {N: "run"}
    assert f"{outside} changed" in outcome.decisions[N].why


def test_file_that_is_left_outside_makes_a_run_unrepeatable(make_lab: LabMaker, tmp_path: Path) -> None:
    outside = tmp_path / "left.txt"
    writes = f"open({str(outside)!r}, 'w').write('1')"
    reads = f"print(open({str(outside)!r}).read())"
    notebooks = {"a.ipynb": (writes,), N: (reads,)}
    repository = repository_of(tmp_path / "r", notebooks)
    lab = lab_of(make_lab, repository, notebooks)
    outcome = lab.build()
    assert what(outcome)["a.ipynb"] == "run"
    assert outcome.decisions["a.ipynb"].why == f"it left {outside}, outside the repository"


def test_passing_files_outside_are_nobodys_business(make_lab: LabMaker, tmp_path: Path) -> None:
    cell = "import tempfile\nwith tempfile.TemporaryDirectory() as d:\n    open(d + '/x', 'w').write('1')\n"
    cell += "with tempfile.TemporaryFile() as f:\n    f.write(b'1')"
    lab = lab_of(make_lab, repository_of(tmp_path / "r", {N: (cell,)}))
    assert what(lab.build()) == {N: "reused"}


def test_pointer_that_became_data_is_a_change(make_lab: LabMaker, tmp_path: Path) -> None:
    cell = "try:\n    print(open('d/model.bin').read())\nexcept RuntimeError:\n    print('a pointer')"
    files = {"d/model.bin": POINTER.format("a" * 64)}
    repository = repository_of(tmp_path / "r", {N: (cell,)}, files)
    lab = lab_of(make_lab, repository)
    assert what(lab.build()) == {N: "reused"}
    assert what(lab.build(lambda root: (root / "d/model.bin").write_text("data"))) == {N: "run"}


def test_declared_inputs_count_though_nobody_reads_them(make_lab: LabMaker, tmp_path: Path) -> None:
    repository = repository_of(tmp_path / "r", {N: ("1",)}, {"d/a.csv": "1", "d/b.txt": "1"})
    notebook = nbformat.read(repository / N, as_version=4)  # type: ignore[no-untyped-call]
    notebook.metadata["nachlass"] = {"deps": ["d/*.csv"]}
    nbformat.write(notebook, repository / N)  # type: ignore[no-untyped-call]
    lab = lab_of(make_lab, repository)
    assert what(lab.build(lambda root: (root / "d/b.txt").write_text("2"))) == {N: "reused"}
    assert what(lab.build(lambda root: (root / "d/a.csv").write_text("2"))) == {N: "run"}
    assert what(lab.build(lambda root: (root / "d/c.csv").write_text("2"))) == {N: "run"}


def test_two_notebooks_may_write_one_file(make_lab: LabMaker, tmp_path: Path) -> None:
    adds = "text = open('d/log').read()\nopen('d/log', 'w').write(text + '{}')"
    last = ("assert open('d/log').read() == '0ab', open('d/log').read()",)
    notebooks = {"a.ipynb": (adds.format("a"),), "b.ipynb": (adds.format("b"),), N: last}
    repository = repository_of(tmp_path / "r", notebooks, {"d/log": "0"})
    lab = lab_of(make_lab, repository, notebooks)

    assert set(what(lab.build()).values()) == {"reused"}
    outcome = lab.build(lambda root: write_notebook(root / N, (*last, "1")))
    assert outcome.built.exit_code == 0, outcome.built.output
    assert what(outcome) == {"a.ipynb": "reused", "b.ipynb": "reused", N: "run"}


def test_other_order_is_another_state(make_lab: LabMaker, tmp_path: Path) -> None:
    adds = "text = open('d/log').read()\nopen('d/log', 'w').write(text + '{}')"
    notebooks = {"a.ipynb": (adds.format("a"),), "b.ipynb": (adds.format("b"),)}
    repository = repository_of(tmp_path / "r", notebooks, {"d/log": "0"})
    lab = lab_of(make_lab, repository, notebooks)
    lab.phases.set_env({"NACHLASS_NOTEBOOKS": f"b.ipynb,a.ipynb,{Z}"})
    assert what(lab.build()) == {"a.ipynb": "run", "b.ipynb": "run"}


def test_deletions_and_empty_directories_are_put_back(make_lab: LabMaker, tmp_path: Path) -> None:
    makes = "import os\nos.remove('d/old')\nos.mkdir('made')\nos.chmod('d/tool', 0o755)\nos.symlink('d', 'link')"
    last = (
        "import os\nassert not os.path.exists('d/old')\nassert os.path.isdir('made')",
        "assert os.access('d/tool', os.X_OK)\nassert os.readlink('link') == 'd'",
    )
    files = {"d/old": "x", "d/tool": "#!/bin/sh\n"}
    notebooks = {"a.ipynb": (makes,), N: last}
    repository = repository_of(tmp_path / "r", notebooks, files)
    lab = lab_of(make_lab, repository, notebooks)
    outcome = lab.build(lambda root: write_notebook(root / N, (*last, "1")))
    assert outcome.built.exit_code == 0, outcome.built.output
    assert what(outcome) == {"a.ipynb": "reused", N: "run"}


@pytest.mark.skipif(os.uname().machine not in {"x86_64", "aarch64"}, reason="the filter knows these two")
@pytest.mark.parametrize("cell", ["import socket; socket.socket()", "!exec 3<>/dev/tcp/127.0.0.1/9"])
def test_network_can_be_refused(make_lab: LabMaker, tmp_path: Path, cell: str) -> None:
    notebook = f"failed = False\ntry:\n    {cell}\nexcept OSError as error:\n    print(error)"
    if cell.startswith("!"):
        notebook = "out = !bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>&1\nprint(out)"
    repository = repository_of(tmp_path / "r", {N: (notebook,)})
    lab = lab_of(make_lab, repository, NACHLASS_OFFLINE="1")
    assert "Permission denied" in lab.cold.built.output
    assert what(lab.build()) == {N: "reused"}


@pytest.mark.parametrize(
    "cell",
    [
        "import socket\nsocket.getaddrinfo('192.0.2.1', 9)",
        "out = !bash -c 'exec 3<>/dev/udp/127.0.0.1/9' 2>&1",
        "import ctypes\nctypes.CDLL(None).socket(2, 2, 0)",
    ],
    ids=["python", "program", "compiled code"],
)
def test_run_that_used_the_network_is_not_reused(make_lab: LabMaker, tmp_path: Path, cell: str) -> None:
    repository = repository_of(tmp_path / "r", {N: (cell,)})
    lab = lab_of(make_lab, repository)
    outcome = lab.build()
    assert what(outcome) == {N: "run"}
    assert outcome.decisions[N].why.startswith("it used the network")
    # What counts is what is said now, not what was said when it ran.
    lab.phases.set_env({"NACHLASS_NETWORK": "assume-stable"})
    assert what(lab.build()) == {N: "reused"}
    (lab.phases.platform / "env/NACHLASS_NETWORK").unlink()
    assert what(lab.build()) == {N: "run"}
