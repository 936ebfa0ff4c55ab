"""What a person can say on the command line."""

from __future__ import annotations

import argparse
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

EPILOG = """\
Your repository is never written to: builds work on a copy in an output directory.
The build starts with a cleared environment. Of your shell's variables it sees the proxy and certificate settings and
pip's index settings; give it others with --env, or in project.toml. The service sees those named NACHLASS_*, S2I_*,
AIP_* and WEB_CONCURRENCY.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """How one repository is to be built; paths as the person typed them (`repository` may be an address by mistake)."""

    repository: str
    notebooks: str | None
    output: Path | None
    env: tuple[tuple[str, str], ...]
    bindings: tuple[Path, ...]
    python: str | None
    upgrade: bool
    include: tuple[str, ...]
    share_home: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildCommand:
    """`nachlass build`."""

    options: BuildOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class RunCommand:
    """`nachlass run`."""

    options: BuildOptions
    port: int
    check: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeCommand:
    """`nachlass serve`."""

    directory: Path
    port: int


Command = BuildCommand | RunCommand | ServeCommand


def parse(arguments: list[str]) -> Command:
    """Return the command that `arguments` spell; on a wrong one, print the usage and exit with status 2."""
    values = _parser().parse_args(arguments)
    name: Literal["build", "serve", "run"] = values.command
    match name:
        case "serve":
            return ServeCommand(directory=values.directory, port=values.port)
        case "build":
            return BuildCommand(options=_build_options(values))
        case "run":
            return RunCommand(options=_build_options(values), port=values.port, check=values.check)


def _build_options(values: argparse.Namespace) -> BuildOptions:
    return BuildOptions(
        repository=values.repository,
        notebooks=values.notebooks,
        output=values.output,
        env=tuple(values.env),
        bindings=tuple(values.binding),
        python=values.python,
        upgrade=values.upgrade,
        include=tuple(values.include),
        share_home=values.home,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nachlass",
        description="Turn a repository of Jupyter notebooks into a scoring service, on your own machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = importlib.metadata.version("nachlass")
    parser.add_argument("--version", action="version", version=f"nachlass {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="run the notebooks and make the service", allow_abbrev=False)
    _add_build_arguments(build)

    serve = commands.add_parser("serve", help="start the service that was built last", allow_abbrev=False)
    serve.add_argument(
        "directory", metavar="DIR", type=Path, help="the repository, or the output directory of its build"
    )
    _add_port(serve)

    run = commands.add_parser("run", help="build, then serve", allow_abbrev=False)
    _add_build_arguments(run)
    _add_port(run)
    run.add_argument(
        "--check",
        action="store_true",
        help="build, start the service, ask it for one prediction and its metrics, stop it; "
        "the exit status is 0 only if all of that worked",
    )
    return parser


def _add_build_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("repository", metavar="PATH", help="the directory with your notebooks and requirements.txt")
    add(
        "--notebooks",
        metavar="LIST",
        help="the notebooks to run, in this order, separated by commas: 01-features.ipynb,02-model.ipynb",
    )
    add(
        "--output",
        metavar="DIR",
        type=Path,
        help="where to keep what is built (default: a directory of the repository's own below ~/.cache/nachlass)",
    )
    add(
        "--env",
        metavar="NAME=VALUE",
        type=_assignment,
        action="append",
        default=[],
        help="set a variable for the build and the notebooks; for secrets, use --binding; may be repeated",
    )
    add(
        "--binding",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="a service binding: a directory of secrets, one a file, and a file 'type' that says nachlass; "
        "the notebooks see each as a variable; may be repeated",
    )
    add(
        "--python",
        metavar="VERSION",
        help="the Python to build and serve with: 3.12, or the path of an interpreter "
        "(default: what .python-version in the repository says, else the Python that runs nachlass)",
    )
    add("--upgrade", action="store_true", help="install the newest versions that requirements.txt allows")
    add(
        "--include",
        metavar="GLOB",
        action="append",
        default=[],
        help="also copy these files, though git ignores them: 'data/*.csv'; may be repeated",
    )
    add("--home", action="store_true", help="let the notebooks see your home directory instead of an empty one")


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=8080, help="the port to listen on (default: 8080)")


def _assignment(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    # A platform keeps each variable in a file of its name.
    if not separator or not name or "/" in name or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; choose one from 1 to 65535")
    return int(text)
