"""Measure images: `make bench-image [ARGS="--runs 3 --only builds"]`.

Real pack and docker with `examples/spam`, on the Debian builder but for the bytecode, which is measured where the
provider of Python ships none. The figures in docs/benchmarks.md come from here.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.report import row, section
from tests.support import builders
from tests.support.docker import docker, serving
from tests.support.pack import Platform, platform, remove_images
from tests.support.pythons import ROOT, find_python, wheelhouse

NAME = "nachlass-bench"
PARTS = ("builds", "sizes", "starts", "bytecode")
BY_HAND = ("scikit-learn", "scipy", "cloudpickle", "fastapi", "uvicorn[standard]")
"""What somebody would install who writes a Dockerfile for the same model."""
BY_MLFLOW = ("mlflow", "scikit-learn", "scipy", "cloudpickle")
"""What an image of `mlflow models build-docker` installs for it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each thing (default: 3)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nachlass-bench-") as directory:
        root = Path(directory)
        remove_images(NAME)
        try:
            measure(root, arguments.runs, arguments.only)
        finally:
            remove_images(NAME)


def measure(root: Path, runs: int, parts: Sequence[str]) -> None:
    machine = platform(root / "person")
    repository = root / "spam"
    shutil.copytree(ROOT / "examples/spam", repository)
    if "builds" in parts:
        _builds(machine, repository, runs)
    elif parts != ["bytecode"]:
        machine.built(NAME, repository)
    if "sizes" in parts:
        _sizes(root)
    if "starts" in parts:
        _starts(runs)
    if "bytecode" in parts:
        _bytecode(machine, repository, root, runs)


def _builds(machine: Platform, repository: Path, runs: int) -> None:
    section("pack build of examples/spam on the Debian builder, packages from wheels on this machine")
    cold, unchanged, changed = [], [], []
    for number in range(runs):
        remove_images(NAME)
        cold.append(_seconds(machine, repository))
        unchanged.append(_seconds(machine, repository))
        _change(repository / "02-model.ipynb", number)
        changed.append(_seconds(machine, repository))
    row("cold", cold, "s")
    row("unchanged", unchanged, "s")
    row("one notebook of two changed", changed, "s")


def _seconds(machine: Platform, repository: Path) -> float:
    started = time.monotonic()
    machine.built(NAME, repository)
    return time.monotonic() - started


def _change(notebook: Path, number: int) -> None:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["source"] = [*cell["source"], f"\nvariant = {number}"]
    notebook.write_text(json.dumps(content), encoding="utf-8")


def _sizes(root: Path) -> None:
    section("size beside the run image, all on the same one")
    base = _bytes("nachlass/run-debian")
    row("ours", [(_bytes(NAME) - base) / 1e6], "MB")
    for name, requirements in (("FastAPI, by hand", BY_HAND), ("what MLflow's image installs", BY_MLFLOW)):
        row(name, [(_installed(root, requirements) - base) / 1e6], "MB")


def _installed(root: Path, requirements: Sequence[str]) -> int:
    """Return the size of the run image with these installed into a virtual environment, and the stages beside them."""
    python = find_python("python3", path="/usr/bin:/bin")
    assert python is not None
    wheels = wheelhouse(python, requirements)
    made = f"{NAME}-other"
    stages = docker("create", NAME).strip()
    docker("cp", f"{stages}:/layers/nachlass_nachlass/stages", root / "stages")
    docker("rm", stages)
    pip = "/opt/venv/bin/pip install -q --no-cache-dir --no-index --find-links /wheels"
    install = f"python3 -m venv /opt/venv && {pip} {shlex.join(requirements)}"
    docker("rm", "--force", made, check=False)
    docker(
        "run",
        "--name",
        made,
        "--user",
        "0",
        "--volume",
        f"{wheels}:/wheels:ro",
        "nachlass/run-debian",
        "sh",
        "-c",
        install,
    )
    docker("cp", root / "stages", f"{made}:/opt/stages")
    docker("commit", made, f"{made}:latest")
    docker("rm", made)
    shutil.rmtree(root / "stages")
    return _bytes(f"{made}:latest")


def _bytes(image: str) -> int:
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def _starts(runs: int) -> None:
    section("docker run until /readyz answers, page cache warm")
    shipped, without = [], []
    for _ in range(runs + 1):
        shipped.append(_ready())
        without.append(_ready("--env", "PYTHONPYCACHEPREFIX=/tmp/none"))
    row("as it is", shipped[1:], "s")
    row("without the bytecode in it", without[1:], "s")


def _bytecode(machine: Platform, repository: Path, root: Path, runs: int) -> None:
    section("docker run until /readyz answers, Python from buildpacks shaped as Paketo's, page cache warm")
    bases = builders.Bases.make(machine, NAME, repository)
    log = bases.build("paketo", bases.builder("paketo", bases.replaced("builder.toml"), root))
    shipped, without = [], []
    for _ in range(runs + 1):
        shipped.append(_ready(image=f"{NAME}-paketo"))
        without.append(_ready("--tmpfs", f"{builders.BYTECODE}:mode=1777", image=f"{NAME}-paketo"))
    row("with the layer pycache", shipped[1:], "s")
    row("without it", without[1:], "s")
    print(next(line for line in log.splitlines() if line.startswith("Shipping bytecode")))


def _ready(*options: str, image: str = NAME) -> float:
    started = time.monotonic()
    with serving(image, options=options):
        return time.monotonic() - started


if __name__ == "__main__":
    main()
