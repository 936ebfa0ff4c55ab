"""`nachlass serve`: become the `web` process of the last build."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from nachlass_cli import credentials, output, snapshot
from nachlass_cli.errors import NothingBuiltError, OutputBusyError, PortInUseError, RepositoryNotFoundError
from nachlass_cli.launch import prepare_process
from nachlass_cli.record import BuildRecord, read_record
from nachlass_cli.sample import example_command
from nachlass_cli.workspace import Workspace, default_root, is_being_built, locked


def find_build(directory: Path) -> tuple[Workspace, BuildRecord]:
    """Return the build that `directory` means: an output directory, or a repository with its default one.

    Raises:
        RepositoryNotFoundError: There is no such directory.
        NothingBuiltError: Neither has a build that succeeded.
        OutputBusyError: A build is changing it right now.
    """
    if not directory.is_dir():
        raise RepositoryNotFoundError(str(directory), is_file=directory.is_file())
    usual = default_root(directory.resolve())
    for root in (directory.resolve(), usual):
        workspace = Workspace(root=root)
        if workspace.snapshot.is_dir():
            with locked(workspace):  # A build was killed: until it is put back, the last good one is in `previous`.
                snapshot.roll_back(workspace)
        if (record := read_record(workspace.record)) is not None:
            if is_being_built(workspace):
                raise OutputBusyError(root, holder=workspace.lock.read_text().strip())
            return workspace, record
    raise NothingBuiltError(directory, looked_at=usual)


def serve(workspace: Workspace, record: BuildRecord, port: int) -> NoReturn:
    """Replace this process by the service.

    Raises:
        LayersInvalidError: The build has no service that can be started.
        PortInUseError: The port is taken.
    """
    process = prepare_process(workspace, record, "web", port=port)
    _require_free(port)
    url = f"http://127.0.0.1:{port}"
    output.step(f"Serving {Path(record.repository).name} on {url} (Ctrl-C stops it)")
    has_page = process.env.get("NACHLASS_UI", "").strip().lower() not in ("off", "0", "false")
    ways = ["Open it in a browser"] if has_page else []
    if command := example_command(workspace, url, credentials.curl_option(process.env)):
        ways.append(f"{'or try' if has_page else 'Try'} it:\n  {command}")
    if ways:
        output.step(", ".join(ways))
    os.chdir(process.working_directory)
    sys.stdout.flush()
    os.execve(process.command[0], process.command, dict(process.env))  # noqa: S606 - the program is the build's own


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        # As servers do: connections of a service that has just ended don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUseError(port, problem=error.strerror or str(error)) from error
