"""Measure builds: `make bench-build [ARGS="--runs 7 --only command runs cache peers scenarios"]`.

All is compared within one run on one machine. The figures in docs/benchmarks.md come from here.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import cache_cost, command, kernels, peers, scenarios
from bench.report import progress
from tests.support.installed import DATA_PACKAGES, install
from tests.support.phases import Phases

PARTS: dict[str, Callable[[Phases, Path, int], None]] = {
    "runs": kernels.measure,
    "cache": cache_cost.measure,
    "peers": peers.measure,
    "scenarios": scenarios.measure,
}
"""What is measured on a platform on which everything is installed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each thing (default: 5)")
    parser.add_argument("--only", nargs="+", choices=["command", *PARTS], help="measure these parts")
    arguments = parser.parse_args()
    parts = arguments.only or ["command", *PARTS]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nachlass-bench-") as directory:
        root = Path(directory)
        if "command" in parts:
            command.measure(root / "command", arguments.runs)
        others = [name for name in PARTS if name in parts]
        if others:
            progress("installing what notebooks need")
            installed = install(root / "installed", DATA_PACKAGES)
            for name in others:
                PARTS[name](installed, root / name, arguments.runs)
    print(f"\nAll of it took {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
