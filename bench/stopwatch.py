"""`bin/build` under a stopwatch: a real process in the lifecycle's directories, its log's lines with their times."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.phases import Phases

_TICKS = os.sysconf("SC_CLK_TCK")
_DECISION = re.compile(r"(?P<notebook>.+\.ipynb): (?P<what>run|reused) \(")
_STAMP = re.compile(r" +\[\d+/\d+\] bench (\w+) ([\d.]+)$")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the log and when it came, in seconds since 1970."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class NotebookTimes:
    """A notebook that was run.

    `whole_s` are the seconds from its heading in the log to the next one; `announced` is when the log said that it
    runs; `stamps` are what its cells print as `bench NAME NUMBER` (see repositories.py).
    """

    whole_s: float
    announced: float
    stamps: Mapping[str, float]

    @property
    def to_first_cell_s(self) -> float:
        return self.stamps["first"] - self.announced

    @property
    def cells_s(self) -> float:
        return self.stamps["last"] - self.stamps["first"]

    @property
    def own_s(self) -> float:
        return self.whole_s - self.cells_s


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A successful build. `cpu_s` and `read_bytes` are those of its process and all that it started and waited for."""

    seconds: float
    cpu_s: float
    read_bytes: int
    decisions: Mapping[str, str]
    notebooks: Sequence[NotebookTimes]
    lines: Sequence[Line]

    @property
    def kernels(self) -> int:
        """How many kernels were started."""
        return len(self.notebooks)


def build(phases: Phases) -> Timed:
    """Restore the layers and run `bin/build`; only that is timed, not what the platform does before and after."""
    process = phases.start_build()
    started = _started(process.pid)
    assert process.stdout is not None
    lines = [Line(at=time.time(), text=text.rstrip("\n")) for text in process.stdout]
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # It may be looked at until it is waited for.
    seconds = time.time() - started
    account = dict(line.split(": ") for line in Path(f"/proc/{process.pid}/io").read_text().splitlines())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    output = "\n".join(line.text for line in lines)
    assert process.returncode == 0, output
    phases.finish_build(0, output)
    found = (_DECISION.match(line.text) for line in lines)
    return Timed(
        seconds=seconds,
        cpu_s=usage.ru_utime + usage.ru_stime,
        read_bytes=int(account["rchar"]),
        decisions={match["notebook"]: match["what"] for match in found if match},
        notebooks=_notebooks(lines),
        lines=lines,
    )


def _started(pid: int) -> float:
    """Return when a process was started, in seconds since 1970, to a hundredth (proc(5), field 22 of `stat`)."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / _TICKS


def _notebooks(lines: Sequence[Line]) -> list[NotebookTimes]:
    headings = [index for index, line in enumerate(lines) if line.text.startswith("[")]
    found: list[NotebookTimes] = []
    for begin, end in itertools.pairwise(headings):
        section = lines[begin:end]
        announced = next((line.at for line in section if line.text.startswith("Running ")), None)
        if announced is not None and section[0].text.startswith("[Notebook "):
            stamps = {match[1]: float(match[2]) for line in section if (match := _STAMP.match(line.text))}
            found.append(NotebookTimes(whole_s=lines[end].at - section[0].at, announced=announced, stamps=stamps))
    return found
