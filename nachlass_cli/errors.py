"""Every failure that the command can explain, in the words that a person reads.

Imports nothing from `nachlass_cli`, so that any module may raise from it. Each `reference` is a heading in docs/errors.md.
"""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

INTERNAL_ADVICE = (
    "This is a mistake in nachlass, not in your repository. Please report it with the text above:\n"
    "what you ran, and the output of 'nachlass --version'."
)


class CliError(Exception):
    """A failure we foresaw: what happened, why it matters, what to do next.

    `details` is somebody else's text (git's, a traceback) and is shown as it is.
    """

    reference: ClassVar[str]

    def __init__(self, *, heading: str, body: str, advice: str, details: str | None = None) -> None:
        super().__init__(heading)
        self.heading = heading
        self.body = body
        self.advice = advice
        self.details = details


class RepositoryNotFoundError(CliError):
    """PATH is not a directory."""

    reference = "repository-not-found"

    def __init__(self, given: str, *, is_file: bool, root: str | None = None) -> None:
        """`root` is the directory that a file most probably belongs to, as the person would write it."""
        if "://" in given or given.startswith("git@"):
            body = "nachlass builds a directory on this machine, and this looks like an address."
            advice = "Clone it first, then build the clone:\n  git clone ADDRESS\n  nachlass build DIRECTORY"
        elif is_file:
            body = "It is a file. nachlass builds a whole directory: notebooks, modules, data and requirements.txt."
            advice = "Give the directory, and name the notebook as an option:\n  " + _example_with_notebook(
                given, root or str(Path(given).parent)
            )
        else:
            body = "There is no such directory."
            advice = "Check the spelling and the directory that you are in (pwd)."
        super().__init__(heading=f"'{given}' isn't a repository", body=body, advice=advice)


def _example_with_notebook(given: str, root: str) -> str:
    command = f"nachlass build {shlex.quote(root)}"
    if Path(given).suffix != ".ipynb":
        return command
    # Not through links: a notebook is listed by the name that it has in the repository.
    name = os.path.relpath(os.path.expanduser(given), os.path.expanduser(root))  # noqa: PTH111 - of strings, as above
    return f"{command} --notebooks {shlex.quote(name)}"


class OutputUnusableError(CliError):
    """The output directory would put somebody's files at risk."""

    reference = "output-unusable"

    def __init__(self, output: Path, *, why: str, advice: str) -> None:
        super().__init__(heading=f"'{output}' can't be the output directory", body=why, advice=advice)


class OutputBusyError(CliError):
    """Another build holds the output directory."""

    reference = "output-busy"

    def __init__(self, output: Path, *, holder: str) -> None:
        super().__init__(
            heading="Another build of this repository is still running",
            body=f"Process {holder or 'unknown'} is using the output directory:\n{output}",
            advice="Wait until it has ended, stop it with Ctrl-C in its terminal, or build into another directory\n"
            "with --output DIR.",
        )


class GitError(CliError):
    """The files of a git repository cannot be listed."""

    reference = "git-failed"

    def __init__(self, directory: Path, *, message: str | None) -> None:
        advice = "Do what git says above, then build again."
        if message is None:
            advice = "Install git. Or build a copy of the directory that has no '.git' in it or above it."
        super().__init__(
            heading="git can't say which files belong to the repository",
            body=f"'{directory}' is in a git repository, and nachlass leaves out what git ignores;\n"
            + ("but the command 'git' isn't installed." if message is None else "but 'git ls-files' failed."),
            advice=advice,
            details=message,
        )


class ProjectFileError(CliError):
    """project.toml cannot be used."""

    reference = "project-toml-invalid"

    def __init__(self, problem: str) -> None:
        super().__init__(
            heading="project.toml isn't valid",
            body=problem,
            advice="Correct project.toml. A valid one looks like this:\n"
            "  [_]\n"
            '  schema-version = "0.2"\n'
            "  [io.buildpacks]\n"
            '  exclude = ["raw-data/"]\n'
            "  [[io.buildpacks.build.env]]\n"
            '  name = "NACHLASS_NOTEBOOKS"\n'
            '  value = "01-features.ipynb,02-model.ipynb"',
        )


class IncludeMatchesNothingError(CliError):
    """An --include pattern names no file."""

    reference = "include-matches-nothing"

    def __init__(self, pattern: str, repository: Path) -> None:
        super().__init__(
            heading=f"--include '{pattern}' matches no file",
            body=f"Patterns are read as in .gitignore, relative to the repository:\n{repository}",
            advice="Check the spelling, and quote the pattern so that the shell leaves it alone:\n"
            "  --include 'data/*.csv'     --include 'data/'     --include '**/*.parquet'\n"
            "Virtual environments and .git can't be included.",
        )


class PythonNotFoundError(CliError):
    """The wanted Python is not on this machine."""

    reference = "python-not-found"

    def __init__(self, wanted: str, *, source: str, searched: str) -> None:
        super().__init__(
            heading=f"Python {wanted} isn't on this machine",
            body=f"{source} asks for it. Looked for it {searched}.",
            advice=f"Install it (for example: pyenv install {wanted}), or choose another one with\n"
            "--python 3.N or --python PATH-OF-AN-INTERPRETER; the option wins over .python-version.",
        )


class PythonUnusableError(CliError):
    """An interpreter that was asked for does not work or is too old."""

    reference = "python-unusable"

    def __init__(self, given: str, *, source: str, problem: str, details: str | None = None) -> None:
        super().__init__(
            heading=f"'{given}' can't be the Python of this build",
            body=f"{source} asks for it, but {problem}.",
            advice="Choose a Python of version 3.10 or newer with --python 3.N or --python PATH-OF-AN-INTERPRETER,\n"
            "or write the version into .python-version:\n  3.12",
            details=details,
        )


class BindingError(CliError):
    """A --binding cannot be used."""

    reference = "binding-unusable"

    def __init__(self, given: Path, problem: str) -> None:
        super().__init__(
            heading=f"'{given}' isn't a service binding",
            body=problem,
            advice="A binding is a directory with a file 'type' that says nachlass, and one file for each secret:\n"
            "  mkdir database && chmod 700 database\n"
            "  printf nachlass > database/type\n"
            "  printf 's3cret' > database/DATABASE_PASSWORD\n"
            "  nachlass build PATH --binding database",
        )


class SettingUnknownError(CliError):
    """--env has a name that looks like a setting and is none."""

    reference = "setting-unknown"

    def __init__(self, name: str, *, near: str | None, known: Sequence[str]) -> None:
        guess = f"Did you mean {near}? " if near else ""
        super().__init__(
            heading=f"--env sets {name}, which no build knows",
            body="nachlass would have to ignore it.",
            advice=f"{guess}The settings of a build are:\n"
            + textwrap.fill(", ".join(known), width=100, initial_indent="  ", subsequent_indent="  ")
            + "\nThose of the service go into the shell that starts it:\n  NACHLASS_…=… nachlass serve PATH",
        )


class NotDetectedError(CliError):
    """`bin/detect` says that the repository is not for this buildpack."""

    reference = "not-detected"

    def __init__(self, repository: Path, *, reason: str) -> None:
        super().__init__(
            heading="nachlass doesn't know which notebooks to run",
            body=_detected(repository, reason),
            advice="Name the notebooks, in the order in which they run:\n"
            f"  nachlass build {shlex.quote(str(repository))} --notebooks 01-features.ipynb,02-model.ipynb\n"
            "Or set NACHLASS_NOTEBOOKS in project.toml, so that every platform finds them.",
        )


class NoRequirementsError(CliError):
    """`bin/detect` found notebooks and no requirements."""

    reference = "no-requirements"

    def __init__(self, repository: Path, *, reason: str) -> None:
        super().__init__(
            heading="The repository doesn't say what its notebooks need",
            body=_detected(repository, reason),
            advice="Write a requirements.txt at its root, with scikit-learn and whatever else the notebooks import:\n"
            "  scikit-learn\n"
            "  pandas",
        )


class NoStageError(CliError):
    """`bin/detect` found notebooks none of which saves a stage."""

    reference = "no-stage"

    def __init__(
        self, repository: Path, *, reason: str, notebooks: Sequence[str], misspelt: tuple[str, str] | None
    ) -> None:
        """`notebooks` are all that there are; `misspelt` is one of them and what it has in place of the variable."""
        command = f"nachlass build {shlex.quote(str(repository))}"
        setting = shlex.quote(f"NACHLASS_STAGES={notebooks[-1] if notebooks else 'train.ipynb'}=model.joblib")
        listed = shlex.quote(notebooks[0]) if len(notebooks) == 1 else "…"
        slip = ""
        if misspelt is not None:
            slip = f"'{misspelt[0]}' names {misspelt[1]}, which nobody sets. The variable is NACHLASS_STAGE_FILE:\n\n"
        super().__init__(
            heading="None of the notebooks saves a pipeline stage",
            body=_detected(repository, reason),
            advice=f"{slip}Save the fitted model in the last cell of the notebook that trains it:\n"
            "  import os, cloudpickle\n"
            '  with open(os.environ["NACHLASS_STAGE_FILE"], "wb") as file:\n'
            "      cloudpickle.dump(model, file)\n"
            "If it writes the model to a file already, name that:\n"
            f"  {command} --env {setting}\n"
            "If an installed package saves the stages, name the notebooks in the order in which they run:\n"
            f"  {command} --notebooks {listed}",
        )


def not_detected(
    repository: Path, reason: str, notebooks: Sequence[str] = (), misspelt: tuple[str, str] | None = None
) -> CliError:
    """Return the error for what `bin/detect` said when it fell through: two lines, of which the first is the reason."""
    said = reason.partition("\n")[0].removeprefix("nachlass: not for this repository: ")
    if "no requirements.txt" in said:
        return NoRequirementsError(repository, reason=said)
    if "saves a pipeline stage" in said:
        return NoStageError(repository, reason=said, notebooks=notebooks, misspelt=misspelt)
    return NotDetectedError(repository, reason=said)


def _detected(repository: Path, reason: str) -> str:
    said = f"{reason[0].upper()}{reason[1:]}\n" if reason else ""
    return f"{said}It looked at the files of:\n{repository}"


class PhaseCrashedError(CliError):
    """A phase of the buildpack ended without an explanation of its own."""

    reference = "phase-crashed"

    def __init__(self, phase: str, status: int) -> None:
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        advice = INTERNAL_ADVICE
        if status == -9:  # SIGKILL, which on Linux is what the out-of-memory killer sends.
            advice = (
                "Signal 9 usually means that the machine ran out of memory. Close other programs, or let the\n"
                "notebooks read less data."
            )
        super().__init__(
            heading="The build stopped without saying why",
            body=f"'bin/{phase}' {ended}.\nWhat an earlier build had made is still there.",
            advice=advice,
        )


class FileLeftOutError(CliError):
    """A notebook asked for a file that exists, but that did not come into the build."""

    reference = "file-left-out"

    def __init__(self, name: str, *, rule: str, tracked_by_git: bool) -> None:
        commit = (
            "Commit it, if it may be in the repository" if tracked_by_git else "Change that rule or rename the file"
        )
        super().__init__(
            heading=f"'{name}' exists, but isn't part of the build",
            body="The notebooks run in a copy of your repository, as they would on a build server,\n"
            f"and this file was left out: {rule}.",
            advice=f"Choose one:\n"
            f" - {commit}. Then every platform has it.\n"
            " - Let the notebook fetch it from where it is kept; passwords for that come from --binding.\n"
            f" - For builds on this machine only: --include '{name}'",
        )


class FileOutsideError(CliError):
    """A notebook asked for a file that exists beside the repository, not in it."""

    reference = "file-outside-repository"

    def __init__(self, name: str, *, found: Path) -> None:
        super().__init__(
            heading=f"'{name}' lies outside the repository",
            body="The notebooks run in a copy of your repository, as they would on a build server,\n"
            f"and that copy has no neighbours. The file exists on this machine:\n{found}",
            advice="Choose one:\n"
            " - Move it into the repository and change the path in the notebook.\n"
            " - Let the notebook fetch it from where it is kept; passwords for that come from --binding.",
        )


class FileInHomeError(CliError):
    """A notebook asked for a file that exists in the person's home directory."""

    reference = "file-in-home"

    def __init__(self, name: str, *, found: Path) -> None:
        super().__init__(
            heading=f"'{name}' exists in your home directory, but not in the build's",
            body="Notebooks get an empty home directory, because on a build server yours doesn't exist.\n"
            f"The file exists on this machine:\n{found}",
            advice="Choose one:\n"
            " - Move it into the repository and change the path in the notebook.\n"
            " - If it is a password or a key, give it with --binding.\n"
            " - For builds on this machine only: --home lets the notebooks see your home directory.",
        )


class FileNotFetchedError(CliError):
    """The repository holds only a pointer to a file that a notebook needs."""

    reference = "file-not-fetched"

    def __init__(self, names: str, *, tool: str, command: str) -> None:
        super().__init__(
            heading=f"Only a pointer to {names} is on this machine",
            body=f"The data itself is kept elsewhere by {tool}, and hasn't been fetched.",
            advice=f"Fetch it, then build again:\n  {command}",
        )


class NothingBuiltError(CliError):
    """There is nothing to serve."""

    reference = "nothing-built"

    def __init__(self, given: Path, *, looked_at: Path) -> None:
        super().__init__(
            heading=f"Nothing has been built for '{given}'",
            body=f"It is neither the output directory of a build that succeeded, nor a repository with one at:\n{looked_at}",
            advice=f"Build it first:\n  nachlass build {shlex.quote(str(given))}\nIf you built it with --output DIR, serve that DIR.",
        )


class CacheMissingError(CliError):
    """There is no stage cache to look at."""

    reference = "cache-missing"

    def __init__(self, given: str, *, looked_at: Path) -> None:
        super().__init__(
            heading="Nothing is built yet, so that nothing is kept",
            body=f"'{given}' is neither an output directory with a stage cache, nor a repository with one in:\n{looked_at}",
            advice=f"Run a build first:\n  nachlass build {shlex.quote(str(given))}\n"
            "If you built it with --output DIR, give the same option here. With NACHLASS_CACHE=off nothing is kept.",
        )


class PortInUseError(CliError):
    """The service's port is taken."""

    reference = "port-in-use"

    def __init__(self, port: int, *, problem: str) -> None:
        super().__init__(
            heading=f"Port {port} can't be used",
            body=f"Listening on 127.0.0.1:{port} failed: {problem}.",
            advice=f"Stop the program that uses it, or choose another port:\n  --port {port + 1 if port < 65535 else 8080}",
        )


class LayersInvalidError(CliError):
    """The buildpack left layers that a platform would refuse."""

    reference = "layers-invalid"

    def __init__(self, problem: str) -> None:
        super().__init__(
            heading="The build's layers can't be used",
            body=f"{problem}.",
            advice=INTERNAL_ADVICE,
        )


class CheckFailedError(CliError):
    """The built service did not do what `run --check` asked of it."""

    reference = "check-failed"

    def __init__(self, step: str, *, problem: str) -> None:
        super().__init__(
            heading="The service was built, but doesn't pass the check",
            body=f"{step}: {problem}.",
            advice="The service's own messages are above. To try it by hand:\n  nachlass serve PATH",
        )


class BuildpackMissingError(CliError):
    """The installation lacks the buildpack."""

    reference = "buildpack-missing"

    def __init__(self, directory: Path) -> None:
        super().__init__(
            heading="This installation of nachlass has no buildpack",
            body=f"There is no executable 'bin/detect' and 'bin/build' in:\n{directory}",
            advice="Install nachlass again:\n  python3 -m pip install --force-reinstall nachlass",
        )


class SystemCallFailedError(CliError):
    """The operating system refused something."""

    reference = "system-call-failed"

    def __init__(self, error: OSError) -> None:
        where = f" ({error.filename})" if error.filename else ""
        super().__init__(
            heading="The operating system refused something that the build needs",
            body=f"{error.strerror or error}{where}.\nWhat an earlier build had made is still there.",
            advice="Check free disk space (df -h) and the permissions of the path above. The output directory can be\n"
            "elsewhere: --output DIR.",
        )


class InternalError(CliError):
    """A failure that nobody foresaw."""

    reference = "internal-error"

    def __init__(self, trace: str) -> None:
        super().__init__(
            heading="nachlass made a mistake",
            body="What an earlier build had made is still there.",
            advice=INTERNAL_ADVICE,
            details=trace,
        )
