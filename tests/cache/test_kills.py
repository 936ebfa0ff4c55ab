"""A build that is killed, at whatever moment, leaves a store from which no wrong stage ever comes.

NACHLASS_TEST_KILLS sets how many builds are killed; a few by default, for each costs seconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.cache.conftest import LabMaker
from tests.cache.lab import Lab
from tests.cache.scenarios import edit
from tests.support.repositories import write_repository
from tests.support.trees import link_tree

KILLS = int(os.environ.get("NACHLASS_TEST_KILLS", "4"))
DATA = tuple(f"0,0.1,low\n0.2,0,low\n2.9,2.5,high\n2.{digit},2.7,high\n" for digit in range(6))


# Nothing here has to wait for a large import: what a kill may interrupt is the build's own work.
NEAREST = """
class Nearest:
    def __init__(self, centres):
        self.centres = centres

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return [min(self.centres, key=lambda label: abs(self.centres[label] - row[0])) for row in X.tolist()]
"""
PREPARE = """
import json
rows = [line.split(",") for line in open("data/train.csv").read().splitlines()]
json.dump([[float(a), float(b), label] for a, b, label in rows], open("data/rows.json", "w"))
"""
TRAIN = """
import json, os, pickle
from nearest import Nearest
by_label = {}
for a, b, label in json.load(open("data/rows.json")):
    by_label.setdefault(label, []).append(a + b)
model = Nearest({label: sum(values) / len(values) for label, values in sorted(by_label.items())})
pickle.dump(model, open(os.environ["NACHLASS_STAGE_FILE"], "wb"))
"""
SAMPLE = "import numpy as np\nnachlass_sample = np.array([[0.1], [2.9]])"
NOTEBOOKS = {"prepare.ipynb": (PREPARE,), "train.ipynb": (TRAIN, SAMPLE)}


def stage_of(lab: Lab) -> str:
    manifest = json.loads((lab.phases.kept_layer("stages") / "manifest.json").read_text())
    digest: str = manifest["stages"][-1]["sha256"]
    return digest


def kill_a_build(lab: Lab, after_s: float) -> None:
    """Kill a build with all that it started, and let its store be the one that the next build finds."""
    process = lab.phases.start_build()
    time.sleep(after_s)
    for pid in (*children_of(process.pid), process.pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.communicate()
    store = lab.phases.layers / "stage-store"
    if store.exists():
        shutil.rmtree(lab.phases.store.kept / "stage-store", ignore_errors=True)
        link_tree(store, lab.phases.store.kept / "stage-store")


def children_of(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    direct = [int(line) for line in done.stdout.split()]
    return [each for child in direct for each in (*children_of(child), child)]


def test_killed_builds_never_leave_a_wrong_stage(make_lab: LabMaker, tmp_path: Path) -> None:
    files = {"data/train.csv": DATA[-1], "nearest.py": NEAREST}
    repository = write_repository(tmp_path / "r", NOTEBOOKS, files=files)
    lab = make_lab(repository, {"NACHLASS_NOTEBOOKS": ",".join(NOTEBOOKS)})
    right: dict[str, str] = {}
    started = time.monotonic()
    for text in DATA[:2]:
        lab.reset()
        assert lab.build(edit("data/train.csv", text)).built.exit_code == 0
        right[text] = stage_of(lab)
    longest = (time.monotonic() - started) / 2
    assert len(set(right.values())) == 2, "the stages of these tests have to be reproducible and different"

    chance = random.Random(20261124)
    lab.reset()
    for number in range(KILLS):
        killed, wanted = DATA[number % 2], DATA[(number + 1) % 2]
        edit("data/train.csv", killed)(lab.phases.repository)
        kill_a_build(lab, chance.uniform(0.2, longest))
        outcome = lab.build(edit("data/train.csv", wanted))
        assert outcome.built.exit_code == 0, outcome.built.output
        assert stage_of(lab) == right[wanted], f"kill {number}"
