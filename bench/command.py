"""The command `nachlass` on an example: our time beside the cells' own, and the service's start.

The latter stands beside a bare `import sklearn` and unpickling in the same interpreter.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.report import row, section

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "spam"
NACHLASS = (sys.executable, "-m", "nachlass_cli")
CELLS = re.compile(r"^(?:Saved a stage .* in|Done in) ([\d.]+) s")
BARE = "import pickle, sys\nimport sklearn\nfor path in sys.argv[1:]:\n    pickle.load(open(path, 'rb'))\n"


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build: wall seconds, the cells' seconds, and the driver's peak memory."""

    seconds: float
    cells_s: float
    restore_s: float
    driver_mib: float

    @property
    def own_s(self) -> float:
        return self.seconds - self.cells_s


def measure(output: Path, runs: int) -> None:
    section("The command on examples/spam")
    row("bin/detect", [detect() for _ in range(runs)], "ms", "20 ms")
    for _ in log_lines(output):
        pass  # Fills the layers; the caches of pip are warm now.
    remade = [remake(output) for _ in range(max(1, runs // 2))]
    row("make tools and kernel, warm pip cache", remade, "s", "15 s")
    builds = [build(output, "--env", "NACHLASS_CACHE=off") for _ in range(runs)]
    row("restore tools, kernel and service", [each.restore_s for each in builds], "s", "0.3 s")
    row("unchanged build, beside the cells", [each.own_s for each in builds], "s", "5 s")
    for _ in log_lines(output):
        pass  # A run that the next ones can reuse.
    row("unchanged build, every notebook reused", [build(output).seconds for _ in range(runs)], "s")
    row("driver's peak memory", [each.driver_mib for each in builds], "MiB", "120 MiB")
    pairs = [(ready(output), bare(output)) for _ in range(runs)]
    row("nachlass serve until ready", [ours for ours, _ in pairs], "s")
    row("import sklearn and unpickle", [theirs for _, theirs in pairs], "s")
    row("ratio of these, pair by pair", [ours / theirs for ours, theirs in pairs], "x", "1.5 x")


def detect() -> float:
    """Return the milliseconds of `bin/detect` on the example."""
    with tempfile.NamedTemporaryFile() as plan:
        env = {"PATH": "/usr/bin:/bin", "CNB_BUILD_PLAN_PATH": plan.name, "CNB_PLATFORM_DIR": "/nonexistent"}
        started = time.perf_counter()
        subprocess.run([ROOT / "bin" / "detect"], cwd=EXAMPLE, env=env, check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - started) * 1000


def log_lines(output: Path, *options: str) -> Iterator[tuple[float, str, int]]:
    """Build the example; yield each line of the log with the time of its arrival and the command's process id."""
    process = subprocess.Popen(
        [*NACHLASS, "build", EXAMPLE, "--output", output, *options],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        yield time.perf_counter(), line, process.pid
    assert process.wait() == 0, "the build failed; run it by hand to see why"


def build(output: Path, *options: str) -> Build:
    """Build the example, timing the log's lines as they come."""
    stamps: dict[str, float] = {}
    cells = driver = 0.0
    started = time.perf_counter()
    for now, line, command in log_lines(output, *options):
        stamps.setdefault(line.strip(), now)
        driver = max(driver, driver_memory(command))
        if match := CELLS.match(line):
            cells += float(match[1])
    seconds = time.perf_counter() - started
    restore = stamps["Using cached scoring service"] - stamps["[nachlass]"]
    return Build(seconds=seconds, cells_s=cells, restore_s=restore, driver_mib=driver)


def driver_memory(command: int) -> float:
    """Return the peak memory of `bin/build`'s process below the command, in MiB, as far as it got."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
            arguments = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if f"PPid:\t{command}\n" in text and b"nachlass_bp" in arguments:
            return int(text.partition("VmHWM:")[2].split()[0]) / 1024
    return 0.0


def remake(output: Path) -> float:
    """Return the seconds from nothing to the layers of our tools and of the notebooks' kernel."""
    for name in ("tools", "kernel"):
        for path in (output / "layers").rglob(f"{name}.toml"):
            shutil.rmtree(path.with_suffix(""))
    stamps = {line.strip(): now for now, line, _ in log_lines(output)}
    return stamps["[Notebooks]"] - stamps["[nachlass]"]


def ready(output: Path) -> float:
    """Return the seconds from `nachlass serve` to the first good answer of /readyz."""
    port = "18231"
    seconds = 0.0
    started = time.perf_counter()
    process = subprocess.Popen(
        [*NACHLASS, "serve", output, "--port", port],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not seconds:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                seconds = time.perf_counter() - started
        except OSError:
            assert process.poll() is None, "the service ended"
            time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    process.wait()
    return seconds


def bare(output: Path) -> float:
    """Return the seconds of importing scikit-learn and unpickling the stages in the bare interpreter."""
    python = next((output / "layers").rglob("packages/bin/python"))
    files = sorted((output / "layers").rglob("stages/stages/*.stage"))
    started = time.perf_counter()
    subprocess.run([python, "-c", BARE, *files], check=True)
    return time.perf_counter() - started


def environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NACHLASS_")}
