"""Where the buildpack is, and running its two phases as a platform does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nachlass_cli import host, output
from nachlass_cli.environment import STACK_ID
from nachlass_cli.errors import BuildpackMissingError, PhaseCrashedError, not_detected
from nachlass_cli.interruption import Supervisor
from nachlass_cli.workspace import Workspace

_NOT_FOR_US = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseContext:
    """What both phases are started with.

    `env` is complete but for the CNB_* variables; `lock` is a descriptor that they inherit.
    """

    buildpack: Path
    workspace: Workspace
    env: Mapping[str, str]
    lock: int


def find_buildpack() -> Path:
    """Return the buildpack's directory: inside the installed package, else the repository of an editable installation.

    NACHLASS_BUILDPACK_DIR names another one; it exists for the development of nachlass.

    Raises:
        BuildpackMissingError: It has no executable phases.
    """
    package = Path(__file__).resolve().parent
    directory = Path(os.environ.get("NACHLASS_BUILDPACK_DIR") or package / "buildpack")
    if "NACHLASS_BUILDPACK_DIR" not in os.environ and not directory.is_dir():
        directory = package.parent
    for phase in ("detect", "build"):
        if not os.access(directory / "bin" / phase, os.X_OK):
            raise BuildpackMissingError(directory)
    return directory


def run_detect(context: PhaseContext, supervisor: Supervisor, repository: Path) -> None:
    """Ask the buildpack whether it can build the application.

    Raises:
        NotDetectedError, NoRequirementsError, NoStageError: It cannot; the error carries its reason.
        PhaseCrashedError: It ended with any other status.
    """
    plan = context.workspace.plans / "detect.toml"
    status, said = supervisor.run(
        [context.buildpack / "bin/detect", context.workspace.platform, plan],
        env={**_variables(context), "CNB_BUILD_PLAN_PATH": str(plan)},
        cwd=context.workspace.app,
        keep_open=[context.lock],
        capture=True,
    )
    if status == _NOT_FOR_US:
        raise not_detected(repository, said)
    if said:
        output.step(said.rstrip("\n"))
    if status != 0:
        raise PhaseCrashedError("detect", status)


def run_build(context: PhaseContext, supervisor: Supervisor) -> int:
    """Let the buildpack build, its output going to our own; return its exit status."""
    # No buildpack provides what nachlass could require, so the empty alternative of its plan is the one that holds.
    plan = context.workspace.plans / "build.toml"
    status, _ = supervisor.run(
        [context.buildpack / "bin/build", context.workspace.layers, context.workspace.platform, plan],
        env={
            **_variables(context),
            "CNB_LAYERS_DIR": str(context.workspace.layers),
            "CNB_BP_PLAN_PATH": str(plan),
            "NACHLASS_SYSTEM_PYTHON": "true",
            "NACHLASS_REPORT_DIR": str(context.workspace.report),
        },
        cwd=context.workspace.app,
        keep_open=[context.lock],
    )
    return status


def _variables(context: PhaseContext) -> dict[str, str]:
    return {
        **context.env,
        **host.target_variables(),
        "CNB_STACK_ID": STACK_ID,
        "CNB_BUILDPACK_DIR": str(context.buildpack),
        "CNB_PLATFORM_DIR": str(context.workspace.platform),
    }
