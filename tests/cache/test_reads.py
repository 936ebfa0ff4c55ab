"""Whatever way a notebook reads, a change of what it read runs it again: through C++, a database, memory, a program.

All notebooks that need nothing but a repository stand in one: it is built as it is, after changes that concern none of
them, after one for each, and once more. What they do in those builds is asserted one by one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import joblib
import nbformat
import numpy as np
import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab, Outcome
from tests.support.installed import platform_like
from tests.support.phases import Phases
from tests.support.pythons import installed_requirements, this_python
from tests.support.repositories import LOGISTIC_REGRESSION, write_notebook, write_repository
from tests.support.trees import link_tree

Z = "z.ipynb"
"""Trains the model, and reads nothing: that it is reused each time saves the proof."""
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n"
OUTSIDE = "OUTSIDE"
"""Stands in cells for a directory outside the repository."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A cell, and what it reads: a file, and who writes it for a number."""

    cell: str
    path: str
    write: Callable[[Path, int], None]


def by_program(path: str) -> str:
    return f"import subprocess\nprint(subprocess.run(['cat', {path!r}], capture_output=True, check=True).stdout)"


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


# What pyarrow and other C++ libraries do: no event of Python's tells of it.
COMPILED = "import ctypes, os\nfd = ctypes.CDLL(None).open(b'd/raw', 0)\nprint(os.read(fd, 16))"
SQLITE = "import sqlite3\nprint(sqlite3.connect('d/base.db').execute('select v from t').fetchall())"
MAPPED = "import joblib\nprint(joblib.load('d/array.joblib', mmap_mode='r').sum())"
GLOB = "import glob\nprint([open(f).read() for f in sorted(glob.glob('parts/*'))])"
READERS = {
    "compiled code": Reader(cell=COMPILED, path="d/raw", write=write_raw),
    "sqlite": Reader(cell=SQLITE, path="d/base.db", write=write_database),
    "memory map": Reader(cell=MAPPED, path="d/array.joblib", write=write_array),
    "program": Reader(cell=by_program("d/text.txt"), path="d/text.txt", write=write_text),
    "shell": Reader(cell="!cat d/text.txt", path="d/text.txt", write=write_text),
    "eight forked workers": Reader(cell=WORKERS, path="parts/7.txt", write=write_text),
    "joblib": Reader(cell=JOBLIB, path="parts/7.txt", write=write_text),
    "glob": Reader(cell=GLOB, path="parts/7.txt", write=write_text),
}
READ_PARQUET = """
import pyarrow.parquet as pq
print(pq.read_table("d/table.parquet").num_rows)
"""
WRITE_PARQUET = """
import pyarrow, pyarrow.parquet as pq
pq.write_table(pyarrow.table({"v": [1, 2, 3]}), "d/table.parquet")
print("written")
"""
PASSING = """
import tempfile
with tempfile.TemporaryDirectory() as d:
    open(d + "/x", "w").write("1")
with tempfile.TemporaryFile() as f:
    f.write(b"1")
"""
ADDS = "text = open('log/text').read()\nopen('log/text', 'w').write(text + '{}')"
ADDED = "assert open('log/text').read() == '0ab', open('log/text').read()"
CHANGES = "import os\nos.remove('e/old')\nos.mkdir('made')\nos.chmod('e/tool', 0o755)\nos.symlink('e', 'link')"
CHANGED = (
    "import os\nassert not os.path.exists('e/old')\nassert os.path.isdir('made')\n"
    "assert os.access('e/tool', os.X_OK)\nassert os.readlink('link') == 'e'"
)
CELLS = {
    **{name: reader.cell for name, reader in READERS.items()},
    "link by Python": "print(open('links/now').read())",
    "link by compiled code": "import ctypes\nassert ctypes.CDLL(None).open(b'alias/link', 0) > 0",
    "outside": f"print(open('{OUTSIDE}/read.txt').read())",
    "passing files": PASSING,
    "pointer": "try:\n    print(open('d/model.bin').read())\nexcept RuntimeError:\n    print('a pointer')",
    "declared": "1",
    "declared and added": "1",
    "parquet writer": WRITE_PARQUET,
    "parquet reader": READ_PARQUET,
    "log a": ADDS.format("a"),
    "log b": ADDS.format("b"),
    "log end": ADDED,
    "tree writer": CHANGES,
    "tree reader": CHANGED,
}
FILES = {
    "d/model.bin": POINTER.format("a" * 64),
    **{f"links/{name}": "1" for name in "ab"},
    **{f"{name}/link": "1" for name in "ef"},
    "declared/a.csv": "1",
    "declared/b.txt": "1",
    "declared and added/a.csv": "1",
    "log/text": "0",
    "e/old": "x",
    "e/tool": "#!/bin/sh\n",
}


def file_of(name: str) -> str:
    return f"{name}.ipynb"


def repository_of(root: Path, cells: Mapping[str, str], files: Mapping[str, str] | None = None) -> Path:
    notebooks = {file_of(name): (cell,) for name, cell in cells.items()}
    return write_repository(root, {**notebooks, Z: LOGISTIC_REGRESSION}, files=files)


def list_of(names: Mapping[str, str]) -> dict[str, str]:
    return {"NACHLASS_NOTEBOOKS": ",".join([*map(file_of, names), Z])}


def what(outcome: Outcome) -> dict[str, str]:
    """Return what a build did with the notebooks besides the last."""
    assert outcome.built.exit_code == 0, outcome.built.output
    assert outcome.what[Z] == "reused", outcome.built.output
    return {notebook.removesuffix(".ipynb"): done for notebook, done in outcome.what.items() if notebook != Z}


def relink(link: Path, target: str) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def change_code(root: Path, name: str, cell: str) -> None:
    write_notebook(root / file_of(name), (cell,))


@dataclass(frozen=True, kw_only=True)
class Builds:
    """The builds of the one repository, in their order."""

    cold: Outcome
    unconcerned: Outcome
    """Files have changed that nobody reads."""
    changed: Outcome
    """Something has changed for each notebook that should run."""
    again: Outcome
    """The parquet file has other contents, and the notebooks that write one log run the other way round."""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("outside")
    (directory / "read.txt").write_text("1")
    return directory


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, installed: Phases, outside: Path) -> Lab:
    root = tmp_path_factory.mktemp("reads")
    cells = {name: cell.replace(OUTSIDE, str(outside)) for name, cell in CELLS.items()}
    repository = repository_of(root / "r", cells, FILES)
    for number in range(8):
        write_text(repository / f"parts/{number}.txt", number)
    for reader in READERS.values():
        reader.write(repository / reader.path, 7)
    (repository / "c").mkdir()
    for link, target in {"links/now": "a", "c/link": "../e/link", "alias": "c"}.items():
        relink(repository / link, target)
    for name in ("declared", "declared and added"):
        notebook = nbformat.read(repository / file_of(name), as_version=4)  # type: ignore[no-untyped-call]
        notebook.metadata["nachlass"] = {"deps": [f"{name}/*.csv"]}
        nbformat.write(notebook, repository / file_of(name))  # type: ignore[no-untyped-call]

    phases = platform_like(installed, root / "platform", repository, list_of(CELLS))
    (site,) = phases.store.kept.glob("packages/lib/python*/site-packages")
    for part in installed_requirements(this_python(), ["pyarrow"]).glob("pyarrow*"):
        link_tree(part, site / part.name)
    return Lab(phases, repository)


def change_what_nobody_reads(root: Path) -> None:
    for path in ("links/b", "declared/b.txt"):
        (root / path).write_text("3")


def change_for_each(root: Path) -> None:
    for reader in READERS.values():
        reader.write(root / reader.path, 8)
    relink(root / "links/now", "b")
    relink(root / "alias", "f")
    for path in ("d/model.bin", "declared/a.csv", "declared and added/c.csv"):
        (root / path).write_text("2")
    change_code(root, "parquet writer", WRITE_PARQUET + "# again")
    for name in ("log end", "tree reader"):
        change_code(root, name, CELLS[name] + "\n1")


@pytest.fixture(scope="module")
def builds(lab: Lab, outside: Path) -> Builds:
    unconcerned = lab.build(change_what_nobody_reads)
    (outside / "read.txt").write_text("2")
    changed = lab.build(change_for_each)
    swapped = {name: cell for name, cell in CELLS.items() if not name.startswith("log")}
    lab.phases.set_env(list_of({"log b": "", "log a": "", **swapped}))
    again = lab.build(lambda root: change_code(root, "parquet writer", WRITE_PARQUET.replace("3]", "3, 4]")))
    return Builds(cold=lab.cold, unconcerned=unconcerned, changed=changed, again=again)


def why(outcome: Outcome, name: str) -> str:
    return outcome.decisions[file_of(name)].why


def test_first_build_saw_everything(builds: Builds) -> None:
    """Otherwise these tests would show nothing."""
    assert "The whole repository counts" not in builds.cold.built.output, builds.cold.built.output
    assert "will run it again" not in builds.cold.built.output, builds.cold.built.output


def test_nothing_runs_for_what_nobody_reads(builds: Builds) -> None:
    assert what(builds.unconcerned) == dict.fromkeys(CELLS, "reused")


@pytest.mark.parametrize("name", READERS)
def test_reader_runs_when_what_it_read_changed(builds: Builds, name: str) -> None:
    assert what(builds.changed)[name] == "run", builds.changed.built.output
    assert f"{READERS[name].path} changed" in why(builds.changed, name)


def test_parquet_is_followed_from_writer_to_reader(builds: Builds) -> None:
    same, other = what(builds.changed), what(builds.again)
    assert (same["parquet writer"], same["parquet reader"]) == ("run", "reused")
    assert (other["parquet writer"], other["parquet reader"]) == ("run", "run")
    assert "d/table.parquet changed" in why(builds.again, "parquet reader")


@pytest.mark.parametrize(
    ("name", "reason"), [("link by Python", "links/now changed"), ("link by compiled code", "alias changed")]
)
def test_link_that_leads_elsewhere_is_a_change(builds: Builds, name: str, reason: str) -> None:
    assert what(builds.changed)[name] == "run"
    assert reason in why(builds.changed, name)


def test_file_outside_the_repository_is_a_dependency(builds: Builds, outside: Path) -> None:
    assert what(builds.changed)["outside"] == "run"
    assert f"{outside}/read.txt changed" in why(builds.changed, "outside")


def test_passing_files_outside_are_nobodys_business(builds: Builds) -> None:
    assert what(builds.changed)["passing files"] == "reused"


def test_pointer_that_became_data_is_a_change(builds: Builds) -> None:
    assert what(builds.changed)["pointer"] == "run"
    assert "d/model.bin changed" in why(builds.changed, "pointer")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("declared", "declared/a.csv changed"),
        ("declared and added", "a file that matches declared and added/*.csv was added"),
    ],
)
def test_declared_inputs_count_though_nobody_reads_them(builds: Builds, name: str, reason: str) -> None:
    assert what(builds.changed)[name] == "run"
    assert reason in why(builds.changed, name)


def test_two_notebooks_may_write_one_file(builds: Builds) -> None:
    done = what(builds.changed)
    assert (done["log a"], done["log b"], done["log end"]) == ("reused", "reused", "run")


def test_other_order_is_another_state(builds: Builds) -> None:
    done = what(builds.again)
    assert (done["log b"], done["log a"]) == ("run", "run")


def test_deletions_and_empty_directories_are_put_back(builds: Builds) -> None:
    done = what(builds.changed)
    assert (done["tree writer"], done["tree reader"]) == ("reused", "run")


def test_what_is_done_again_is_reused_the_next_time(builds: Builds) -> None:
    # joblib's workers get all variables, and the list of notebooks is one.
    rest = set(CELLS) - {"parquet writer", "parquet reader", "log a", "log b", "log end", "joblib"}
    done = what(builds.again)
    assert {name: done[name] for name in rest} == dict.fromkeys(rest, "reused"), builds.again.built.output


# --- The network, and what is left outside ---------------------------------------------------------------------------

REFUSED = {
    "python": "try:\n    import socket; socket.socket()\nexcept OSError as error:\n    print(error)",
    "program": "out = !bash -c 'exec 3<>/dev/tcp/127.0.0.1/9' 2>&1\nprint(out)",
}


@pytest.fixture(scope="module")
def offline(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, Outcome]:
    """Return the lab of a build without network, and its next build."""
    repository = repository_of(tmp_path_factory.mktemp("offline") / "r", REFUSED)
    lab = make_lab(repository, {**list_of(REFUSED), "NACHLASS_OFFLINE": "1"})
    return lab, lab.build()


@pytest.mark.skipif(os.uname().machine not in {"x86_64", "aarch64"}, reason="the filter knows these two")
@pytest.mark.parametrize("name", REFUSED)
def test_network_can_be_refused(offline: tuple[Lab, Outcome], name: str) -> None:
    lab, outcome = offline
    log = lab.cold.built.output.partition(f": {file_of(name)}]\n")[2].partition("\n[")[0]
    assert "Permission denied" in log
    assert what(outcome)[name] == "reused"


ASKING = {
    "python": "import socket\nsocket.getaddrinfo('192.0.2.1', 9)",
    "program": "out = !bash -c 'exec 3<>/dev/udp/127.0.0.1/9' 2>&1",
    "compiled code": "import ctypes\nctypes.CDLL(None).socket(2, 2, 0)",
}
LEAVING = {
    "leaves": f"open('{OUTSIDE}/left.txt', 'w').write('1')",
    "finds": f"print(open('{OUTSIDE}/left.txt').read())",
}


@dataclass(frozen=True, kw_only=True)
class Unrepeatable:
    """Builds of notebooks that are not to be reused, as the setting NACHLASS_NETWORK is."""

    left: Path
    usual: Outcome
    assumed: Outcome
    usual_again: Outcome


@pytest.fixture(scope="module")
def unrepeatable(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Unrepeatable:
    root = tmp_path_factory.mktemp("unrepeatable")
    cells = {**ASKING, **{name: cell.replace(OUTSIDE, str(root)) for name, cell in LEAVING.items()}}
    lab = make_lab(repository_of(root / "r", cells), list_of(cells))
    usual = lab.build()
    # What counts is what is said now, not what was said when it ran.
    lab.phases.set_env({"NACHLASS_NETWORK": "assume-stable"})
    assumed = lab.build()
    (lab.phases.platform / "env/NACHLASS_NETWORK").unlink()
    return Unrepeatable(left=root / "left.txt", usual=usual, assumed=assumed, usual_again=lab.build())


@pytest.mark.parametrize("name", ASKING)
def test_run_that_used_the_network_is_not_reused(unrepeatable: Unrepeatable, name: str) -> None:
    assert what(unrepeatable.usual)[name] == "run"
    assert why(unrepeatable.usual, name).startswith("it used the network")
    assert what(unrepeatable.assumed)[name] == "reused"
    assert what(unrepeatable.usual_again)[name] == "run"


def test_file_that_is_left_outside_makes_a_run_unrepeatable(unrepeatable: Unrepeatable) -> None:
    for outcome in (unrepeatable.usual, unrepeatable.assumed):
        assert what(outcome)["leaves"] == "run"
        assert why(outcome, "leaves") == f"it left {unrepeatable.left}, outside the repository"
