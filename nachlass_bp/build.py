"""The build phase from its first decision to `launch.toml`: a table of contents."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import bindings, config, host, interpreter, notebooks, overlays, proof, tree
from nachlass_bp.cnb import launch
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import NothingSavedError, SklearnMissingError
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import kernel, packages, scorer, stages
from nachlass_bp.layers.scorer import ScorerLayer
from nachlass_bp.layers.stages import SavedStage
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output, size_text
from nachlass_bp.runner import execution
from nachlass_bp.runner.kernel import KernelConfiguration
from nachlass_bp.tree import WorkingTree
from nachlass_bp.version import version
from scorer import manifest
from scorer.manifest import Manifest

VERSIONED = ("scikit-learn", "numpy", "scipy", "pandas", "cloudpickle", "joblib", "skops")


def build(context: BuildContext, output: Output) -> None:
    """Turn the application directory into layers that serve its notebooks' pipeline.

    Raises:
        BuildpackError: Whatever the author can act on; nothing half made is left then (see `main`).
    """
    configuration = config.read(context)
    to_run = notebooks.resolve(configuration, context.app_dir)
    secrets = bindings.read(context.bindings_dir)
    output.hide(secrets.values())
    _say_what_runs(configuration, to_run, secrets, output)
    base = interpreter.provided(context)
    user = packages.ensure(context, base, output, upgrade=configuration.upgrade.value)
    if "scikit-learn" not in user.distributions:
        raise SklearnMissingError
    for facility in host.absent_facilities():
        output.step(f"This system has no {facility}")
    output.heading("Notebook kernel and scoring service")
    kernel_site = kernel.ensure(context, output)
    service = scorer.ensure(context, output)

    room = _Room(context=context, user=user, kernel_site=kernel_site, service=service, output=output)
    layer = stages.layer(context)
    layer.empty()
    with tempfile.TemporaryDirectory(prefix="nachlass-build-") as scratch:
        workspace = tree.create(context.app_dir, layer.path / stages.TREE)
        saved, samples = _run_all(room, configuration, to_run, secrets, workspace, Path(scratch))
        output.heading("Scoring service")
        plan = _plan(room, configuration, to_run, saved[-1].notebook, layer.path)
        built = stages.finish(layer, workspace, saved, samples, plan, output)
    _export(context, layer, service, built, user, output)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Room:
    """What every step of one build works with."""

    context: BuildContext
    user: Interpreter
    kernel_site: Path
    service: ScorerLayer
    output: Output

    @property
    def fallback_paths(self) -> tuple[str, ...]:
        """Where a cloudpickle comes from when the requirements have none: last on the path, now and at launch."""
        return () if "cloudpickle" in self.user.distributions else (str(self.service.cloudpickle_dir),)


def _say_what_runs(
    configuration: Configuration, to_run: Sequence[Notebook], secrets: Mapping[str, str], output: Output
) -> None:
    output.heading("Notebooks")
    source = configuration.notebooks.source if configuration.notebooks.value else "the only one that can save a stage"
    output.step(f"To run, in this order ({source}):")
    for notebook in to_run:
        output.detail(notebook.name)
    if configuration.notebook_cwd.value == "root":
        output.step(f"They run in the repository's root ({configuration.notebook_cwd.source})")
    if secrets:
        output.step(f"From service bindings they get {', '.join(sorted(secrets))}")


def _run_all(
    room: _Room,
    configuration: Configuration,
    to_run: Sequence[Notebook],
    secrets: Mapping[str, str],
    workspace: WorkingTree,
    scratch: Path,
) -> tuple[list[SavedStage], list[Path]]:
    """Run the notebooks in order; return the saved stages, one a notebook, and the files of candidate samples."""
    companion = overlays.choose_overlay(
        room.context.buildpack_dir / "locks" / "kernel.json",
        {name: found.version for name, found in room.user.distributions.items()},
    )
    for replaced in companion.replaced:
        room.output.step(f"In the notebooks' kernel: {replaced}")
    kernel_configuration = KernelConfiguration(
        overlay_module=str(room.service.overlay_module),
        site=str(room.kernel_site),
        names=companion.names,
        distributions=companion.distributions,
        fallback_paths=room.fallback_paths,
        import_paths=(str(workspace.root),),
        tree=str(workspace.root),
        app_dir=str(workspace.app_dir),
    )
    saved: dict[str, SavedStage] = {}
    samples: list[Path] = []
    for number, notebook in enumerate(to_run, start=1):
        room.output.heading(f"Notebook {number} of {len(to_run)}: {notebook.name}")
        directory = scratch / f"{number:02d}"
        directory.mkdir()
        job = execution.Job(
            notebook=notebook,
            python=room.user.executable,
            tree=workspace.root,
            kernel=kernel_configuration,
            env=user_environment(room.context.env, room.user),
            variables=secrets,
            stage_file=directory / "stage" / f"{notebook.stem}.sav",
            samples_file=directory / "samples.pickle",
            kept_file=_kept_file(room.context, notebook),
            home=configuration.home.value,
            timeout_s=configuration.timeout_s.value,
        )
        if _run_one(job, workspace, room.output):
            saved[notebook.name] = SavedStage(notebook=notebook, file=job.stage_file)
        if job.samples_file.exists():
            samples.append(job.samples_file)
    if not saved:
        last = to_run[-1]
        path = str(scratch / f"{len(to_run):02d}" / "stage" / f"{last.stem}.sav")
        others = [notebook.name for notebook in to_run[:-1]]
        raise NothingSavedError(notebook=last.name, stage_path=path, cell_count=len(last.code_cells), others=others)
    return list(saved.values()), samples


def _run_one(job: execution.Job, workspace: WorkingTree, output: Output) -> bool:
    """Run one notebook; return whether it saved a stage. Here is where a cache may answer instead."""
    sav = job.notebook.sav_path
    before = workspace.fingerprint(sav)
    output.step(f"Running {len(job.notebook.code_cells)} code cells")
    result = execution.run(job, output)
    if not result.saved:
        output.step(f"Done in {result.seconds:.1f} s; it saved no stage, so it counts as data preparation")
        return False
    output.step(f"Saved a stage ({size_text(job.stage_file.stat().st_size)}) in {result.seconds:.1f} s")
    # A file that stood there before this run is somebody's older stage: the next notebook must not load that one.
    if workspace.fingerprint(sav) == before:
        target = workspace.root / sav
        host.remove_tree(target)  # It may be a link out of the tree, or a directory.
        target.parent.mkdir(parents=True, exist_ok=True)  # The notebook may have deleted its own.
        shutil.copyfile(job.stage_file, target)
    return True


def _kept_file(context: BuildContext, notebook: Notebook) -> Path | None:
    return context.report_dir / "notebooks" / notebook.name if context.report_dir else None


def user_environment(env: Mapping[str, str], user: Interpreter) -> dict[str, str]:
    """Return the environment of the user's interpreter: the build's, our virtual environment first if there is one."""
    if user.prefix == user.base_prefix or env.get("VIRTUAL_ENV") == str(user.prefix):
        return dict(env)
    return packages.environment(env, user.prefix)


def _plan(
    room: _Room, configuration: Configuration, to_run: Sequence[Notebook], predictor: Notebook, layer_path: Path
) -> stages.Plan:
    context, user = room.context, room.user
    root = layer_path / stages.TREE
    server = overlays.choose_overlay(
        context.buildpack_dir / "locks" / "scorer.json",
        {name: found.version for name, found in user.distributions.items()},
    )
    versions = user.versions(VERSIONED)
    if room.fallback_paths:
        versions["cloudpickle"] = _locked_version(context.buildpack_dir / "locks" / "cloudpickle.txt")
    return stages.Plan(
        name=context.app_dir.name if context.app_dir.name not in {"app", "workspace"} else "model",
        nachlass_version=version(context.buildpack_dir),
        interpreter=manifest.Interpreter(
            executable=str(user.executable), version=user.version, implementation=user.implementation, abi=user.abi
        ),
        launch=manifest.Launch(
            working_dir=os.path.normpath(root / predictor.cwd),
            notebook_paths=tuple(dict.fromkeys(os.path.normpath(root / notebook.cwd) for notebook in to_run)),
            import_paths=(str(root),),
            fallback_paths=room.fallback_paths,
            overlay_site=str(room.service.overlay_site),
            overlay_names=server.names,
            overlay_distributions=server.distributions,
            app_dir=str(context.app_dir),
        ),
        versions={**versions, "python": user.version},
        launcher=proof.Launcher(
            python=user.executable, file=room.service.launcher, env=launch_environment(context.env, user)
        ),
        ship=configuration.ship.value,
        ship_sample=configuration.ship_sample.value,
        sample_out=context.report_dir / "sample.json" if context.report_dir else None,
        limit_s=configuration.timeout_s.value,
    )


def launch_environment(env: Mapping[str, str], user: Interpreter) -> dict[str, str]:
    """Return what a launched process will have of it: neither the build's settings nor the lifecycle's variables."""
    kept = user_environment(env, user)
    return {name: value for name, value in kept.items() if not name.startswith(("CNB_", "PIP_", "NACHLASS_"))}


def _locked_version(lock: Path) -> str:
    return lock.read_text(encoding="utf-8").partition("cloudpickle==")[2].split()[0]


def _export(
    context: BuildContext, layer: Layer, service: ScorerLayer, built: Manifest, user: Interpreter, output: Output
) -> None:
    key = stages.content_key(layer.path)
    layer.seal(key)
    layer.declare({"key": key})
    assert built.model is not None
    web = launch.Process(type="web", command=[str(user.executable), str(service.launcher), "web"], default=True)
    launch.write(
        context.layers_dir,
        [web],
        {
            "io.nachlass.version": built.nachlass_version,
            "io.nachlass.stages": ",".join(f"{stage.name}={stage.estimator}" for stage in built.stages),
            "io.nachlass.task": built.model.task,
            "io.nachlass.python": user.version,
            "io.nachlass.scikit-learn": built.versions["scikit-learn"],
        },
    )
    for stage in built.stages:
        output.step(f"{stage.notebook}: {stage.estimator} ({size_text(stage.size_bytes)})")
    output.step(f"The pipeline loads and predicts as the service will run it ({built.model.task})")
