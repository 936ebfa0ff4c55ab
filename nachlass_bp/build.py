"""The build phase from its first decision to `launch.toml`: a table of contents."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from nachlass_bp import (
    bindings,
    config,
    host,
    interpreter,
    notebooks,
    overlays,
    parameters,
    proof,
    provenance,
    reuse,
    sbom,
    self_contained,
    training,
)
from nachlass_bp.cnb import application, launch
from nachlass_bp.config import Configuration
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import SklearnMissingError
from nachlass_bp.hidden import Hidden, is_telling
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.layers import notebooks as pages
from nachlass_bp.layers import packages, publish, pycache, stages
from nachlass_bp.layers.ours import Ours
from nachlass_bp.layers.publish import Renderer
from nachlass_bp.layers.pycache import Bytecode
from nachlass_bp.notebooks import Notebook
from nachlass_bp.output import Output, size_text
from nachlass_bp.previous_image import PreviousImage
from nachlass_bp.provenance import Lineage
from nachlass_bp.reuse import Facts
from nachlass_bp.room import Room
from nachlass_bp.training import Trained
from nachlass_bp.version import version
from scorer import manifest
from scorer.manifest import Manifest, Model

VERSIONED = ("scikit-learn", "numpy", "scipy", "pandas", "cloudpickle", "joblib", "skops")


def build(context: BuildContext, ours: Ours, output: Output) -> None:
    """Turn the application directory into layers that serve its notebooks' pipeline.

    Raises:
        BuildpackError: Whatever the author can act on; nothing half made is left then (see `main`).
    """
    configuration = config.read(context)
    to_run = notebooks.resolve(configuration, context.app_dir)
    secrets = bindings.read(context.bindings_dir)
    output.hide(secrets.values())
    _say_what_runs(configuration, to_run, secrets, output)
    # Before anything else is made: an installation that needs a working tree discards the layer.
    before = reuse.previous_metadata(stages.layer(context))
    base = interpreter.provided(context)
    user = packages.ensure(context, base, output, upgrade=configuration.upgrade.value)
    if "scikit-learn" not in user.distributions:
        raise SklearnMissingError
    for facility in host.absent_facilities():
        output.step(f"This system has no {facility}")
    room = Room(context=context, user=user, kernel_site=ours.kernel_site, service=ours.service, output=output)
    publishing = configuration.publish_notebooks
    # Before the notebooks run: that it can't be installed must not cost a training.
    renderer: Renderer | None = None
    if publishing.value != "off":
        output.heading("Pages of the notebooks")
        renderer = publish.ensure(context, output)
    # Who will save the last stage isn't known yet, and doesn't matter: the notebooks' code decides it.
    plan = _plan(room, configuration, to_run, to_run[-1])
    previous = PreviousImage(room, configuration, to_run, list(secrets), plan, before)
    bytecode = Bytecode(room)
    if pages.can_stay(context, publishing.value) and bytecode.can_stay() and (kept := previous.keep()):
        pages.stay(context, publishing.value)
        bytecode.stay()
        _export(room, kept)
        return
    with tempfile.TemporaryDirectory(prefix="nachlass-build-") as scratch:
        trained = training.train(room, configuration, to_run, secrets, Path(scratch))
        output.heading("Scoring service")
        plan = _plan(room, configuration, to_run, trained.saved[-1].notebook)
        lineage = _lineage(room, configuration.home.value, secrets, trained)
        facts = _finish(room, trained, plan, lineage, previous, bytecode)
        if renderer is None:
            for unwanted in (publish.layer(context), pages.layer(context)):
                unwanted.discard()
        else:
            pages.publish(renderer, publishing.value, to_run, trained.executed, Path(scratch), output)
        _warn_of_secrets(room, Hidden(secrets))
    _export(room, facts)
    training.tidy_up(trained, configuration, output)


def _say_what_runs(
    configuration: Configuration, to_run: Sequence[Notebook], secrets: Mapping[str, str], output: Output
) -> None:
    output.heading("Notebooks")
    stages = configuration.stages
    inferred = stages.source if stages.value else "the only one that can save a stage"
    source = configuration.notebooks.source if configuration.notebooks.value else inferred
    output.step(f"To run, in this order ({source}):")
    for notebook in to_run:
        output.detail(notebook.name)
    if configuration.notebook_cwd.value == "root":
        output.step(f"They run in the repository's root ({configuration.notebook_cwd.source})")
    parameters.say(configuration.parameters, to_run, output)
    if configuration.seed.value is not None:
        output.step(
            f"Their random numbers begin with the seed {configuration.seed.value} ({configuration.seed.source})"
        )
    if secrets:
        output.step(f"From service bindings they get {', '.join(sorted(secrets))}")


def _name(context: BuildContext) -> str:
    """Return what the repository is called, as far as the platform lets a build know."""
    directory = Path(context.repository) if context.repository is not None else context.app_dir
    return directory.name if directory.name not in {"", "app", "src", "workspace"} else "model"


def _plan(room: Room, configuration: Configuration, to_run: Sequence[Notebook], predictor: Notebook) -> stages.Plan:
    context, user = room.context, room.user
    root = stages.layer(context).path / stages.TREE
    server = overlays.choose_overlay(
        context.buildpack_dir / "locks" / "scorer.json",
        {name: found.version for name, found in user.distributions.items()},
    )
    versions = user.versions(VERSIONED)
    if room.fallback_paths:
        versions["cloudpickle"] = _locked_version(context.buildpack_dir / "locks" / "cloudpickle.txt")
    return stages.Plan(
        name=_name(context),
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
        launcher=proof.Launcher(python=user.executable, file=room.service.launcher, env=launch_environment(room)),
        ship=configuration.ship.value,
        ship_sample=configuration.ship_sample.value,
        sample_out=context.report_dir / "sample.json" if context.report_dir else None,
        limit_s=configuration.timeout_s.value,
        is_seeded=configuration.seed.value is not None,
        keeps_reference=configuration.drift.value,
        lists_imports=pycache.is_wanted(room.context),
    )


def launch_environment(room: Room) -> dict[str, str]:
    """Return what a launched process will have of it: neither the build's settings nor the lifecycle's variables."""
    kept = room.user_environment
    return {name: value for name, value in kept.items() if not name.startswith(("CNB_", "PIP_", "NACHLASS_"))}


def _locked_version(lock: Path) -> str:
    return lock.read_text(encoding="utf-8").partition("cloudpickle==")[2].split()[0]


def _finish(
    room: Room,
    trained: Trained,
    plan: stages.Plan,
    lineage: Lineage,
    previous: PreviousImage,
    bytecode: Bytecode,
) -> Facts:
    """Make and prove the `stages` layer, or leave it to the previous image, which has the same; so with `pycache`."""
    layer, store = stages.layer(room.context), trained.store
    inputs: str | None = None
    # A layer in which there may be a secret is made again, so that each build warns of it.
    if store is not None and trained.is_traced and not trained.holds_secrets:
        # Keyed, because it goes into the image, and files with values of variables are among what it is made from.
        inputs = store.keyed_digest(
            reuse.inputs_of(trained.traces, lineage.digest, plan, trained.desk.view, room.service.key)
        )
        facts = None
        if bytecode.can_stay():
            facts = reuse.find(previous.metadata, inputs, store, trained.desk.view, plan.sample_out)
        if facts is not None:
            bytecode.stay()
            previous.declare(inputs)
            layer.write_sbom(facts.sbom)
            room.output.step("Keeping the model of the previous build, which is the same")
            return facts
    finished = stages.finish(layer, trained.desk.tree(), trained.saved, trained.samples, plan, lineage, room.output)
    bytecode.make(finished.imported)
    key = stages.content_key(layer.path)
    layer.seal(key)
    facts = _facts(finished.manifest, room.user, sbom.to_json(finished.manifest, finished.provenance, room.user))
    told = previous.describe(trained.runs, facts, reuse.metadata(key, inputs))
    layer.declare(reuse.metadata(key, inputs, told))
    layer.write_sbom(facts.sbom)
    if store is not None and inputs is not None and finished.opened is not None:
        reuse.keep(store, inputs, facts, finished.opened, trained.desk.view, plan.sample_out)
    return facts


def _lineage(room: Room, home: Path | None, secrets: Mapping[str, str], trained: Trained) -> Lineage:
    context, hidden = room.context, Hidden(secrets)
    variables = {
        name: context.env[name]
        for name in self_contained.chosen_variables(context)
        if name in context.env and is_telling(name, context.env[name])
    }
    surroundings = provenance.Surroundings(
        home=home,
        private=provenance.private_directories(context.platform_dir, context.bindings_dir),
        withheld=provenance.withheld_digests(trained.traces, trained.store, Hidden({**variables, **secrets})),
        redact=hidden.redact,
        has_secrets=trained.holds_secrets,
    )
    return provenance.lineage_of(trained.runs, room.user, surroundings)


def _warn_of_secrets(room: Room, hidden: Hidden) -> None:
    """Say which files of the image hold the value of a secret: notebooks have put it there, and it works with it."""
    for layer in (stages.layer(room.context), pages.layer(room.context)):
        files = sorted(path for path in layer.path.rglob("*") if path.is_file() and not path.is_symlink())
        for file in files if hidden else ():
            # Links lead to the repository, which is in the image as it is.
            if (name := hidden.in_file(file)) is not None:
                room.output.warning(
                    f"{file.relative_to(layer.path)} holds the value of the secret {name}, and everybody who has the "
                    "image can read it.\nA notebook has put it there: docs/configuration.md, Secrets."
                )


def _facts(built: Manifest, user: Interpreter, bill: str) -> Facts:
    assert built.model is not None
    return Facts(
        labels={
            "io.nachlass.version": built.nachlass_version,
            "io.nachlass.stages": ",".join(f"{stage.name}={stage.estimator}" for stage in built.stages),
            "io.nachlass.task": built.model.task,
            "io.nachlass.python": user.version,
            "io.nachlass.scikit-learn": built.versions["scikit-learn"],
        },
        lines=[
            *(f"{stage.notebook}: {stage.estimator} ({size_text(stage.size_bytes)})" for stage in built.stages),
            f"The pipeline loads and predicts as the service will run it ({built.model.task.replace('_', ' ')})",
            *_sharing(built.model),
        ],
        sbom=bill,
    )


def _sharing(model: Model) -> list[str]:
    merging = model.merging
    if merging is None:
        return []
    if merging.is_proven and merging.is_reviewed:
        return [f"Requests will share calls of predict: {merging.reason}"]
    advice = " (NACHLASS_BATCH=on of the service lets them)" if merging.is_proven else ""
    return [f"Requests won't share calls of predict: {merging.reason}{advice}"]


def _export(room: Room, facts: Facts) -> None:
    if room.context.repository is None:  # A person's own copy stays as private as what it was made of.
        application.open_to_all(room.context.app_dir)
    command = [str(room.user.executable), str(room.service.launcher)]
    web = launch.Process(type="web", command=[*command, "web"], default=True)
    score = launch.Process(type="score", command=[*command, "score"])
    launch.write(room.context.layers_dir, [web, score], facts.labels)
    for line in facts.lines:
        room.output.step(line)
