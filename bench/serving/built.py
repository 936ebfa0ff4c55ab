"""A model, built by the real command, and what others need of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.command import NACHLASS, environment
from bench.environments import CACHE
from bench.report import progress
from bench.serving.models import Model


@dataclass(frozen=True, kw_only=True)
class Built:
    """A model whose service can be started. `pipeline` is the file that its notebook saved."""

    model: Model
    output: Path
    python: Path
    pipeline: Path
    description: Path
    """A JSON file for the peers: what a row of the model is."""


def build(model: Model) -> Built:
    """Build the model below .cache/bench; what has not changed since the last time is reused, as everywhere."""
    progress(f"building {model.name}")
    directory = CACHE / "serving" / model.name
    directory.mkdir(parents=True, exist_ok=True)
    output = directory / "output"
    # Not below .cache: git ignores all that is there, and what git ignores is not built.
    with tempfile.TemporaryDirectory(prefix="nachlass-bench-") as temporary:
        repository = model.write_repository(Path(temporary) / model.name)
        command: list[str | Path] = [*NACHLASS, "build", repository, "--output", output]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    description = directory / "description.json"
    width = len(model.rows[0]) if model.kind == "numbers" else 0
    description.write_text(json.dumps({"kind": model.kind, "width": width, "columns": dict(model.columns)}))
    layers = output / "layers"
    (pipeline,) = (layers / "stages/stages").iterdir()
    python = layers / "packages/bin/python"
    return Built(model=model, output=output, python=python, pipeline=pipeline, description=description)
