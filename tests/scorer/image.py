"""The launch layers of an image, laid out as a build lays them out, around stages that a test fits."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from scorer import manifest as manifests
from scorer.manifest import Interpreter, Launch, Manifest, Stage

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class ScorerLayer:
    """`<layers>/scorer`: our code and its overlay."""

    directory: Path

    @property
    def launcher(self) -> Path:
        return self.directory / "launcher.py"

    @property
    def overlay(self) -> Path:
        return self.directory / "overlay"

    def launch(self, working_dir: Path, notebook_paths: Sequence[str] = ()) -> Launch:
        lock = json.loads((ROOT / "locks/scorer.json").read_text())
        packages = {**lock["ours"], **lock["shared"]}
        return Launch(
            working_dir=str(working_dir),
            import_paths=(str(working_dir),),
            fallback_paths=(),
            overlay_site=str(self.overlay),
            overlay_names=tuple(name for package in packages.values() for name in package["names"]),
            overlay_distributions=tuple(packages),
            notebook_paths=tuple(notebook_paths),
        )


def make_scorer_layer(directory: Path) -> ScorerLayer:
    """Copy our package and install its locked overlay, as the build does."""
    layer = ScorerLayer(directory=directory)
    shutil.copytree(ROOT / "scorer", directory / "app/nachlass_scorer", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "scorer/launcher.py", layer.launcher)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    options = ["--require-hashes", "--no-deps", "--target", str(layer.overlay)]
    subprocess.run([*pip, *options, "-r", str(ROOT / "locks/scorer.txt")], check=True)
    return layer


@dataclass(frozen=True, kw_only=True)
class Image:
    """Stages and manifest of one model, beside a scorer layer."""

    scorer: ScorerLayer
    stages: Path
    app: Path

    @property
    def manifest_file(self) -> Path:
        return self.stages / "manifest.json"

    def write_stages(self, stages: Sequence[object], *, notebook_paths: Sequence[str] = ()) -> None:
        """Save fitted stages (or ready bytes) and a draft manifest, as a build does before its proof."""
        saved = []
        for number, stage in enumerate(stages, start=1):
            body = stage if isinstance(stage, bytes) else cloudpickle.dumps(stage)
            name = f"stages/{number:02}.pickle"
            (self.stages / "stages").mkdir(parents=True, exist_ok=True)
            (self.stages / name).write_bytes(body)
            saved.append(
                Stage(
                    name=f"{number:02}-stage",
                    notebook=f"{number:02}-stage.ipynb",
                    file=name,
                    sha256=hashlib.sha256(body).hexdigest(),
                    size_bytes=len(body),
                    format="pickle",
                    estimator="",
                )
            )
        manifest = Manifest(
            schema_version=manifests.SCHEMA_VERSION,
            nachlass_version="0.1.0",
            name="a-model",
            stages=tuple(saved),
            interpreter=Interpreter(
                executable=sys.executable,
                version=".".join(map(str, sys.version_info[:3])),
                implementation=sys.implementation.name,
                abi=str(sysconfig.get_config_var("SOABI")),
            ),
            launch=self.scorer.launch(self.app, notebook_paths),
            versions={"python": "3"},
        )
        manifest.write(self.manifest_file)

    def check(self, samples: Sequence[Any], *, more: Sequence[Any] = (), **options: Any) -> dict[str, Any]:
        """Run the proof with candidate samples, of which there may be more rows; return its report."""
        report = self.stages.parent / "report.json"
        sample = self.stages.parent / "samples.pickle"
        sample.write_bytes(pickle.dumps(list(samples)) + pickle.dumps(list(more)))
        request = self.stages.parent / "request.json"
        request.write_text(json.dumps({"report": str(report), "samples": [str(sample)], **options}))
        finished = subprocess.run(
            [sys.executable, str(self.scorer.launcher), "check", str(request)],
            env=self.env(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        answer: dict[str, Any] = json.loads(report.read_text())
        return answer

    def finish(self, report: Mapping[str, Any]) -> None:
        """Complete the manifest by what the proof found, as a build does."""
        assert report["ok"], report
        draft = manifests.read(self.manifest_file)
        model = manifests.model_from_json(report["model"])
        dataclasses.replace(draft, model=model).write(self.manifest_file)

    def edit_manifest(self, **changes: Any) -> None:
        """Change top-level keys of manifest.json."""
        data = json.loads(self.manifest_file.read_text())
        self.manifest_file.write_text(json.dumps({**data, **changes}))

    def env(self, **variables: str) -> dict[str, str]:
        """Return the environment of a launched process: nothing of this one's but PATH, and no wait at its end."""
        settings = {"NACHLASS_MANIFEST": str(self.manifest_file), "NACHLASS_DRAIN": "0"}
        return {"PATH": os.environ["PATH"], **settings, **variables}

    def run_web(
        self, *arguments: str, python: str = sys.executable, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a `web` that is expected to end by itself."""
        return subprocess.run(
            [python, str(self.scorer.launcher), *(arguments or ("web",))],
            env=self.env(**variables),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def make_image(scorer: ScorerLayer, directory: Path) -> Image:
    """Return an image without stages."""
    image = Image(scorer=scorer, stages=directory / "stages", app=directory / "app")
    image.stages.mkdir()
    image.app.mkdir()
    return image
