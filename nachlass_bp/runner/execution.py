"""Running one notebook from its first cell to its last, and explaining why it could not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from nachlass_bp import cgroup, host
from nachlass_bp.errors import KernelStartError, OfflineUnavailableError, StageUnreadableError
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output
from nachlass_bp.pulse import HEARTBEAT_S
from nachlass_bp.runner.cells import Cells, printed
from nachlass_bp.runner.client import KEPT_BYTES, StreamingClient
from nachlass_bp.runner.failures import Circumstances
from nachlass_bp.runner.kept import KeptNotebook
from nachlass_bp.runner.kernel import Kernel, KernelConfiguration, kernel_environment, scratch_directory
from nachlass_bp.runner.progress import Progress
from nachlass_bp.sockets import SocketWatch

_GRACE_S = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A notebook and everything that its run depends on.

    `stage_file` is where it may save its stage; `samples_file` where the kernel's candidate inputs go; `kept_file`
    where the executed notebook goes, also after a failure (None: nowhere). `home` None means a fresh one. A cell that
    is interrupted because `timeout_s` is up has `grace_s` to end; a log is silent for `heartbeat_s` at most; of the
    outputs, `kept_bytes` are kept.
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
    grace_s: float = _GRACE_S
    heartbeat_s: float = HEARTBEAT_S
    kept_bytes: int = KEPT_BYTES


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
    own = [*job.kernel.own_directories, str(scratch), str(job.stage_file.parent), str(job.samples_file.parent)]
    trace_file = str(job.trace_file) if job.trace_file is not None else ""
    watch = SocketWatch(scratch / "s") if job.trace_file is not None and not job.offline else None
    sockets = "refuse" if job.offline else str(scratch / "s") if watch is not None else ""
    configuration = replace(job.kernel, own_directories=own, trace_file=trace_file, sockets=sockets)
    kernel = Kernel(job.python, configuration, scratch)
    progress = Progress(
        output, notebook=job.notebook.name, total=len(job.notebook.code_cells), heartbeat_s=job.heartbeat_s
    )
    kept = KeptNotebook(job.notebook.content, job.kept_file, output.redact)
    client = StreamingClient(job.notebook.content, kernel, progress.show, kept_bytes=job.kept_bytes)
    log_file = scratch / "kernel.log"
    cells = Cells(_circumstances(job, home), kernel, client, kept, progress, log_file)
    env = kernel_environment(job.env, {**job.variables, **_stage_variables(job)}, home, scratch)
    sockets_before = 0
    try:
        with progress:
            kept.clear()
            await _start(job, kernel, client, env, log_file)
            sockets_before = watch.count if watch is not None else 0  # Those that Jupyter itself has made.
            await cells.run(job.grace_s)
            progress.finish("looking at what it left")
            account = await client.ask("end_trace()") or {}
            peak_bytes = host.peak_memory_bytes(kernel.process_id)
            collected = await client.ask(f"collect_samples({str(job.samples_file)!r})") or {}
    finally:
        await client.close()
        left_over = kernel.destroy()
        await kernel.cleanup_resources()
        if watch is not None:
            watch.stop()
        try:
            kept.save()
        except OSError as problem:
            output.warning(f"The executed notebook couldn't be kept: {problem.strerror}")
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
        seconds=cells.seconds,
        peak_bytes=peak_bytes,
        untraced=untraced,
        sockets=0
        if job.offline
        else watch.count - sockets_before
        if watch is not None and watch.is_connected
        else None,
    )


def _circumstances(job: Job, home: Path) -> Circumstances:
    return Circumstances(
        notebook=job.notebook,
        tree=job.tree,
        home=home,
        timeout_s=job.timeout_s,
        memory_limit_bytes=job.kernel.memory_limit_bytes,
        oom_before=cgroup.oom_kills(),
        offline=job.offline,
    )


def _stage_variables(job: Job) -> dict[str, str]:
    return {"NACHLASS_STAGE_FILE": str(job.stage_file), "S2I_PIPELINE_STAGE_SAVE_FILE": str(job.stage_file)}


async def _start(job: Job, kernel: Kernel, client: StreamingClient, env: Mapping[str, str], log_file: Path) -> None:
    """Start the kernel and wait until it answers; what its process writes itself goes to `log_file`."""
    cwd = job.tree / job.notebook.cwd
    try:
        with log_file.open("wb") as log:
            await kernel.start_kernel(env=dict(env), cwd=str(cwd), stdout=log, stderr=log)
        await client.async_start_new_kernel_client()
    except RuntimeError as error:  # jupyter_client's word for a kernel that ended or never answered
        said = printed(log_file)
        if job.offline and kernel.exit_code() == job.kernel.unavailable_status:
            raise OfflineUnavailableError(problem=said) from error
        raise KernelStartError(notebook=job.notebook.name, output=said or str(error)) from error
