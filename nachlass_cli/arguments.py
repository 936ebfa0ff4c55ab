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
AIP_*, OTEL_*, WEB_CONCURRENCY, SERVICE_BINDING_ROOT and OMP_NUM_THREADS and its like.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreCommand:
    """`nachlass score`; `words` are for the process `score` of what was built."""

    directory: Path
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheListCommand:
    """`nachlass cache ls`; `output` is the directory that the person named, if any."""

    directory: str
    output: Path | None
    as_json: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheExplainCommand:
    """`nachlass cache explain`: about the build that these options would make."""

    options: BuildOptions
    notebook: str | None
    as_json: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CachePruneCommand:
    """`nachlass cache prune`; `keep` counts runs of each notebook besides the one that the last build used."""

    directory: str
    output: Path | None
    keep: int
    everything: bool


CacheCommand = CacheListCommand | CacheExplainCommand | CachePruneCommand
Command = BuildCommand | RunCommand | ServeCommand | ScoreCommand | CacheCommand


def parse(arguments: list[str]) -> Command:
    """Return the command that `arguments` spell; on a wrong one, print the usage and exit with status 2."""
    parser = _parser()
    values, rest = parser.parse_known_args(arguments)
    if len(rest) == 1 and not rest[0].startswith("-") and getattr(values, "second", "") is None:
        values.second = rest.pop()  # argparse stops looking for optional words after the first of them.
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    name: Literal["build", "serve", "score", "run", "cache"] = values.command
    match name:
        case "cache":
            return _cache_command(values)
        case "serve":
            return ServeCommand(directory=values.directory, port=values.port)
        case "score":
            return ScoreCommand(directory=values.directory, words=tuple(values.words))
        case "build":
            return BuildCommand(options=_build_options(values))
        case "run":
            return RunCommand(options=_build_options(values), port=values.port, check=values.check)


def _cache_command(values: argparse.Namespace) -> CacheCommand:
    name: Literal["ls", "explain", "prune"] = values.question
    match name:
        case "ls":
            return CacheListCommand(directory=values.directory, output=values.output, as_json=values.json)
        case "prune":
            return CachePruneCommand(
                directory=values.directory, output=values.output, keep=values.keep, everything=values.all
            )
        case "explain":
            words = [word for word in (values.first, values.second) if word is not None]
            notebook = words.pop() if len(words) == 2 or (words and words[0].endswith(".ipynb")) else None
            values.repository = words[0] if words else "."
            return CacheExplainCommand(options=_build_options(values), notebook=notebook, as_json=values.json)


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

    _add_score(commands)

    run = commands.add_parser("run", help="build, then serve", allow_abbrev=False)
    _add_build_arguments(run)
    _add_port(run)
    run.add_argument(
        "--check",
        action="store_true",
        help="build, start the service, ask it for one prediction and its metrics, stop it; "
        "the exit status is 0 only if all of that worked",
    )
    _add_cache_commands(commands.add_parser("cache", help="look at what is kept between builds", allow_abbrev=False))
    return parser


def _add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    score = commands.add_parser(
        "score",
        help="predict for the rows of a file or of the standard input",
        usage="nachlass score DIR [INPUT] [OPTION …]",
        description="Predict for every row of INPUT, or of the standard input, by the model that was built last. "
        "Options, which come after DIR, are those of the process 'score' in the image: "
        "'nachlass score DIR --help' tells them.",
        allow_abbrev=False,
    )
    score.add_argument(
        "directory", metavar="DIR", type=Path, help="the repository, or the output directory of its build"
    )
    score.add_argument("words", metavar="…", nargs=argparse.REMAINDER, help="the input, and options")


def _add_cache_commands(parser: argparse.ArgumentParser) -> None:
    questions = parser.add_subparsers(dest="question", required=True, metavar="COMMAND")
    ls = questions.add_parser(
        "ls", help="say which runs of notebooks are kept, and how large they are", allow_abbrev=False
    )
    explain = questions.add_parser(
        "explain",
        help="say why the next build would or would not run the notebooks; nothing is run or changed",
        description="Say what 'nachlass build' with the same options would do now, and why. "
        "Without NOTEBOOK, of every notebook; with one word that ends in .ipynb, PATH is the current directory.",
        allow_abbrev=False,
    )
    prune = questions.add_parser(
        "prune", help="remove what the next build, if nothing changes, has no need of", allow_abbrev=False
    )
    for each in (ls, prune):
        each.add_argument(
            "directory",
            metavar="PATH",
            nargs="?",
            default=".",
            help="the repository, or the output directory of its build (default: the current directory)",
        )
        each.add_argument("--output", metavar="DIR", type=Path, help="the output directory, if the build was given one")
    explain.add_argument("first", metavar="PATH", nargs="?", help="the repository (default: the current directory)")
    explain.add_argument("second", metavar="NOTEBOOK", nargs="?", help="a notebook, by its path in the repository")
    _add_build_options(explain)
    for each in (ls, explain):
        each.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    prune.add_argument("--all", action="store_true", help="remove every run")
    prune.add_argument(
        "--keep",
        metavar="N",
        type=_count,
        default=0,
        help="how many older runs of each notebook to keep besides what the last build used (default: 0)",
    )


def _add_build_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="PATH", help="the directory with your notebooks and requirements.txt")
    _add_build_options(parser)


def _add_build_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
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


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; choose one from 1 to 65535")
    return int(text)
