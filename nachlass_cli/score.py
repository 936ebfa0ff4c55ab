"""`nachlass score`: become the `score` process of the last build."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from nachlass_cli.launch import prepare_process
from nachlass_cli.record import BuildRecord
from nachlass_cli.workspace import Workspace


def score(workspace: Workspace, record: BuildRecord, words: Sequence[str], *, directory: Path) -> NoReturn:
    """Replace this process by one that reads rows and writes predictions, as the words say.

    `directory` is what the person called the repository, or its output directory: the usage repeats it.

    Raises:
        LayersInvalidError: The build has no such process that can be started.
    """
    process = prepare_process(workspace, record, "score")
    env = {**process.env, "NACHLASS_REPOSITORY": str(directory)}
    sys.stdout.flush()
    # Not in the process's own directory, to which it goes by itself: files are where the person says.
    os.execve(process.command[0], [*process.command, *words], env)  # noqa: S606 - as `serve` does
