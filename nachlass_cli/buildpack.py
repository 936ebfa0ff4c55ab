"""Where the buildpack is, and running its two phases as a platform does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_cli import host, output
from nachlass_cli.environment import STACK_ID
from nachlass_cli.errors import BuildpackMissingError, PhaseCrashedError, not_detected
from nachlass_cli.interruption import Supervisor
from nachlass_cli.notebooks import find_notebooks, misspelt_stage_variable
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
        app = context.workspace.app
        found = find_notebooks(app)
        raise not_detected(repository, said, found, misspelt_stage_variable(app, found))
    if status != 0:
        if said:
            output.step(said.rstrip("\n"))
        raise PhaseCrashedError("detect", status)  # Of one that passes, the rest is for those who order buildpacks.


def run_build(context: PhaseContext, repository: Path, supervisor: Supervisor) -> int:
    """Let the buildpack build, its output going to our own; return its exit status."""
    # No buildpack provides what nachlass could require, so the empty alternative of its plan is the one that holds.
    plan = context.workspace.plans / "build.toml"
    status, _ = supervisor.run(
        [context.buildpack / "bin/build", context.workspace.layers, context.workspace.platform, plan],
        env={
            **_variables(context),
            **_variables_of_build(context.workspace),
            "CNB_BP_PLAN_PATH": str(plan),
            "NACHLASS_REPOSITORY": str(repository),
            **host.terminal_variables(),
        },
        cwd=context.workspace.app,
        keep_open=[context.lock],
    )
    return status


def _variables(context: PhaseContext) -> dict[str, str]:
    return {**context.env, **_variables_of_phases(context.buildpack, context.workspace.platform)}


def _variables_of_phases(buildpack: Path, platform: Path) -> dict[str, str]:
    return {
        **host.target_variables(),
        "CNB_STACK_ID": STACK_ID,
        "CNB_BUILDPACK_DIR": str(buildpack),
        "CNB_PLATFORM_DIR": str(platform),
    }


def _variables_of_build(workspace: Workspace) -> dict[str, str]:
    return {
        "CNB_LAYERS_DIR": str(workspace.layers),
        "NACHLASS_SYSTEM_PYTHON": "true",
        "NACHLASS_REPORT_DIR": str(workspace.report),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Inquiry:
    """A question to the buildpack about the stage cache of a workspace (`nachlass_bp cache …`).

    `env` and `platform` are those of the build that is asked about; `app` is the copy that it would have.
    """

    workspace: Workspace
    env: Mapping[str, str]
    platform: Path
    app: Path


def ask(
    inquiry: Inquiry, words: Sequence[str], python: Path, supervisor: Supervisor, *, keep_open: Sequence[int] = ()
) -> int:
    """Let the buildpack answer, its output going to our own; return its exit status.

    `python` is the interpreter of the last build, which what that one installed works with.
    """
    buildpack = find_buildpack()
    status, _ = supervisor.run(
        [python, "-I", "-B", buildpack / "nachlass_bp", "cache", *words],
        env={
            **inquiry.env,
            **_variables_of_phases(buildpack, inquiry.platform),
            **_variables_of_build(inquiry.workspace),
        },
        cwd=inquiry.app,
        keep_open=keep_open,
    )
    return status
