"""Ways to depend on something that are easily missed: after each change the notebook that saw it runs, and no other."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab, Outcome
from tests.support.repositories import LOGISTIC_REGRESSION, write_repository

OUTSIDE = "OUTSIDE"
"""Stands in cells for a directory outside the repository."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A cell, the files that there are before the cold build, and what then changes: contents, None to remove."""

    cell: str
    files: dict[str, str]
    change: dict[str, str | None]
    links: dict[str, str] | None = None


def attempt(call: str, otherwise: str = "no") -> str:
    return f"try:\n    print({call})\nexcept Exception:\n    print({otherwise!r})"


# Each works in a directory of its own, named as the way is; DIR stands for it.
WAYS: dict[str, Way] = {
    "rename": Way(
        cell="import os\nos.rename('DIR/raw', 'DIR/data')\nprint(open('DIR/data').read())",
        files={"raw": "1"},
        change={"raw": "2"},
    ),
    "move": Way(cell="import shutil\nshutil.move('DIR/raw', 'DIR/data')", files={"raw": "1"}, change={"raw": "2"}),
    "link": Way(cell="import os\nos.link('DIR/raw', 'DIR/data')", files={"raw": "1"}, change={"raw": "2"}),
    "rename-of-directory": Way(
        cell="import os\nos.rename('DIR/d', 'DIR/e')", files={"d/x/y": "1"}, change={"d/x/y": "2"}
    ),
    "rename-of-directory-with-more": Way(
        cell="import os\nos.rename('DIR/d', 'DIR/e')", files={"d/x/y": "1"}, change={"d/x/z": "2"}
    ),
    "namespace-package": Way(
        cell="import DIR.sub\nprint(getattr(DIR, 'V', 'none'))", files={"sub.py": ""}, change={"__init__.py": "V = 1"}
    ),
    "shadowed-module": Way(
        cell="import sys\nsys.path.insert(0, 'DIR')\nimport shadowed",
        files={"shadowed.py": "", "shadowed/data": ""},
        change={"shadowed/__init__.py": ""},
    ),
    "second-place": Way(
        cell="import sys\nfor entry in ('DIR/a', 'DIR/b'):\n    sys.path.insert(0, entry)\n    try:\n"
        "        import second\n    except ImportError:\n        print('no')",
        files={"a/keep": "", "b/keep": ""},
        change={"b/second.py": ""},
    ),
    "archive-of-modules": Way(
        cell="import sys\nsys.path.insert(0, 'DIR/lib.zip')\n" + attempt("__import__('zipped')"),
        files={"keep": ""},
        change={"lib.zip": "x"},
    ),
    "removal": Way(cell=attempt("__import__('os').remove('DIR/old')"), files={"keep": ""}, change={"old": ""}),
    "replacement": Way(cell=attempt("__import__('os').replace('DIR/n', 'DIR/m')"), files={"m": ""}, change={"n": ""}),
    "chdir": Way(
        cell="import os\nhere = os.getcwd()\n" + attempt("os.chdir('DIR/d')") + "\nos.chdir(here)",
        files={"keep": ""},
        change={"d/x": ""},
    ),
    "mkdir": Way(cell=attempt("__import__('os').mkdir('DIR/d')"), files={"d/x": ""}, change={"d": None}),
    "library": Way(
        cell=attempt("__import__('ctypes').CDLL('./DIR/fast.so')"), files={"keep": ""}, change={"fast.so": ""}
    ),
    "stat-at": Way(
        cell="import os\nfd = os.open('DIR', os.O_RDONLY)\n" + attempt("os.stat('x', dir_fd=fd)"),
        files={"keep": ""},
        change={"x": ""},
    ),
    "open-at": Way(
        cell="import os\nfd = os.open('DIR', os.O_RDONLY)\n" + attempt("os.open('x', os.O_RDONLY, dir_fd=fd)"),
        files={"keep": ""},
        change={"x": ""},
    ),
    "mode": Way(cell="import os\nprint(os.access('DIR/t.sh', os.X_OK))", files={"t.sh": ""}, change={"t.sh": "+x"}),
    "listed-link": Way(
        cell="import os\nprint(os.listdir('DIR/now'))",
        files={"v1/a": "", "v2/b": ""},
        links={"now": "v1"},
        change={"now": "->v2"},
    ),
    "searched-link": Way(
        cell="import sys\nsys.path.insert(0, 'DIR/now')\n" + attempt("__import__('searched')"),
        files={"v1/a": "", "v2/searched.py": ""},
        links={"now": "v1"},
        change={"now": "->v2"},
    ),
    "size-by-program": Way(
        cell="import subprocess\nsubprocess.run('stat -c %s DIR/x', shell=True, check=True)",
        files={"x": "1"},
        change={"x": "22"},
    ),
    "sizes-by-program": Way(
        cell="import subprocess\nsubprocess.run(['ls', '-l', 'DIR'], check=True)", files={"x": "1"}, change={"x": "22"}
    ),
    "program-by-c": Way(
        cell="import ctypes\nctypes.CDLL(None).system(b'cat DIR/f DIR/optional')",
        files={"f": "1"},
        change={"optional": "2"},
    ),
    "program-of-the-machine": Way(  # As joblib and matplotlib ask.
        cell=attempt("__import__('subprocess').check_output(['lscpu', '--parse=core'])")
        + "\n"
        + attempt("__import__('subprocess').check_output(['fc-list', '--format=%{file}\\\\n'])")
        + "\nprint(open('DIR/f').read())",
        files={"f": "1"},
        change={"f": "2"},
    ),
    "program-in-its-place": Way(
        cell="import os, subprocess\nos.environ['PATH'] = os.path.abspath('DIR') + ':' + os.environ['PATH']\n"
        "print(subprocess.check_output(['lscpu', '--parse=core']))",
        files={"lscpu": "#!/bin/sh\nls program_in_its_place"},
        change={"optional": "2"},
    ),
    "outer-link": Way(
        cell=f"print(open('{OUTSIDE}/DIR/now').read())",
        files={f"{OUTSIDE}/v1": "1"},
        links={f"{OUTSIDE}/now": "v1"},
        change={f"{OUTSIDE}/v1": "2"},
    ),
    "outer-link-elsewhere": Way(
        cell=f"print(open('{OUTSIDE}/DIR/now').read())",
        files={f"{OUTSIDE}/v1": "1", f"{OUTSIDE}/v2": "2"},
        links={f"{OUTSIDE}/now": "v1"},
        change={f"{OUTSIDE}/now": "->v2"},
    ),
    "outer-listing": Way(
        cell=f"import glob\nprint(glob.glob('{OUTSIDE}/DIR/*.csv'))",
        files={f"{OUTSIDE}/1.csv": "1"},
        change={f"{OUTSIDE}/2.csv": "2"},
    ),
    "outer-module": Way(
        cell=f"import sys\nsys.path.append('{OUTSIDE}/DIR')\n" + attempt("__import__('outer')"),
        files={f"{OUTSIDE}/keep": ""},
        change={f"{OUTSIDE}/outer.py": ""},
    ),
}


def place(name: str) -> str:
    return name.replace("-", "_")


def write(base: Path, outside: Path, name: str, path: str, content: str | None) -> None:
    top, _, rest = path.partition("/")
    file = outside / place(name) / rest if top == OUTSIDE else base / place(name) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        shutil.rmtree(file)
    elif content == "+x":
        file.chmod(0o755)
    elif content.startswith("->"):
        file.unlink(missing_ok=True)
        file.symlink_to(content[2:])
    else:
        file.write_text(content)
        if content.startswith("#!"):
            file.chmod(0o755)


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outside")


@pytest.fixture(scope="module")
def ways(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory, outside: Path) -> Lab:
    root = tmp_path_factory.mktemp("ways")
    notebooks = {
        f"{name}.ipynb": (way.cell.replace(OUTSIDE, str(outside)).replace("DIR", place(name)),)
        for name, way in WAYS.items()
    }
    repository = write_repository(root / "r", {**notebooks, "z.ipynb": LOGISTIC_REGRESSION})
    for name, way in WAYS.items():
        for path, content in way.files.items():
            write(repository, outside, name, path, content)
        for path, target in (way.links or {}).items():
            write(repository, outside, name, path, f"->{target}")
    return make_lab(repository, {"NACHLASS_NOTEBOOKS": ",".join([*notebooks, "z.ipynb"])})


def test_nothing_runs_when_nothing_changed(ways: Lab) -> None:
    assert "The whole repository counts" not in ways.cold.built.output, ways.cold.built.output
    ways.reset()
    assert set(ways.build().what.values()) == {"reused"}


@pytest.mark.parametrize("half", [0, 1])
def test_what_a_notebook_saw_is_a_dependency_of_it_alone(ways: Lab, outside: Path, half: int) -> None:
    ways.reset()
    changed = [name for number, name in enumerate(sorted(WAYS)) if number % 2 == half]

    def change(root: Path) -> None:
        for name in changed:
            for path, content in WAYS[name].change.items():
                write(root, outside, name, path, content)

    saved = shutil.copytree(outside, outside.parent / f"saved-{half}", symlinks=True)
    outcome = ways.build(change)
    shutil.rmtree(outside)
    shutil.copytree(saved, outside, symlinks=True)

    expected = {f"{name}.ipynb": "run" if name in changed else "reused" for name in WAYS}
    # These may see every name.
    names = ("size-by-program", "sizes-by-program", "program-by-c", "program-in-its-place")
    programs = {f"{name}.ipynb": "run" for name in names}
    assert outcome.what == {**expected, **programs, "z.ipynb": "reused"}, outcome.built.output


DATABASE = "import sqlite3\nconnection = sqlite3.connect(':memory:')\n"


def test_compiled_code_is_seen_in_directories_that_notebooks_make(make_lab: LabMaker, tmp_path: Path) -> None:
    makes = (
        "import os, sqlite3\nos.makedirs('feat/deep')\nconnection = sqlite3.connect('feat/deep/x.db')\n"
        "connection.execute('create table t (v)')\n"
        "connection.execute('insert into t values (?)', (open('in.txt').read(),))\nconnection.commit()"
    )
    attaches = (
        DATABASE + "connection.execute(\"attach 'feat/deep/x.db' as f\")\n"
        "print(connection.execute('select * from f.t').fetchall())"
    )
    notebooks = {"a.ipynb": (makes,), "b.ipynb": (attaches, *LOGISTIC_REGRESSION)}
    repository = write_repository(tmp_path / "r", notebooks, files={"in.txt": "11"})
    lab = make_lab(repository, {"NACHLASS_NOTEBOOKS": "a.ipynb,b.ipynb"})
    assert lab.build().what == {"a.ipynb": "reused", "b.ipynb": "reused"}
    assert lab.build(lambda root: (root / "in.txt").write_text("22")).what == {"a.ipynb": "run", "b.ipynb": "run"}


def test_variables_count_however_they_are_read(make_lab: LabMaker, tmp_path: Path) -> None:
    cells = {
        "repr.ipynb": ("import os\nprint(repr(os.environ))",),
        "deepcopy.ipynb": ("import copy, os\nprint(copy.deepcopy(os.environ)._data)",),
        "proc.ipynb": ("print(open('/proc/self/environ').read())",),
        "getenv.ipynb": ("import ctypes\nctypes.CDLL(None).getenv(b'MINE')",),
    }
    repository = write_repository(tmp_path / "r", {**cells, "z.ipynb": LOGISTIC_REGRESSION})
    lab = make_lab(repository, {"NACHLASS_NOTEBOOKS": ",".join([*cells, "z.ipynb"]), "MINE": "1"})
    assert set(lab.build().what.values()) == {"reused"}
    lab.phases.set_env({"MINE": "2"})
    assert lab.build().what == {**dict.fromkeys(cells, "run"), "z.ipynb": "reused"}


@contextmanager
def answering(listener: socket.socket) -> Iterator[None]:
    def answer() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.sendall(b"1")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def asks(family: str, address: object) -> str:
    return f"import socket\nc = socket.socket(socket.{family})\nc.connect({address!r})\nprint(c.recv(9))\nc.close()"


def test_services_of_this_machine_are_as_far_away_as_others(make_lab: LabMaker, tmp_path: Path) -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(str(tmp_path / "socket"))
        tcp.listen()
        unix.listen()
        cells = {
            "a.ipynb": (asks("AF_INET", tcp.getsockname()),),
            "b.ipynb": (asks("AF_UNIX", str(tmp_path / "socket")), *LOGISTIC_REGRESSION),
        }
        repository = write_repository(tmp_path / "r", cells)
        with answering(tcp), answering(unix):
            lab = make_lab(repository, {"NACHLASS_NOTEBOOKS": "a.ipynb,b.ipynb"})
            outcome = lab.build()
    assert outcome.what == {"a.ipynb": "run", "b.ipynb": "run"}, outcome.built.output
    assert all("network" in decision.why for decision in outcome.decisions.values())


SERVES = (
    "import multiprocessing, socket\n"
    "with multiprocessing.get_context('fork').Manager() as manager:\n    print(manager.list([1]))\n"
    "server = socket.create_server(('127.0.0.1', 0))\n"
    "client = socket.create_connection(server.getsockname())\nclient.close()\nserver.close()"
)


@pytest.fixture(scope="module")
def once_more(make_lab: LabMaker, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Return the second build of notebooks about which it is not plain whether they can be reused."""
    root = tmp_path_factory.mktemp("once-more")
    job = root / "job"
    job.write_text("1")
    takes = f"    print(open({str(job)!r}).read())\n    os.remove({str(job)!r})"
    notebooks = {
        "serves.ipynb": (SERVES,),
        "takes.ipynb": (f"import os\ntry:\n{takes}\nexcept OSError:\n    print('no')",),
        "pipe.ipynb": ("import os\nos.mkfifo('pipe')",),
        "z.ipynb": LOGISTIC_REGRESSION,
    }
    lab = make_lab(write_repository(root / "r", notebooks), {"NACHLASS_NOTEBOOKS": ",".join(notebooks)})
    outcome = lab.build()
    assert outcome.what["z.ipynb"] == "reused", outcome.built.output
    return outcome


def test_the_notebook_s_own_servers_are_no_network(once_more: Outcome) -> None:
    assert once_more.what["serves.ipynb"] == "reused", once_more.built.output


def test_input_outside_that_is_used_up_is_none_to_rely_on(once_more: Outcome) -> None:
    assert once_more.what["takes.ipynb"] == "run"


def test_what_can_t_be_put_back_is_not_reused(once_more: Outcome) -> None:
    assert once_more.what["pipe.ipynb"] == "run"
    assert "pipe is neither a file nor a directory nor a link" in once_more.decisions["pipe.ipynb"].why
