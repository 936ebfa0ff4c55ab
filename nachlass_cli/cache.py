"""`nachlass cache`: what is kept between builds, and what the next one would do with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nachlass_cli import host, output, snapshot
from nachlass_cli.app_copy import copy_app
from nachlass_cli.arguments import (
    BuildOptions,
    CacheCommand,
    CacheExplainCommand,
    CacheListCommand,
    CachePruneCommand,
)
from nachlass_cli.build import BuildFailedError, find_repository
from nachlass_cli.buildpack import Inquiry, ask
from nachlass_cli.environment import (
    phase_variables,
    platform_variables,
    warn_of_settings_left_out,
    with_platform_variables,
    write_platform_directory,
)
from nachlass_cli.errors import CacheMissingError, RepositoryNotFoundError
from nachlass_cli.interpreters import choose_interpreter, directory_for
from nachlass_cli.interruption import Supervisor
from nachlass_cli.project import read_project
from nachlass_cli.record import BuildRecord, read_record
from nachlass_cli.selection import select_files
from nachlass_cli.workspace import Workspace, default_root, is_being_built, locked

_STORE = "stage-store"
_TOOLS = "tools"
_COPIES = "explain-"


def answer(command: CacheCommand, supervisor: Supervisor) -> None:
    """Let the buildpack answer.

    Raises:
        CliError: There is nothing to ask about.
        BuildFailedError: The buildpack has said what is wrong.
        Interrupted: A signal arrived.
    """
    if _status_of(command, supervisor) != 0:
        raise BuildFailedError


def _status_of(command: CacheCommand, supervisor: Supervisor) -> int:
    match command:
        case CacheListCommand():
            return _list(command, supervisor)
        case CachePruneCommand():
            return _prune(command, supervisor)
        case CacheExplainCommand():
            return _explain(command, supervisor)


def _list(command: CacheListCommand, supervisor: Supervisor) -> int:
    workspace = _find_workspace(command.directory, command.output, _STORE)
    words = ["ls", *(["--json"] if command.as_json else [])]
    return ask(_bare_inquiry(workspace), words, _last_python(workspace), supervisor)


def _prune(command: CachePruneCommand, supervisor: Supervisor) -> int:
    workspace = _find_workspace(command.directory, command.output, _STORE)
    words = ["prune", "--keep", str(command.keep), *(["--all"] if command.everything else [])]
    with locked(workspace) as lock:
        _remove_old_copies(workspace)
        return ask(_bare_inquiry(workspace), words, _last_python(workspace), supervisor, keep_open=[lock])


def _bare_inquiry(workspace: Workspace) -> Inquiry:
    """Return a question whose answer depends on nothing but what is kept."""
    env = {"PATH": host.system_path(), **host.locale_variables()}
    return Inquiry(workspace=workspace, env=env, platform=workspace.platform, app=workspace.app)


def _explain(command: CacheExplainCommand, supervisor: Supervisor) -> int:
    options = command.options
    repository = find_repository(options.repository)
    project = read_project(repository)
    interpreter, _ = choose_interpreter(options.python, repository)
    workspace = _find_workspace(options.repository, options.output, _TOOLS)
    selection = select_files(repository, project, options.include, workspace.root)
    variables = platform_variables(options, project)
    python = directory_for(interpreter, workspace.python)
    env = with_platform_variables(phase_variables(workspace, python), variables)
    env["NACHLASS_REPOSITORY"] = str(repository)
    words = ["explain", "--python", str(interpreter.executable), *(["--json"] if command.as_json else [])]
    if command.notebook is not None:
        words += ["--", _name_of(command.notebook, repository)]
    if not command.as_json:
        _describe(options, workspace)
        warn_of_settings_left_out(variables)
    with _copies(workspace) as copies:
        write_platform_directory(copies, variables, options.bindings)
        copy_app(repository, selection.files, copies.app)
        inquiry = Inquiry(workspace=workspace, env=env, platform=copies.platform, app=copies.app)
        return ask(inquiry, words, _last_python(workspace, interpreter.executable), supervisor)


def _describe(options: BuildOptions, workspace: Workspace) -> None:
    """Say what a person might overlook."""
    if is_being_built(workspace):
        output.step("A build is going on; this is told from what has been kept so far.")
    record = read_record(workspace.record)
    if record is not None and (others := _other_options(options, record)):
        output.step(f"The last build had {others}; this is about one without.\n")


def _other_options(options: BuildOptions, record: BuildRecord) -> str:
    """Return the options of the last build that were not given now; values of --env aren't known any more."""
    missing = [f"--env {name}=…" for name in record.env_names if name not in dict(options.env)]
    missing += [f"--include {shlex.quote(pattern)}" for pattern in record.include if pattern not in options.include]
    if record.notebooks is not None and options.notebooks is None:
        missing.append(f"--notebooks {shlex.quote(record.notebooks)}")
    return " ".join(missing)


def _find_workspace(given: str, chosen: Path | None, layer: str) -> Workspace:
    """Return the output directory with a layer that the answer needs: the chosen one, PATH itself, or PATH's own."""
    directory = Path(given).expanduser()
    if not directory.is_dir():
        raise RepositoryNotFoundError(given, is_file=directory.is_file())
    usual = [directory.resolve(), default_root(directory.resolve())]
    roots = usual if chosen is None else [chosen.expanduser().resolve()]
    for root in roots:
        workspace = Workspace(root=root)
        if not workspace.lock.is_file():
            continue
        if workspace.snapshot.is_dir() and not is_being_built(workspace):
            with locked(workspace):  # A build was killed: until it is put back, the last good one is in `previous`.
                snapshot.roll_back(workspace)
        if (workspace.layers / layer).is_dir():
            return workspace
    raise CacheMissingError(given, looked_at=roots[-1])


def _last_python(workspace: Workspace, otherwise: Path = Path(sys.executable)) -> Path:
    """Return the interpreter of the last build; without such a build, or when it is gone, another one."""
    record = read_record(workspace.record)
    return Path(record.python) if record is not None and Path(record.python).exists() else otherwise


def _name_of(given: str, repository: Path) -> str:
    """Return a notebook's path in the repository: as it was given, or of the file that this means from here."""
    here = Path(given).expanduser().resolve()
    if not (repository / given).exists() and here.is_relative_to(repository):
        return here.relative_to(repository).as_posix()
    return os.path.normpath(given)


@contextlib.contextmanager
def _copies(workspace: Workspace) -> Iterator[Workspace]:
    """Yield a directory for the repository and the settings as a build would have them; it is gone afterwards.

    Not the build's own directories: the service that was built last works with those.
    """
    _remove_old_copies(workspace)
    root = Path(tempfile.mkdtemp(prefix=_COPIES, dir=workspace.root))
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        copies = Workspace(root=root)
        copies.app.mkdir()
        yield copies
    finally:
        snapshot.remove_tree(root)
        os.close(descriptor)


def _remove_old_copies(workspace: Workspace) -> None:
    """Remove what somebody left who was killed; a directory in use is locked."""
    for path in workspace.root.glob(f"{_COPIES}*"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            snapshot.remove_tree(path)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)
