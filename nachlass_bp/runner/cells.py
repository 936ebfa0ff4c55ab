"""The cells of one notebook, one after another, in a kernel that has started."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from nbclient.exceptions import CellExecutionError, DeadKernelError

from nachlass_bp.errors import BuildpackError, InstallRefusedError, KernelDiedError
from nachlass_bp.runner import failures, tags
from nachlass_bp.runner.client import StreamingClient
from nachlass_bp.runner.failures import Cell, Circumstances
from nachlass_bp.runner.kept import KeptNotebook, mark
from nachlass_bp.runner.kernel import Kernel
from nachlass_bp.runner.progress import Progress
from nachlass_bp.runner.time_limit import TimeLimit


class Cells:
    """Runs code cells and explains why one has no good end; `seconds` is how long they took.

    `log_file` is what the kernel's process writes itself, outside of any cell's output.
    """

    def __init__(
        self,
        around: Circumstances,
        kernel: Kernel,
        client: StreamingClient,
        kept: KeptNotebook,
        progress: Progress,
        log_file: Path,
    ) -> None:
        self._around = around
        self._kernel = kernel
        self._client = client
        self._kept = kept
        self._progress = progress
        self._log_file = log_file
        self._total = len(around.notebook.code_cells)
        self._ordinal = 0
        self._cell: Any = None
        self.seconds = 0.0

    async def run(self, grace_s: float) -> None:
        """Run all cells, or as many as there is time for.

        Args:
            grace_s: How long a cell that was interrupted because the time was up may take to end.

        Raises:
            BuildpackError: A cell raised an exception, the kernel died, or the time was up.
        """
        started = time.monotonic()
        limit = TimeLimit(self._around.timeout_s, grace_s, self._kernel.interrupt)
        try:
            with limit:
                await self._all(limit)
        except CellExecutionError as error:
            raise await self._explain(error, limit) from error
        except (DeadKernelError, asyncio.CancelledError) as error:
            # nbclient takes a cancellation, by a signal for instance, for the kernel's death.
            if limit.is_over:
                raise self._marked(failures.timeout(self._around, self._named())) from error
            if self._kernel.exit_code() is None:
                self._mark("BuildStopped", "the build was stopped while this cell ran")
                raise asyncio.CancelledError from None
            raise self._marked(self._death()) from error
        finally:
            self.seconds = time.monotonic() - started
        if limit.is_over:  # The interrupted cell has thought better of it.
            raise self._marked(failures.timeout(self._around, self._named()))

    async def _all(self, limit: TimeLimit) -> None:
        for index, cell in enumerate(self._around.notebook.content.cells):
            if cell.cell_type != "code":
                continue
            self._ordinal += 1
            if tags.is_left_out(cell):
                self._progress.leave_out(self._ordinal, f"its tag is {tags.SKIP}")
            elif cell.source.strip():
                self._cell = cell
                if await self._ends_with(index, cell, limit) or limit.is_over:
                    return
                self._kept.save_if_due()

    async def _ends_with(self, index: int, cell: Any, limit: TimeLimit) -> bool:
        """Run one cell; return whether its author ended the notebook there, by `exit()` or `sys.exit(0)`."""
        how = "failed after"
        self._client.begin_cell()
        self._progress.begin(self._ordinal)
        try:
            await self._client.async_execute_cell(cell, index)
        except CellExecutionError as error:
            if not failures.is_clean_exit(error):
                raise
            how = "ended the notebook after"
            return True
        except (DeadKernelError, asyncio.CancelledError):
            if self._kernel.exit_code() is None and not limit.is_over:  # By a signal: see `run`.
                how = "stopped after"
            raise
        else:
            if self._kernel.refused_pip is not None:
                raise self._marked(self._refusal(self._kernel.refused_pip))
            how = "done in"
            if self._client.raised is not None:
                how = f"raised {self._client.raised}, as its tag {tags.RAISES} allows, after"
            if self._client.asked_to_exit:
                how = "ended the notebook after"
            return self._client.asked_to_exit
        finally:
            self._client.end_cell()
            self._progress.end(how)

    async def _explain(self, error: CellExecutionError, limit: TimeLimit) -> BuildpackError:
        if limit.is_over:
            return self._marked(await failures.explain_timeout(self._client, self._around, self._named()))
        if self._kernel.refused_pip is not None:
            return self._refusal(self._kernel.refused_pip)
        return await failures.explain(error, self._client, self._around, self._named())

    def _death(self) -> KernelDiedError:
        return failures.death(self._kernel.exit_code(), self._around, self._named(), printed(self._log_file) or None)

    def _refusal(self, command: str) -> InstallRefusedError:
        return InstallRefusedError(notebook=self._around.notebook.name, cell=self._named().name, command=command)

    def _named(self) -> Cell:
        """Name the present cell for a person: its place among the code cells, and the number that Jupyter shows."""
        count = self._cell.get("execution_count") if self._cell is not None else None
        shown = f" (In [{count}])" if count is not None else ""
        return Cell(name=f"code cell {self._ordinal} of {self._total}{shown}", content=self._cell)

    def _marked(self, error: BuildpackError) -> BuildpackError:
        """Say in the executed notebook, too, what has ended it."""
        self._mark(type(error).__name__.removesuffix("Error"), error.body.partition("\n")[0])
        return error

    def _mark(self, name: str, message: str) -> None:
        if self._cell is not None:
            mark(self._cell, name, message)


def printed(log_file: Path) -> str:
    """Return what a kernel's process has written itself."""
    return log_file.read_text(encoding="utf-8", errors="replace").strip()
