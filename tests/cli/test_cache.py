"""Questions about the stage cache, asked of a real build: the answers are true, and asking changes nothing."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cli.harness import ROOT, Finished, git, write
from tests.support.facilities import require
from tests.support.pythons import find_python, this_python, wheelhouse
from tests.support.repositories import REQUIREMENTS, write_notebook, write_repository

F, M = "03-features.ipynb", "04-model.ipynb"
FEATURES = (
    "import csv, os\nimport numpy as np\nfrom mlworkflows import util",
    "rows = list(csv.reader(open('data/train.csv')))\nbuckets = int(os.environ.get('BUCKETS', '3'))",
    "np.save('data/features.npy', util.scale(np.array([[float(cell) % buckets for cell in row[:2]] for row in rows])))",
)
MODEL = (
    "import csv, os, pickle\nimport numpy as np\nfrom sklearn.linear_model import LogisticRegression",
    "y = [row[2] for row in csv.reader(open('data/train.csv'))]",
    "model = LogisticRegression(random_state=0).fit(np.load('data/features.npy'), y)",
    "with open(os.environ['NACHLASS_STAGE_FILE'], 'wb') as file:\n    pickle.dump(model, file)",
)
UTIL = "def scale(X):\n    return X * 2\n"
FILES = {
    "data/train.csv": "0,0.1,low\n0.2,0,low\n2.9,2.5,high\n2.6,2.7,high\n",
    "mlworkflows/__init__.py": "",
    "mlworkflows/util.py": UTIL,
    ".gitignore": "ignored.csv\n",
    "pyproject.toml": f'[tool.nachlass]\nnotebooks = ["{F}", "{M}"]\n',
}


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A repository that the real buildpack has built once, by the command."""

    root: Path
    shell: Mapping[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> Path:
        return self.root / "flats"

    @property
    def output(self) -> Path:
        return self.root / "output"

    @property
    def store(self) -> Path:
        return self.output / "layers/stage-store"

    def __call__(self, *words: str | Path, cwd: Path | None = None) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "nachlass_cli", *map(str, words), "--output", str(self.output)],
            env={**self.shell, "PATH": os.environ["PATH"], "HOME": str(self.root), "PYTHONPATH": str(ROOT)},
            cwd=cwd or self.repository,
            capture_output=True,
            text=True,
            check=False,
        )
        return Finished(status=done.returncode, out=done.stdout, err=done.stderr)

    def build(self, *options: str) -> dict[str, str]:
        """Build, and return what the log says of each notebook."""
        done = self("build", ".", *options)
        assert done.status == 0, done.out + done.err
        return dict(re.findall(r"^(\S+\.ipynb): ((?:run|reused) \(.*\))$", done.out, re.MULTILINE))

    def explain(self, *words: str) -> dict[str, dict[str, Any]]:
        done = self("cache", "explain", "--json", *words)
        assert done.status == 0, done.err
        return {found["notebook"]: found for found in json.loads(done.out)["notebooks"]}

    def ls(self) -> dict[str, Any]:
        done = self("cache", "ls", "--json")
        assert done.status == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    def snapshot(self) -> dict[str, tuple[int, ...]]:
        """Everything below the output directory and the repository, with all that a change of it would change."""
        places = (path for root in (self.output, self.repository) for path in root.rglob("*"))
        found = {str(path): path.lstat() for path in places}
        return {path: (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns) for path, s in found.items()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The tests change and build it in turn: each begins with the repository as it was."""
    wheels = wheelhouse(this_python(), ("numpy", "scipy", "scikit-learn", "joblib", "cloudpickle"))
    lab = Lab(
        root=tmp_path_factory.mktemp("cache lab"),
        shell={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "NACHLASS_BUILDPACK_DIR": str(ROOT)},
    )
    write_all(lab)
    git(lab.repository, "init", "--quiet")
    first = lab.build()
    assert first == {F: "run (there is no earlier run)", M: "run (there is no earlier run)"}
    return lab


def write_all(lab: Lab) -> None:
    write_repository(lab.repository, {F: FEATURES, M: MODEL}, requirements=REQUIREMENTS, files=FILES)


@pytest.fixture
def lab(built: Lab) -> Iterator[Lab]:
    yield built
    write_all(built)


def test_unchanged_repository_would_be_reused_and_asking_changes_nothing(lab: Lab) -> None:
    write(lab.repository, {"ignored.csv": "1\n"})
    before = lab.snapshot()
    explained = lab.explain()
    shown, listed = lab("cache", "explain"), lab("cache", "ls")
    assert lab.snapshot() == before
    assert {name: found["decision"] for name, found in explained.items()} == {F: "reused", M: "reused"}
    assert [found["provisos"] for found in explained.values()] == [[], []]
    assert explained[F]["depended_on"]["files"] == ["data/train.csv", "mlworkflows/__init__.py", "mlworkflows/util.py"]
    assert "BUCKETS" in explained[F]["depended_on"]["unset_variables"]
    assert (shown.status, listed.status) == (0, 0)


def test_explain_and_ls_answer_as_the_page_shows(lab: Lab) -> None:
    page = (ROOT / "docs/cache.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^```\n\$ nachlass (cache \w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    assert_like(shown["cache ls"], lab("cache", "ls").out)
    write(lab.repository, {"mlworkflows/util.py": UTIL + "# changed\n"})
    assert_like(shown["cache explain"], lab("cache", "explain").out)


def assert_like(example: str, real: str) -> None:
    """Compare without times and sizes; `…` of the example stands for any text, whole lines included."""

    def masked(text: str) -> str:
        text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d UTC)?", "DATE", text)
        return re.sub(r"\b\d+(\.\d+)? (s|bytes|[KMG]iB|blobs?)\b", "SIZE", text).replace(", at most SIZE of memory", "")

    pattern = re.escape(masked(example)).replace("…", ".*")
    assert re.fullmatch(pattern, masked(real), re.DOTALL), real


def test_one_notebook_is_told_of_in_full_and_after_those_before_it(lab: Lab) -> None:
    write_notebook(lab.repository / F, (*FEATURES, "print('more')"))
    inside = lab("cache", "explain", M)
    outside = lab("cache", "explain", "flats", "--env", "X=1", M, cwd=lab.root)
    assert inside.out.startswith(f"{M}: reused (")
    assert f"provided that {F} writes the same as in its run of" in inside.out
    assert "of which this one uses data/features.npy" in inside.out
    assert " and " not in re.findall(r"variables that weren't set: (.*)", inside.out)[0]
    assert outside.out == inside.out
    unknown = lab("cache", "explain", "05-model.ipynb")
    assert (unknown.status, unknown.out) == (1, "")
    assert "[Error: '05-model.ipynb' isn't one of the notebooks of the build]" in unknown.err


def test_every_difference_is_named_where_the_log_names_three(lab: Lab) -> None:
    write(lab.repository, {"mlworkflows/util.py": UTIL + "# a\n", "data/train.csv": "0,1,low\n1,2,high\n"})
    write(lab.repository, {"mlworkflows/__init__.py": "A = 1\n"})
    found = lab.explain("--env", "BUCKETS=4", "--env", f"NACHLASS_ALWAYS_RUN={M}")
    assert found[F]["text"].endswith(", data/train.csv changed, mlworkflows/__init__.py changed and 1 more)")
    assert found[F]["differences"] == [
        "variable BUCKETS was set",
        "data/train.csv changed",
        "mlworkflows/__init__.py changed",
        "mlworkflows/util.py changed",
    ]
    assert found[M]["text"] == "run (NACHLASS_ALWAYS_RUN names it)"
    assert found[M]["differences"] == ["data/train.csv changed"]
    assert found[M]["provisos"] == []


def test_changed_requirements_and_another_python_are_told_without_installing(lab: Lab) -> None:
    write(lab.repository, {"requirements.txt": "numpy\nscikit-learn\nscipy\n"})
    before = lab.snapshot()
    shown = lab("cache", "explain").out
    assert " - requirements.txt or a file that it names has changed\n" in shown
    assert shown.count("provided that the packages come out the same\n") == 2
    upgraded = lab("cache", "explain", "--upgrade").out
    assert " - NACHLASS_UPGRADE asks for the newest versions\n" in upgraded
    assert lab.snapshot() == before
    require("python3.12")
    other = find_python("python3.12")
    assert other is not None
    found = lab.explain("--python", str(other.executable))
    assert [f"Python changed ({sys.version.split()[0]} → 3.12." in each["text"] for each in found.values()] == [
        True
    ] * 2
    assert lab.snapshot() == before


def test_damaged_records_are_told_of_and_left_alone(lab: Lab) -> None:
    (trace,) = (lab.store / "traces" / M).glob("*.json")
    aside = trace.read_bytes()
    trace.write_bytes(aside[:-10])
    before = lab.snapshot()
    explained = lab.explain()
    after = lab.snapshot()
    trace.write_bytes(aside)
    assert after == before
    assert explained[M]["text"] == "run (the record of its last run can't be used: it is damaged)"


def test_build_does_what_explain_said_and_ls_shows_both_runs(lab: Lab) -> None:
    write(lab.repository, {"data/train.csv": "0,0.3,low\n0.1,0,low\n2.9,2.5,high\n2.6,2.7,high\n"})
    options = ("--env", "BUCKETS=2")
    said = lab.explain(*options)
    # What the features will be, explain can't know.
    assert said[F]["text"] == "run (variable BUCKETS was set, data/train.csv changed)"
    assert said[M]["text"] == "run (data/train.csv changed)"
    assert f"{F} writes the same as in its run of" in said[M]["provisos"][0]
    assert lab.build(*options) == {
        F: said[F]["text"],
        M: "run (data/features.npy changed, data/train.csv changed)",
    }
    assert {name: each["text"] for name, each in lab.explain(*options).items()} == lab.build(*options)
    listed = lab.ls()
    assert listed["store"] == str(lab.store)
    for runs in listed["notebooks"].values():
        assert [run["used_by_last_build"] for run in runs] == [True, False]
        assert all(run["mode"] == "trace" and run["not_reusable"] is None for run in runs)
    assert listed["notebooks"][F][0]["outputs"]["data/features.npy"] > 0
    assert listed["notebooks"][M][0]["stage_bytes"] > 0
    assert "The last build had --env BUCKETS=…; this is about one without." in lab("cache", "explain").out
    # Without the change, the older run is the one that fits.
    write_all(lab)
    assert {name: each["decision"] for name, each in lab.explain().items()} == {F: "reused", M: "reused"}


def test_prune_keeps_what_the_next_build_needs_even_after_a_failed_one(lab: Lab) -> None:
    write_notebook(lab.repository / F, ("# A comment.", *FEATURES))
    write_notebook(lab.repository / M, ("1 / 0",))
    failed = lab("build", ".")
    assert failed.status == 1
    assert f"{F}: run (its code changed" in failed.out, "and what else differs from the run before"
    write(lab.store / "blobs", {"ab/cdef": "nobody's", "../.new-x": "half a file"})
    size = lab.ls()["bytes"]
    with (lab.output / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        busy = lab("cache", "prune")
    assert "[Error: Another build of this repository is still running]" in busy.err
    pruned = lab("cache", "prune")
    assert pruned.status == 0, pruned.err
    listed = lab.ls()
    assert {name: len(runs) for name, runs in listed["notebooks"].items()} == {F: 1, M: 1}
    assert listed["unreferenced_bytes"] == 0
    assert listed["bytes"] < size
    assert not (lab.store / ".new-x").exists()
    write_all(lab)
    write_notebook(lab.repository / F, ("# A comment.", *FEATURES))
    said = lab.explain()
    assert said[F]["decision"] == "reused"
    assert {name: each["text"] for name, each in said.items()} == lab.build()


def test_prune_all_empties_the_store_and_the_next_build_is_right(lab: Lab) -> None:
    pruned = lab("cache", "prune", "--all")
    assert "Kept 0 runs" in pruned.out
    assert lab.ls()["notebooks"] == {}
    assert lab.ls()["blobs"] == 0
    assert {name: each["text"] for name, each in lab.explain().items()} == dict.fromkeys(
        (F, M), "run (there is no earlier run)"
    )
    assert lab.build() == dict.fromkeys((F, M), "run (there is no earlier run)")
    assert {name: each["decision"] for name, each in lab.explain().items()} == {F: "reused", M: "reused"}


def test_provisos_name_only_notebooks_of_which_something_is_used(lab: Lab) -> None:
    other = "03-other.ipynb"
    write_notebook(lab.repository / other, ("print(open('data/train.csv').read())",))
    options = ("--notebooks", f"{F},{other},{M}")
    assert lab.build(*options)[other] == "run (there is no earlier run)"
    write_notebook(lab.repository / F, (*FEATURES, "print('more')"))
    found = lab.explain(*options)
    assert [found[name]["decision"] for name in (F, other, M)] == ["run", "reused", "reused"]
    assert found[other]["provisos"] == []
    assert [text.partition(", ")[2] for text in found[M]["provisos"]] == ["of which this one uses data/features.npy"]
    (lab.repository / other).unlink()


def test_what_a_killed_question_left_is_removed_by_the_next(lab: Lab) -> None:
    (lab.output / "explain-left/app").mkdir(parents=True)
    assert lab("cache", "explain").status == 0
    assert [path.name for path in lab.output.glob("explain-*")] == []


@pytest.mark.parametrize("question", ["ls", "explain", "prune"])
def test_question_before_the_first_build_says_so(built: Lab, tmp_path: Path, question: str) -> None:
    shutil.copytree(built.repository, tmp_path / "flats")
    finished = Lab(root=tmp_path, shell=built.shell)("cache", question)
    assert finished.status == 1
    assert "[Error: Nothing is built yet, so that nothing is kept]" in finished.err
    assert not (tmp_path / "output").exists()
