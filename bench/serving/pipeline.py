"""The pipeline without a server: what it predicts, and how fast.

A server has to predict the same, else its speed says nothing.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bench.serving.built import Built
from bench.serving.cores import ONE_EACH, pinned
from bench.serving.running import Running

_WORKER = Path(__file__).with_name("in_process.py")


class WrongAnswerError(Exception):
    """A server predicted something else than its pipeline."""


class InProcess:
    """The pipeline in the model's own Python, on the core that servers have."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._questions: IO[str] = process.stdin
        self._answers: IO[str] = process.stdout

    def predictions(self) -> list[Any]:
        """Return the predictions for all rows of the model."""
        found: list[Any] = self._ask("predictions")
        return found

    def calls(self, rows: int, seconds: float) -> list[float]:
        """Return the seconds of calls with so many rows, made for about `seconds`."""
        found: list[float] = self._ask(f"calls {rows} {seconds}")
        return found

    def _ask(self, question: str) -> Any:
        print(question, file=self._questions, flush=True)
        return json.loads(self._answers.readline())


@contextmanager
def in_process(built: Built) -> Iterator[InProcess]:
    """Start the worker; end it afterwards."""
    rows = built.description.with_name("rows.json")
    rows.write_text(json.dumps(built.model.rows), encoding="utf-8")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [str(built.python), str(_WORKER), str(built.pipeline), built.model.kind, str(rows)]
    with subprocess.Popen(
        pinned(command, ONE_EACH.server), env=threads, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield InProcess(process)
        assert process.stdin is not None
        process.stdin.close()


def verify(server: Running, expected: Sequence[Any]) -> None:
    """Ask for all that will be asked while its speed is measured.

    Raises:
        WrongAnswerError: An answer is not what the pipeline predicts.
    """
    for size in (1, 64):
        for number, rows in enumerate(server.built.model.requests(size)):
            wanted = list(expected[number * size : number * size + len(rows)])
            found = server.predict(rows)
            if found != wanted:
                raise WrongAnswerError(f"{server.server.name}: {found} instead of {wanted}")
