"""One notebook, run by the runner of a build in a real kernel of a user's environment.

The runner ends every child of its process, so it has a process of its own: `python -m tests.kernel.notebook_run DIR`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat

from nachlass_bp import host
from nachlass_bp.errors import BuildpackError
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output
from nachlass_bp.runner import execution
from nachlass_bp.runner.execution import Job, Run
from nachlass_bp.runner.kernel import KernelConfiguration
from nachlass_bp.terminal import is_terminal
from tests.kernel.user_kernel import kernel_site, overlay_for
from tests.support import pythons
from tests.support.pythons import ROOT

_v4: Any = nbformat.v4  # Untyped.


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A code cell of a notebook to be."""

    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What the author would read, and the name of its class."""

    kind: str
    heading: str
    body: str
    advice: str
    details: str | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run left: `run` or `error`, the log, and the executed notebook, which has been validated."""

    run: Run | None
    error: Failure | None
    log: str
    cells: Sequence[Any]

    @property
    def failure(self) -> Failure:
        assert self.error is not None, self.log
        return self.error

    @property
    def result(self) -> Run:
        assert self.run is not None, self.error
        return self.run

    def text(self, cell: int) -> str:
        """Return what a cell printed and displayed, as text; the first one is 1."""
        outputs = self.cells[cell - 1].outputs
        return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)

    def errors(self, cell: int) -> list[str]:
        """Return the names of the errors that a cell shows."""
        return [output.ename for output in self.cells[cell - 1].outputs if output.output_type == "error"]


def notebook_of(cells: Sequence[str | Cell], metadata: dict[str, Any] | None = None) -> Notebook:
    made = [cell if isinstance(cell, Cell) else Cell(source=cell) for cell in cells]
    content = _v4.new_notebook(
        cells=[_v4.new_code_cell(cell.source, metadata={"tags": list(cell.tags)}) for cell in made],
        metadata=metadata or {},
    )
    return Notebook(name="x.ipynb", cwd="", content=content)


def job_for(interpreter: Path, directory: Path, notebook: Notebook) -> Job:
    """Return what a build would run; `tree` is the working tree below `directory`."""
    overlay = overlay_for(interpreter)
    tree = directory / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    return Job(
        notebook=notebook,
        python=interpreter,
        tree=tree,
        kernel=KernelConfiguration(
            overlay_module=str(ROOT / "scorer" / "overlay.py"),
            site=str(kernel_site(pythons.this_python())),
            names=overlay.names,
            distributions=overlay.distributions,
            fallback_paths=(),
            import_paths=(str(tree),),
            tree=str(tree),
        ),
        env={"PATH": os.environ["PATH"]},
        variables={},
        stage_file=directory / "stage" / "x.sav",
        samples_file=directory / "samples.pickle",
        kept_file=directory / "kept" / "x.ipynb",
        home=None,
        timeout_s=None,
        trace_file=directory / "trace.jsonl",
    )


def command_for(job: Job) -> list[str]:
    """Return the command that runs the job and writes the log."""
    directory = job.tree.parent
    (directory / "job.pickle").write_bytes(pickle.dumps(job))
    return [sys.executable, "-m", "tests.kernel.notebook_run", str(directory)]


def run(job: Job, prefix: Sequence[str] = (), **changes: Any) -> Outcome:
    """Run the job with these changes to its fields; `prefix` is a command that becomes the given one."""
    job = replace(job, **changes)
    done = subprocess.run([*prefix, *command_for(job)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return outcome_of(job, done.stdout)


def outcome_of(job: Job, log: str) -> Outcome:
    """Read what a run has left."""
    left = json.loads((job.tree.parent / "outcome.json").read_text())
    assert job.kept_file is not None
    kept = job.kept_file.read_text(encoding="utf-8")
    nbformat.validate(json.loads(kept))
    content: Any = nbformat.reads(kept, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is half typed
    return Outcome(
        run=Run(**left["run"]) if left["run"] else None,
        error=Failure(**left["error"]) if left["error"] else None,
        log=log,
        cells=content.cells,
    )


def main() -> None:
    directory = Path(sys.argv[1])
    job: Job = pickle.loads((directory / "job.pickle").read_bytes())
    host.become_subreaper()
    result, failure = None, None
    try:
        result = dataclasses.asdict(
            execution.run(job, Output(is_terminal=is_terminal(sys.stdout, os.environ.get("TERM", ""))))
        )
    except BuildpackError as error:
        failure = {
            "kind": type(error).__name__,
            "heading": error.heading,
            "body": error.body,
            "advice": error.advice,
            "details": error.details,
        }
    (directory / "outcome.json").write_text(json.dumps({"run": result, "error": failure}))


if __name__ == "__main__":
    main()
