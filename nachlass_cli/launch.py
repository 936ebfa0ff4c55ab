"""A process type of the built application, ready to be started as the lifecycle's launcher starts it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nachlass_cli import host
from nachlass_cli.errors import LayersInvalidError
from nachlass_cli.layer_env import launch_environment
from nachlass_cli.layers import read_layers, read_toml
from nachlass_cli.record import BuildRecord
from nachlass_cli.workspace import Workspace

_FOR_THE_SERVICE = ("NACHLASS_", "S2I_", "AIP_", "OTEL_")
_ALSO_FOR_IT = frozenset(
    {
        *("WEB_CONCURRENCY", "SERVICE_BINDING_ROOT"),
        *(
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """A program, its arguments, environment and directory; nothing is inherited."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    working_directory: Path


def prepare_process(
    workspace: Workspace, record: BuildRecord, process_type: str, *, port: int | None = None
) -> Process:
    """Read launch.toml and the layers, and return the process to start; one that listens needs a port.

    Raises:
        LayersInvalidError: The build defines no such process, or its program does not exist.
    """
    path = workspace.layers / "launch.toml"
    processes = read_toml(path).get("processes", []) if path.is_file() else []
    found = next((process for process in processes if process.get("type") == process_type), None)
    if found is None:
        raise LayersInvalidError(f"'{path}' defines no process of the type '{process_type}'")
    layers = [layer.directory for layer in read_layers(workspace.layers) if layer.launch]
    env = launch_environment(_base_environment(record, port), layers, process_type)
    command = [*found["command"], *found.get("args", [])]
    program = shutil.which(command[0], path=env["PATH"])
    if program is None:
        raise LayersInvalidError(f"'{command[0]}', which the service starts with, is no longer on this machine")
    return Process(
        command=(program, *command[1:]),
        env=env,
        working_directory=Path(found.get("working-dir") or workspace.app),
    )


def _base_environment(record: BuildRecord, port: int | None) -> dict[str, str]:
    """Return what the container would have: its own variables, and those with which the person sets up the service."""
    chosen = {
        name: value for name, value in os.environ.items() if name.startswith(_FOR_THE_SERVICE) or name in _ALSO_FOR_IT
    }
    chosen.pop("NACHLASS_BUILDPACK_DIR", None)
    return {
        "PATH": os.pathsep.join([record.python_directory, host.system_path()]),
        "HOME": record.home,
        **host.locale_variables(),
        # A container has an address of its own; on a person's machine the service is nobody else's.
        "NACHLASS_HOST": "127.0.0.1",
        **chosen,
        **({} if port is None else {"PORT": str(port)}),
    }
