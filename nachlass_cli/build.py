"""`nachlass build`: play the platform for one repository."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib.metadata
import os
from pathlib import Path

from nachlass_cli import host, layers, output, snapshot
from nachlass_cli.app_copy import copy_app, lfs_pointers
from nachlass_cli.arguments import BuildOptions
from nachlass_cli.buildpack import PhaseContext, find_buildpack, run_build, run_detect
from nachlass_cli.diagnosis import (
    Situation,
    advice_left_to_us,
    explain_missing,
    explain_pointers,
    read_failure,
)
from nachlass_cli.environment import (
    commit_variables,
    phase_variables,
    platform_variables,
    warn_of_settings_left_out,
    warn_of_unknown_settings,
    with_platform_variables,
    write_platform_directory,
)
from nachlass_cli.errors import LayersInvalidError, PhaseCrashedError, RepositoryNotFoundError
from nachlass_cli.interpreters import Interpreter, choose_interpreter, path_directory
from nachlass_cli.interruption import Supervisor
from nachlass_cli.project import read_project
from nachlass_cli.record import BuildRecord, read_record
from nachlass_cli.selection import Selection, select_files
from nachlass_cli.workspace import Workspace, locked, open_workspace

_NOTEBOOKS = "notebooks"


class BuildFailedError(Exception):
    """The buildpack said why it failed, and this machine's files add nothing to it."""


def build(options: BuildOptions, supervisor: Supervisor) -> tuple[Workspace, BuildRecord]:
    """Build the repository; afterwards the output directory holds the new build, or the previous one if this failed.

    Raises:
        CliError: A failure that we can explain.
        BuildFailedError: A failure that the buildpack has explained.
        Interrupted: A signal arrived; everything is as before.
    """
    repository = find_repository(options.repository)
    buildpack = find_buildpack()
    project = read_project(repository)
    interpreter, wish = choose_interpreter(options.python, repository)
    variables = platform_variables(options, project)
    workspace = open_workspace(repository, options.output)
    with locked(workspace) as lock:
        output.step(f"[Building {repository.name}]\nOutput: {workspace.root}")
        for absent in host.absent_facilities():
            output.step(f"This system has no {absent}")
        selection = select_files(repository, project, options.include, workspace.root)
        python = path_directory(interpreter, workspace.python)
        _describe_interpreter(interpreter, wish)
        warn_of_unknown_settings(project)
        warn_of_settings_left_out(variables)
        write_platform_directory(workspace, variables, options.bindings)
        commit = commit_variables(repository, selection, options.include)
        env = with_platform_variables({**phase_variables(workspace, python), **commit}, variables)
        record = _make_record(options, repository, interpreter, python, env)

        snapshot.begin(workspace)
        try:
            _prepare(workspace, repository, selection)
            pointers = lfs_pointers(workspace.app, selection.files)
            _describe_selection(selection, pointers)
            situation = Situation(
                repository=repository,
                workspace=workspace,
                project=project,
                selection=selection,
                lfs_pointers=tuple(pointers),
            )
            context = PhaseContext(buildpack=buildpack, workspace=workspace, env=env, lock=lock)
            _run_phases(context, supervisor, situation)
            layers.complete(workspace)
            record.write(workspace.record)
            snapshot.commit(workspace)
        except BaseException:
            _keep_finished_layers(workspace)
            raise
        finally:
            snapshot.roll_back(workspace)
    return workspace, record


def find_repository(given: str) -> Path:
    """Return the real path of the directory that the person named.

    Raises:
        RepositoryNotFoundError: There is none.
    """
    path = Path(given).expanduser()
    if not path.is_dir():
        is_file = path.is_file()
        raise RepositoryNotFoundError(given, is_file=is_file, root=_root_of(given) if is_file else None)
    return path.resolve()


def _root_of(file: str) -> str:
    """Return the directory that a file most probably belongs to, written as the file was.

    It is the nearest one above that has a requirements.txt, not beyond a git repository's root, or else that root.
    """
    above = list(Path(os.path.abspath(Path(file).expanduser())).parents)  # noqa: PTH100 - links stay as they are
    last = next((place for place in above if (place / ".git").exists()), None)
    inner = above if last is None else above[: above.index(last) + 1]
    root = next((place for place in inner if (place / "requirements.txt").is_file()), last or above[0])
    return str(root) if Path(file).expanduser().is_absolute() else os.path.relpath(root)


def _prepare(workspace: Workspace, repository: Path, selection: Selection) -> None:
    for directory in (workspace.home, workspace.plans):
        snapshot.remove_tree(directory)
        directory.mkdir(mode=0o700)
    _clear_report(workspace.report)
    for plan in ("detect.toml", "build.toml"):
        (workspace.plans / plan).touch()
    copy_app(repository, selection.files, workspace.app)
    layers.restore(workspace)


def _clear_report(report: Path) -> None:
    """Forget what the last build reported, but for its notebooks: they stay until a build runs some."""
    report.mkdir(mode=0o700, exist_ok=True)
    for path in report.iterdir():
        if path.name != _NOTEBOOKS and path.is_dir() and not path.is_symlink():
            snapshot.remove_tree(path)
        elif path.name != _NOTEBOOKS:
            path.unlink()


def _run_phases(context: PhaseContext, supervisor: Supervisor, situation: Situation) -> None:
    workspace = context.workspace
    run_detect(context, supervisor, situation.repository)
    status = run_build(context, situation.repository, supervisor)
    if status == 0:
        return
    failure = read_failure(workspace.report)
    if failure is None:
        raise PhaseCrashedError("build", status)
    explained = explain_missing(failure, situation)
    if explained is None:
        if advice := advice_left_to_us(failure):
            output.step(advice)
        explained = explain_pointers(failure, situation)
    raise BuildFailedError if explained is None else explained


def _keep_finished_layers(workspace: Workspace) -> None:
    # A declaration that was cut short is no news beside the failure itself; the roll-back drops such layers.
    with contextlib.suppress(LayersInvalidError):
        layers.keep_finished(workspace, also_for_launch=read_record(workspace.record) is None)


def _describe_interpreter(interpreter: Interpreter, wish: str) -> None:
    output.step(f"Python {interpreter.version}: {interpreter.executable} (chosen by {wish})")
    if interpreter.virtual and wish == "--python":
        output.step(" - That is the interpreter behind a virtual environment, whose own packages play no part")


def _describe_selection(selection: Selection, pointers: list[str]) -> None:
    chosen = "git's choice" if selection.by_git else "no git repository: all but hidden files and environments"
    output.step(f"Copied {len(selection.files)} files ({chosen})")
    if selection.untracked:
        output.step(f" - {len(selection.untracked)} of them not yet in git: {output.name_some(selection.untracked)}")
    if selection.outward_links:
        output.warning(f"left out links that lead outside the repository: {output.name_some(selection.outward_links)}")
    if selection.empty_submodules:
        names = output.name_some(selection.empty_submodules)
        output.warning(f"submodules that aren't checked out (git submodule update --init): {names}")
    if pointers:
        output.warning(f"git-lfs pointers instead of data (git lfs pull): {output.name_some(pointers)}")


def _make_record(
    options: BuildOptions, repository: Path, interpreter: Interpreter, python: Path, env: dict[str, str]
) -> BuildRecord:
    return BuildRecord(
        nachlass_version=importlib.metadata.version("nachlass"),
        finished_at=dt.datetime.now(tz=dt.timezone.utc).isoformat(timespec="seconds"),
        repository=str(repository),
        python=str(interpreter.executable),
        python_version=interpreter.version,
        python_directory=str(python),
        home=env.get("NACHLASS_HOME", env["HOME"]),
        notebooks=options.notebooks,
        include=list(options.include),
        env_names=sorted(name for name, _ in options.env),
    )
