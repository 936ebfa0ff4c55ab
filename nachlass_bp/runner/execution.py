"""Running one notebook from its first cell to its last, and explaining why it could not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import CellExecutionError, DeadKernelError

from nachlass_bp import host
from nachlass_bp.errors import (
    KernelDiedError,
    KernelStartError,
    NotebookTimeoutError,
    OfflineUnavailableError,
    StageUnreadableError,
)
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output, size_text
from nachlass_bp.runner import failures
from nachlass_bp.runner.client import StreamingClient
from nachlass_bp.runner.kernel import (
    Kernel,
    KernelConfiguration,
    ending,
    kernel_environment,
    out_of_memory,
    scratch_directory,
)
from nachlass_bp.sockets import SocketWatch

_SKIP_TAG = "skip-execution"
"""nbclient's and Jupyter Book's name for a cell that a run leaves out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A notebook and everything that its run depends on.

    `stage_file` is where it may save its stage; `samples_file` where the kernel's candidate inputs go; `kept_file`
    where the executed notebook goes, also after a failure (None: nowhere). `home` None means a fresh one.
    """

    notebook: Notebook
    python: Path
    tree: Path
    kernel: KernelConfiguration
    env: Mapping[str, str]
    variables: Mapping[str, str]
    stage_file: Path
    samples_file: Path
    kept_file: Path | None
    home: Path | None
    timeout_s: float | None
    trace_file: Path | None = None
    offline: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a run left: whether it saved a stage, how long its cells took, the kernel's peak memory where it is told.

    `untraced` says why the kernel's account of what it looked at isn't whole, None when it is. `sockets` are the
    Internet sockets that it and all that it started made, None where that is not told.
    """

    saved: bool
    seconds: float
    peak_bytes: int | None
    untraced: str | None
    sockets: int | None


def run(job: Job, output: Output) -> Run:
    """Run every code cell of the notebook in a new kernel, which is gone afterwards.

    Raises:
        CellFailedError, CellWantsInputError, DataPointerError: A cell raised an exception.
        KernelDiedError, KernelStartError, NotebookTimeoutError: The kernel did not get to the end.
    """
    job.stage_file.parent.mkdir(parents=True, exist_ok=True)
    job.stage_file.unlink(missing_ok=True)
    with scratch_directory() as scratch:
        return asyncio.run(_run(job, Path(scratch), output))


async def _run(job: Job, scratch: Path, output: Output) -> Run:
    home = job.home or scratch / "home"
    home.mkdir(exist_ok=True)
    position = _Position(job.notebook)
    own = [*job.kernel.own_directories, str(scratch), str(job.stage_file.parent), str(job.samples_file.parent)]
    trace_file = str(job.trace_file) if job.trace_file is not None else ""
    watch = SocketWatch(scratch / "s") if job.trace_file is not None and not job.offline else None
    sockets = "refuse" if job.offline else str(scratch / "s") if watch is not None else ""
    configuration = replace(job.kernel, own_directories=own, trace_file=trace_file, sockets=sockets)
    kernel = Kernel(job.python, configuration, scratch)
    client = StreamingClient(job.notebook.content, kernel, lambda line: output.detail(f"{position.label} {line}"))
    execution = _Execution(job, kernel, client, position, home, scratch / "kernel.log")
    env = kernel_environment(job.env, {**job.variables, **_stage_variables(job)}, home, scratch)
    sockets_before = 0
    try:
        await execution.start(env)
        sockets_before = watch.count if watch is not None else 0  # Those that Jupyter itself has made.
        started = time.monotonic()
        await execution.run_cells()
        seconds = time.monotonic() - started
        account = await client.ask("end_trace()") or {}
        peak_bytes = host.peak_memory_bytes(kernel.process_id)
        collected = await client.ask(f"collect_samples({str(job.samples_file)!r})") or {}
    finally:
        await client.close()
        left_over = kernel.destroy()
        kernel.cleanup_connection_file()
        if watch is not None:
            watch.stop()
        _keep(job)
    if job.stage_file.exists() and not job.stage_file.is_file():
        raise StageUnreadableError(
            notebook=job.notebook.name,
            problem="What it saved at NACHLASS_STAGE_FILE is a directory or another thing that isn't a file.",
        )
    if left_over:
        output.step(f"Ended {len(left_over)} processes that the notebook left running")
    if collected.get("nachlass_sample") == "unusable":
        output.warning("nachlass_sample is too large, or needs the notebook to be loaded; it isn't used")
    untraced = None if account.get("complete") else "its kernel couldn't write down all that it looked at"
    if left_over:
        untraced = "processes of its were still running at its end"
    return Run(
        saved=job.stage_file.exists(),
        seconds=seconds,
        peak_bytes=peak_bytes,
        untraced=untraced,
        sockets=0
        if job.offline
        else watch.count - sockets_before
        if watch is not None and watch.is_connected
        else None,
    )


class _Position:
    """Which cell is running, for the log and for error messages."""

    def __init__(self, notebook: Notebook) -> None:
        self.total = len(notebook.code_cells)
        self.ordinal = 0
        self.index = 0

    def cells(self, notebook: Notebook) -> Iterator[tuple[int, Any]]:
        """Yield (index, cell) of the code cells, keeping count."""
        for index, cell in enumerate(notebook.content.cells):
            if cell.cell_type == "code":
                self.ordinal += 1
                self.index = index
                yield index, cell

    @property
    def label(self) -> str:
        """How the log marks a line of this cell's output."""
        return f"[{self.ordinal}/{self.total}]"

    def text(self, execution_count: int | None) -> str:
        """Name the cell for a person: its place among the code cells, and the number that Jupyter shows."""
        shown = f" (In [{execution_count}])" if execution_count is not None else ""
        return f"code cell {self.ordinal} of {self.total}{shown}"


def _stage_variables(job: Job) -> dict[str, str]:
    return {"NACHLASS_STAGE_FILE": str(job.stage_file), "S2I_PIPELINE_STAGE_SAVE_FILE": str(job.stage_file)}


@dataclass(frozen=True, slots=True)
class _Execution:
    """One run in progress: the kernel, nbclient's side of it, and where it is."""

    job: Job
    kernel: Kernel
    client: StreamingClient
    position: _Position
    home: Path
    log_file: Path
    oom_before: int | None = field(default_factory=host.oom_kills)

    async def start(self, env: Mapping[str, str]) -> None:
        cwd = self.job.tree / self.job.notebook.cwd
        try:
            with self.log_file.open("wb") as log:
                await self.kernel.start_kernel(env=dict(env), cwd=str(cwd), stdout=log, stderr=log)
            await self.client.async_start_new_kernel_client()
        except RuntimeError as error:  # jupyter_client's word for a kernel that ended or never answered
            if self.job.offline and self.kernel.exit_code() == self.job.kernel.unavailable_status:
                raise OfflineUnavailableError(problem=self._printed() or "") from error
            raise KernelStartError(notebook=self.job.notebook.name, output=self._printed() or str(error)) from error

    async def run_cells(self) -> None:
        try:
            async with _time_limit(self.job.timeout_s):
                for index, cell in self.position.cells(self.job.notebook):
                    skipped = _SKIP_TAG in cell.metadata.get("tags", []) or not cell.source.strip()
                    if not skipped and await self._ends_with(index, cell):
                        return
        except DeadKernelError as error:
            if self.kernel.exit_code() is None:
                # nbclient takes a cancellation, by a signal for instance, for the kernel's death.
                raise asyncio.CancelledError from None
            raise self._death() from error
        except asyncio.TimeoutError as error:
            cell_text = self.position.text(None)
            assert self.job.timeout_s is not None
            raise NotebookTimeoutError(
                notebook=self.job.notebook.name, cell=cell_text, limit_s=self.job.timeout_s
            ) from error

    async def _ends_with(self, index: int, cell: Any) -> bool:
        """Run one cell; return whether its author ended the notebook there, by `exit()` or `sys.exit(0)`."""
        self.client.begin_cell()
        try:
            await self.client.async_execute_cell(cell, index)
        except CellExecutionError as error:
            if failures.is_clean_exit(error):
                return True
            failed = failures.Cell(name=self.position.text(cell.get("execution_count")), content=cell)
            raise await failures.explain(
                error, self.client, self.job.notebook, failed, self.job.tree, self.home
            ) from error
        finally:
            self.client.end_cell()
        return self.client.asked_to_exit

    def _death(self) -> KernelDiedError:
        code = self.kernel.exit_code()
        if out_of_memory(self.oom_before):
            limit = host.memory_limit_bytes()
            at_limit = f" (the limit is {size_text(limit)})" if limit else ""
            how = f"The system ended it because the build ran out of memory{at_limit}."
            advice = "Give the build more memory, or let the cell work on less data at a time."
        elif code is not None and code < 0:
            how = f"Its process {ending(code)}."
            advice = (
                "Nothing in Python raised an error: the process was ended from outside or by a crash in compiled\n"
                "code. Too little memory is the usual cause: try with more, or with less data."
            )
        else:
            how = f"Its process {ending(code)}."
            advice = "Something in the cell ended the interpreter, such as os._exit(). Raise an exception instead."
        return KernelDiedError(
            notebook=self.job.notebook.name,
            cell=self.position.text(None),
            how=how,
            advice=advice,
            details=self._printed(),
        )

    def _printed(self) -> str | None:
        """Return what the kernel's process wrote itself, outside of any cell's output."""
        return self.log_file.read_text(encoding="utf-8", errors="replace").strip() or None


@contextlib.asynccontextmanager
async def _time_limit(seconds: float | None) -> Any:
    """`asyncio.timeout`, which Python 3.10 lacks."""
    task = asyncio.current_task()
    assert task is not None
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    handle = asyncio.get_running_loop().call_later(seconds, expire) if seconds else None
    try:
        yield
    except (asyncio.CancelledError, DeadKernelError):
        # nbclient takes any cancellation for the kernel's death.
        if expired:
            raise asyncio.TimeoutError from None
        raise
    finally:
        if handle is not None:
            handle.cancel()


def _keep(job: Job) -> None:
    """Leave the executed notebook, with the failure visible in it when there was one."""
    if job.kept_file is None:
        return
    job.kept_file.parent.mkdir(parents=True, exist_ok=True)
    # Outputs can show rows of the data: for the person who builds and nobody else on the machine.
    descriptor = os.open(job.kept_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(nbformat.writes(job.notebook.content))  # type: ignore[no-untyped-call]  # nbformat is half typed
