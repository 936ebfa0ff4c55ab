"""Every failure of a build that its author can see, in the words they will see it.

This module imports nothing from `nachlass_bp`, so that any module may raise from it. Each `reference` is a heading of
docs/errors.md, and each class has its exact text in tests/golden/errors/.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from textwrap import dedent
from typing import ClassVar

INTERNAL_ADVICE = """
This is probably not your notebooks' fault. Build again; if it fails in the same way, please report it with the
lines above.
"""


class BuildpackError(Exception):
    """A failure we foresaw: what happened, why it matters, what to do next.

    `details` is someone else's text (a traceback, pip's output), shown before ours and never re-wrapped. `notebook`,
    `missing_path`, `missing_as_written` (as the notebook has it) and `home` (what the notebook saw as HOME) go into the
    failure report for the platform. `yields_advice`: a platform that sees the person's own files may know better what
    to do.
    """

    reference: ClassVar[str]
    missing_as_written: str | None = None
    yields_advice: bool = False

    def __init__(  # noqa: PLR0913 - what a message is made of
        self,
        *,
        heading: str,
        body: str,
        advice: str,
        details: str | None = None,
        notebook: str | None = None,
        missing_path: str | None = None,
        home: str | None = None,
    ) -> None:
        super().__init__(heading)
        self.heading = heading
        self.body = dedent(body).strip()
        self.advice = dedent(advice).strip()
        self.details = details
        self.notebook = notebook
        self.missing_path = missing_path
        self.home = home


def _bullets(items: Sequence[str]) -> str:
    return "\n".join(f"  {item}" for item in items)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


# --- The build's surroundings ---------------------------------------------------------------------------------------


class NotALifecycleError(BuildpackError):
    """`bin/build` was started without the lifecycle's variables."""

    reference = "not-a-lifecycle"

    def __init__(self, *, variable: str) -> None:
        super().__init__(
            heading=f"{variable} is not set",
            body="bin/build is started by a buildpack platform, which tells it where its directories are.",
            advice="To build on your own machine, run `nachlass build PATH`.",
        )


class PythonFailedError(BuildpackError):
    """The provider's interpreter could not say what it is."""

    reference = "python-failed"

    def __init__(self, *, executable: str, output: str, settings: Mapping[str, str]) -> None:
        said = "".join(f"\n{name} is {value}" for name, value in settings.items())
        super().__init__(
            heading="Your Python doesn't start",
            body=f"{executable} ended with an error when nachlass asked for its version and packages.{said}",
            advice="Look at the lines above. A broken package or .pth file in the environment is the usual cause, or a\n"
            "PYTHONPATH or PYTHONHOME that leads to a module in place of Python's own.",
            details=output,
        )


class PythonOutsideLayersError(BuildpackError):
    """The interpreter belongs to the build image, which the run image need not share."""

    reference = "python-outside-layers"

    def __init__(self, *, executable: str, version: str) -> None:
        super().__init__(
            heading="No buildpack provides Python; only the build image does",
            body=f"{executable} (Python {version}) is part of the build image. The image that runs your model may have\n"
            "another Python or none, and a model must be served by the Python that trained it.",
            advice="Put a buildpack that provides Python before nachlass; one that comes after it is too late:\n"
            "  pack build APP -b paketo-buildpacks/python -b dist/nachlass.cnb\n"
            "  pack build APP -b heroku/python -b dist/nachlass.cnb\n\n"
            "If your build and run images hold the same Python, say so with NACHLASS_SYSTEM_PYTHON=true.",
        )


class PipMissingError(BuildpackError):
    """No way to install anything."""

    reference = "pip-missing"

    def __init__(self, *, python: str, tried: Sequence[str]) -> None:
        super().__init__(
            heading="There is no pip to install packages with",
            body=f"nachlass looked for pip 22.3 or newer with {python} and found none that works:\n" + _bullets(tried),
            advice="On Debian or Ubuntu, install the packages python3-pip or python3-venv into the build image.\n"
            "With Paketo, add paketo-buildpacks/pip before nachlass.",
        )


class PipSettingsError(BuildpackError):
    """A configuration file of pip's that pip itself can't read."""

    reference = "pip-settings-invalid"

    def __init__(self, *, output: str) -> None:
        super().__init__(
            heading="pip can't read its configuration",
            body="nachlass asks pip for your package index and certificates (`pip config list`), and pip's answer stands above.",
            advice="Correct the pip.conf that it names, or the file that PIP_CONFIG_FILE names.",
            details=output,
        )


class VenvMissingError(BuildpackError):
    """The interpreter can't make the environment for the repository's packages."""

    reference = "venv-missing"

    def __init__(self, *, python: str, output: str) -> None:
        super().__init__(
            heading="This Python can't make a virtual environment",
            body=f"nachlass installs your requirements into one, with {python} -m venv, and its message stands above.",
            advice="On Debian or Ubuntu, install the package python3-venv into the build image. Or put a buildpack before\n"
            "nachlass that installs your requirements (paketo-buildpacks/python, heroku/python).",
            details=output,
        )


class InstallFailedError(BuildpackError):
    """pip could not install packages of our own locks."""

    reference = "install-failed"

    def __init__(self, *, what: str, output: str) -> None:
        super().__init__(
            heading=f"nachlass couldn't install {what}",
            body="These packages are nachlass's own, at fixed versions with hashes. pip's message stands above.",
            advice="Usually the package index can't be reached: check PIP_INDEX_URL, proxies and certificates\n"
            "(PIP_CERT) of the build. If your index is a mirror, it must offer these versions.",
            details=output,
        )


class PackedWheelsError(BuildpackError):
    """The buildpack was packaged with wheels that can't be installed here."""

    reference = "packed-wheels"

    def __init__(self, *, packed: str, here: str) -> None:
        super().__init__(
            heading="The wheels in this buildpackage are not for this build",
            body=f"They are for {packed}.\nThis build runs on {here}.",
            advice="Choose another Python, the buildpackage of this architecture, or nachlass.cnb, the one without\n"
            "wheels: with it, the build asks the package index for nachlass's own packages.",
        )


class PublishFailedError(BuildpackError):
    """The notebooks that were to be published could not be turned into pages."""

    reference = "publish-failed"

    def __init__(self, *, output: str) -> None:
        """`output` is the renderer's: the notebooks as it came to them, then what went wrong."""
        super().__init__(
            heading="The notebooks couldn't be published",
            body="NACHLASS_PUBLISH_NOTEBOOKS asks for pages of them, and the notebook named last above couldn't be turned into\n"
            "one. An image without the pages isn't what was asked for, so there is none.",
            advice="Set NACHLASS_PUBLISH_NOTEBOOKS=code to publish them without outputs, or off to build without pages. And\n"
            "please report it with the lines above.",
            details=output,
        )


class DiskFullError(BuildpackError):
    """The file system has no space left."""

    reference = "disk-full"

    def __init__(self, *, path: str) -> None:
        super().__init__(
            heading="The disk is full",
            body=f"There was no space left while writing {path}. What this build had begun was removed.",
            advice="Free some space, or give the build a larger volume, and build again.",
        )


class InternalError(BuildpackError):
    """Anything we did not foresee: a fault of nachlass, with its traceback in `details`."""

    reference = "internal-error"

    def __init__(self, *, problem: str, traceback: str, state: str = "Nothing of this build was kept.") -> None:
        super().__init__(
            heading="nachlass failed unexpectedly",
            body=f"{problem}\n{state}",
            advice=INTERNAL_ADVICE,
            details=traceback,
        )


def internal_error(error: BaseException, *, state: str = "Nothing of this build was kept.") -> InternalError:
    """Return the error for an exception that nobody foresaw; `state` says what it means for the person."""
    text = "".join(traceback.format_exception(error)).rstrip()
    return InternalError(problem=f"{type(error).__name__}: {error}", traceback=text, state=state)


# --- Questions about the cache --------------------------------------------------------------------------------------


class ToolsMissingError(BuildpackError):
    """There is nothing to read notebooks with: `explain` installs nothing."""

    reference = "tools-missing"

    def __init__(self, *, layer: str, python: str) -> None:
        super().__init__(
            heading="Nothing is built yet with this Python",
            body=f"What the next build would do is told with the packages that the last one installed for nachlass,\n"
            f"and there are none for {python} in:\n{layer}",
            advice="Run a build first:\n  nachlass build PATH",
        )


class NotebookUnknownError(BuildpackError):
    """A question is about a notebook that the build would not run."""

    reference = "notebook-unknown"

    def __init__(self, *, notebook: str, listed: Sequence[str]) -> None:
        super().__init__(
            heading=f"'{notebook}' isn't one of the notebooks of the build",
            body="These run, in this order:\n" + _bullets(listed),
            advice="Give one of these names, or leave the name out to hear of all of them.",
            notebook=notebook,
        )


# --- Configuration --------------------------------------------------------------------------------------------------


class SettingInvalidError(BuildpackError):
    """A value that nachlass cannot use."""

    reference = "setting-invalid"

    def __init__(
        self, *, setting: str, value: str, source: str, expected: str, example: str, problem: str | None = None
    ) -> None:
        """`setting` is a variable, or a key of [tool.nachlass] when that is where the value stands."""
        super().__init__(
            heading=f"{setting} has a value that nachlass can't use",
            body=f"{source} says: {value}\n{problem or f'It must be {expected}.'}",
            advice=f"For example:\n  {example}",
        )


class SettingUnknownError(BuildpackError):
    """A key of [tool.nachlass] that nachlass does not know: very likely a slip."""

    reference = "setting-unknown"

    def __init__(self, *, key: str, near: str | None, known: Sequence[str]) -> None:
        guess = f"Did you mean '{near}'? " if near else ""
        super().__init__(
            heading=f"[tool.nachlass] has a key '{key}' that nachlass doesn't know",
            body="It stands in pyproject.toml, and nachlass would have to ignore it.",
            advice=f"{guess}The keys are:\n  {', '.join(known)}",
        )


class PyprojectInvalidError(BuildpackError):
    """`pyproject.toml` is not TOML."""

    reference = "pyproject-invalid"

    def __init__(self, *, problem: str) -> None:
        super().__init__(
            heading="pyproject.toml can't be read",
            body=f"nachlass looks for [tool.nachlass] there, and the file isn't valid TOML:\n{problem}",
            advice="Correct the line that the message names.",
        )


class NotebookListMissingError(BuildpackError):
    """Nothing says which notebooks to run, and it isn't obvious either."""

    reference = "notebook-list-missing"

    def __init__(self, *, candidates: Sequence[str], others: Sequence[str]) -> None:
        found = candidates or others
        if candidates:
            body = "More than one notebook could make a pipeline stage:\n" + _bullets(candidates)
        elif others:
            body = "None of your notebooks names NACHLASS_STAGE_FILE, the path that a stage is saved to:\n" + _bullets(
                others
            )
        else:
            body = "There is no notebook (.ipynb) in this repository."
        example = ",".join(found[:3]) or "01-features.ipynb,02-model.ipynb"
        super().__init__(
            heading="Which notebooks should run?",
            body=body,
            advice=f"List them in the order in which they run:\n  NACHLASS_NOTEBOOKS={example}\n"
            "or, in pyproject.toml:\n"
            f"  [tool.nachlass]\n  notebooks = [{', '.join(repr(name) for name in example.split(','))}]".replace(
                "'", '"'
            ),
        )


class NotebookMissingError(BuildpackError):
    """A listed notebook is not in the repository."""

    reference = "notebook-missing"

    def __init__(self, *, notebook: str, source: str, near_misses: Sequence[str], all_notebooks: Sequence[str]) -> None:
        if near_misses:
            body = "Did you mean one of these?\n" + _bullets(near_misses)
        elif all_notebooks:
            body = "The notebooks of this repository are:\n" + _bullets(all_notebooks)
        else:
            body = "There is no notebook (.ipynb) in what was given to this build."
        super().__init__(
            heading=f"There is no notebook '{notebook}'",
            body=f"It is listed in {source}, as a path from the repository's root.\n{body}",
            advice=f"Correct the name in {source}. If the notebook is there on your machine, commit it.",
            notebook=notebook,
            missing_path=notebook,
        )
        self.yields_advice = True


class NotebookUnreadableError(BuildpackError):
    """A listed path is not a notebook that can be run."""

    reference = "notebook-unreadable"

    def __init__(self, *, notebook: str, problem: str, advice: str | None = None) -> None:
        super().__init__(
            heading=f"'{notebook}' can't be read as a notebook",
            body=problem,
            advice=advice or "Open it in Jupyter, save it, and commit the result.",
            notebook=notebook,
        )


class NotebookNotPythonError(BuildpackError):
    """A notebook in another language."""

    reference = "notebook-not-python"

    def __init__(self, *, notebook: str, language: str) -> None:
        super().__init__(
            heading=f"'{notebook}' is a notebook in {language}",
            body="nachlass builds scikit-learn pipelines, whose notebooks are in Python.",
            advice="Remove it from the list of notebooks, or move what the pipeline needs into a Python notebook.",
            notebook=notebook,
        )


class NotebookNamesCollideError(BuildpackError):
    """Two notebooks would leave their stage at the same path."""

    reference = "notebook-names-collide"

    def __init__(self, *, first: str, second: str, sav_path: str) -> None:
        super().__init__(
            heading=f"'{first}' and '{second}' would both leave their stage at '{sav_path}'",
            body="They have the same name and run in the same directory, so a later notebook that loads this file\n"
            "could not tell whose stage it gets.",
            advice="Rename one of them, or set NACHLASS_NOTEBOOK_CWD=notebook so that each runs in its own directory.",
            notebook=second,
        )


class NotebookNotListedError(BuildpackError):
    """A setting is about a notebook that doesn't run."""

    reference = "notebook-not-listed"

    def __init__(self, *, notebook: str, source: str, near: str | None, listed: Sequence[str]) -> None:
        guess = f"Did you mean '{near}'? " if near else ""
        super().__init__(
            heading=f"A setting is about '{notebook}', which isn't among the notebooks to run",
            body=f"{source} names it. These run, with paths from the repository's root:\n" + _bullets(listed),
            advice=f"{guess}Write the name as the list has it, or add the notebook to the list.",
            notebook=notebook,
        )


class BindingInvalidError(BuildpackError):
    """A service binding of type nachlass that cannot become environment variables."""

    reference = "binding-invalid"

    def __init__(self, *, binding: str, problem: str) -> None:
        super().__init__(
            heading=f"The service binding '{binding}' can't be used",
            body=problem,
            advice="Each key of a binding of type 'nachlass' becomes an environment variable of your notebooks, so its\n"
            "name must be one, for example AWS_ACCESS_KEY_ID.",
        )


# --- Requirements ---------------------------------------------------------------------------------------------------


class RequirementsFailedError(BuildpackError):
    """pip could not install the repository's requirements."""

    reference = "requirements-failed"

    def __init__(self, *, file: str, output: str) -> None:
        super().__init__(
            heading=f"pip couldn't install what {file} asks for",
            body="pip's own message stands above. Nothing of this build was kept.",
            advice=f"Correct {file}: a misspelt name, a version that doesn't exist for this Python, or two requirements\n"
            "that exclude each other are the usual causes. `pip install -r` in a new virtual environment of the\n"
            "same Python shows the same message.",
            details=output,
        )


class IndexUnreachableError(BuildpackError):
    """pip could not talk to the package index."""

    reference = "index-unreachable"

    def __init__(self, *, file: str, output: str) -> None:
        super().__init__(
            heading="The package index can't be reached",
            body=f"pip needs it to install what {file} asks for. pip's own message stands above.",
            advice="Check the network of the build, its proxy (HTTPS_PROXY) and certificates (PIP_CERT), and\n"
            "PIP_INDEX_URL if you have an index of your own.",
            details=output,
        )


class RequirementsMissingError(BuildpackError):
    """Nothing says what the notebooks need."""

    reference = "requirements-missing"

    def __init__(self) -> None:
        super().__init__(
            heading="There is no requirements.txt",
            body="No earlier buildpack installed packages for your notebooks, and the repository's root has no\n"
            "requirements.txt that nachlass could install.",
            advice="List what your notebooks import in a file requirements.txt, for example:\n  scikit-learn\n  pandas",
        )


class RequirementUnmetError(BuildpackError):
    """An earlier buildpack installed the requirements, but not this one."""

    reference = "requirement-unmet"

    def __init__(self, *, requirement: str, installed: str | None, directory: str) -> None:
        have = f"it has {installed}" if installed else "it isn't there"
        super().__init__(
            heading=f"Your requirement '{requirement}' isn't installed",
            body=f"An earlier buildpack installed your requirements into\n{directory}\nbut {have}.",
            advice="Look at that buildpack's part of the log. nachlass doesn't change other buildpacks' layers; commit\n"
            "the requirements file that the buildpack reads, and build with an empty cache.",
        )


class SklearnMissingError(BuildpackError):
    """scikit-learn is not installed."""

    reference = "sklearn-missing"

    def __init__(self) -> None:
        super().__init__(
            heading="scikit-learn isn't among your requirements",
            body="nachlass composes your stages into a scikit-learn pipeline, with the version that trained them.",
            advice="Add scikit-learn to requirements.txt, best with the version that you use:\n  scikit-learn==1.7.2",
        )


# --- Running notebooks ----------------------------------------------------------------------------------------------


class CellFailedError(BuildpackError):
    """A cell raised an exception."""

    reference = "cell-failed"

    def __init__(  # noqa: PLR0913 - the facts of one failure
        self,
        *,
        notebook: str,
        cell: str,
        exception: str,
        line: str | None,
        traceback: str,
        hint: str | None = None,
        worker: str | None = None,
        missing_path: str | None = None,
        missing_as_written: str | None = None,
        home: str | None = None,
        yields_advice: bool = False,
    ) -> None:
        """`worker` is the exception in a process that the cell started, where that is what `exception` comes from."""
        where = f"\nIn a worker process:\n    {worker}" if worker else ""
        where += f"\nThe line that failed:\n    {line}" if line else ""
        super().__init__(
            heading=f"{_capital(cell)} of '{notebook}' raised {exception.partition(':')[0]}",
            body=f"{exception}{where}",
            advice=hint
            or "Restart the kernel and run all cells in Jupyter to see the same error, correct the notebook, and commit it.",
            details=traceback,
            notebook=notebook,
            missing_path=missing_path,
            home=home,
        )
        self.missing_as_written = missing_as_written
        self.yields_advice = yields_advice


class KernelDiedError(BuildpackError):
    """The kernel's process ended while a cell ran."""

    reference = "kernel-died"

    def __init__(self, *, notebook: str, cell: str, how: str, advice: str, details: str | None = None) -> None:
        super().__init__(
            heading=f"The kernel died in {cell} of '{notebook}'",
            body=how,
            advice=advice,
            details=details,
            notebook=notebook,
        )


class KernelStartError(BuildpackError):
    """The kernel never answered."""

    reference = "kernel-start-failed"

    def __init__(self, *, notebook: str, output: str) -> None:
        super().__init__(
            heading=f"The kernel for '{notebook}' didn't start",
            body="nachlass starts your Python with a kernel of its own beside your packages. What it printed stands above.",
            advice="A package of yours that shadows a standard module (a file random.py or types.py beside the notebook)\n"
            "is the usual cause.",
            details=output,
            notebook=notebook,
        )


class OfflineUnavailableError(BuildpackError):
    """NACHLASS_OFFLINE asks for what this system cannot give."""

    reference = "offline-unavailable"

    def __init__(self, *, problem: str) -> None:
        super().__init__(
            heading="The notebooks can't be kept from the network here",
            body="NACHLASS_OFFLINE is set, and the filter that refuses Internet sockets can't be installed on this system.",
            advice="Build on Linux (x86-64 or aarch64) in a container that allows seccomp, or unset NACHLASS_OFFLINE.",
            details=problem or None,
        )


class NotebookTimeoutError(BuildpackError):
    """A notebook ran longer than it may."""

    reference = "notebook-timeout"

    def __init__(self, *, notebook: str, cell: str, limit_s: float, line: str | None = None) -> None:
        where = f"\nThe line that it was at:\n    {line}" if line else ""
        super().__init__(
            heading=f"'{notebook}' ran longer than {limit_s:g} seconds",
            body=f"NACHLASS_TIMEOUT sets this limit for each notebook. It was in {cell} when the time was up.{where}",
            advice="Give it more time with NACHLASS_TIMEOUT=<seconds>, or make that cell do less.",
            notebook=notebook,
        )


class CellWantsInputError(BuildpackError):
    """A cell asked the person at the keyboard."""

    reference = "cell-wants-input"

    def __init__(self, *, notebook: str, cell: str, line: str | None) -> None:
        where = f"\nThe line that asked:\n    {line}" if line else ""
        super().__init__(
            heading=f"{_capital(cell)} of '{notebook}' waits for input",
            body=f"Nobody is there to answer input() or getpass() in a build.{where}",
            advice="Read the value from an environment variable; a secret comes from a service binding of type nachlass.",
            notebook=notebook,
        )


class InstallRefusedError(BuildpackError):
    """A cell asked pip to change the installed packages."""

    reference = "install-refused"

    def __init__(self, *, notebook: str, cell: str, command: str) -> None:
        """`command` is what the cell gave to pip, `pip install x` for instance."""
        super().__init__(
            heading=f"{_capital(cell)} of '{notebook}' wants to change the installed packages",
            body=f"It ran\n  {command}\nand was refused. Packages go into requirements.txt; nachlass does not let notebooks install: the\n"
            "model will be served with what requirements.txt names, and other notebooks would find other packages.",
            advice="Take pip out of the cell, and name what your notebooks need in requirements.txt. Builds install from\n"
            "there before any notebook runs.",
            notebook=notebook,
        )


class PackagesChangedError(BuildpackError):
    """A notebook installed packages, or removed some."""

    reference = "packages-changed"

    def __init__(
        self, *, notebook: str, changes: Sequence[str], more: int, wanted: Sequence[str], foreign: Sequence[str]
    ) -> None:
        """`wanted` are lines for requirements.txt; `foreign` the directories of other buildpacks that changed."""
        others = f"\n  and {more} more" if more else ""
        where = (
            "\n\nThey are in another buildpack's layer, which nachlass can't restore:\n" + _bullets(foreign)
            if foreign
            else "\n\nThe next build installs them anew, as requirements.txt has them."
        )
        again = "\nIf the layers of this build are kept, build the next time with an empty cache." if foreign else ""
        advice = (
            "Name what your notebooks need in requirements.txt, and take `pip install` out of the cell:\n"
            + _bullets(wanted)
            if wanted
            else "Take what removes packages out of the notebook, and their lines out of requirements.txt if need be."
        )
        super().__init__(
            heading=f"'{notebook}' changed the installed packages",
            body="After it had run, the environment that your model will be served from was not the one that\n"
            f"requirements.txt describes:\n{_bullets(changes)}{others}{where}\n\n"
            "Other notebooks, and builds that reuse this one without running it, would find another environment.",
            advice=advice + again,
            notebook=notebook,
        )


class NothingSavedError(BuildpackError):
    """No notebook saved a stage."""

    reference = "stage-not-saved"

    def __init__(self, *, notebook: str, cell_count: int, others: Sequence[str], hint: str | None = None) -> None:
        """`hint` says which file that a notebook wrote may be the stage, and how to say so."""
        before = f"\nThe notebooks before it saved none either: {', '.join(others)}." if others else ""
        super().__init__(
            heading=f"'{notebook}' didn't save a pipeline stage",
            body=f"All {cell_count} code cells ran without error, but afterwards there was no file at the\n"
            f"path in NACHLASS_STAGE_FILE.{before}",
            advice=(f"{hint}\n\nOr, in " if hint else "In ")
            + "the notebook's last cell, save the fitted estimator to that path:\n"
            "  import os, cloudpickle\n"
            '  with open(os.environ["NACHLASS_STAGE_FILE"], "wb") as file:\n'
            "      cloudpickle.dump(model, file)\n"
            "If this notebook only prepares data or draws plots, add the one that trains the model to the list.",
            notebook=notebook,
        )


class StageNotWrittenError(BuildpackError):
    """A notebook did not write the file that a setting calls its stage."""

    reference = "stage-not-written"

    def __init__(self, *, notebook: str, file: str, source: str, problem: str, others: Sequence[str]) -> None:
        """`others` are the files that it did write and that look like models."""
        wrote = "It wrote these, which look like models:\n" + _bullets(others) + "\n\n" if others else ""
        super().__init__(
            heading=f"'{notebook}' didn't write '{file}', which is to be its stage",
            body=f"{source} says that its stage is that file, and the notebook ran to its end.\n{problem}",
            advice=f"{wrote}Correct the path: it begins in the directory that the notebook runs in, or in the repository's\n"
            "root. Or remove the setting, and save the stage to the path in NACHLASS_STAGE_FILE.",
            notebook=notebook,
        )


class DataPointerError(BuildpackError):
    """A notebook read the pointer of a large-file tool instead of the data."""

    reference = "data-pointer"

    def __init__(self, *, notebook: str, cell: str, path: str, tool: str, command: str) -> None:
        super().__init__(
            heading=f"'{path}' is a {tool} pointer, not the data",
            body=f"{_capital(cell)} of '{notebook}' reads it. The build got the repository without the files that {tool} keeps elsewhere.",
            advice=f"Run `{command}` where the repository is checked out for the build, or download the data in the\n"
            "notebook (credentials come from a service binding of type nachlass).",
            notebook=notebook,
        )


# --- Stages ---------------------------------------------------------------------------------------------------------


_SAVE_AGAIN = """
Save a fitted estimator with pickle, cloudpickle, joblib or skops, close the file, and build again.
A stage must come from this run of the notebook: don't copy one that another Python or another
version of scikit-learn wrote.
"""
_SAVE_BY_VALUE = """
pickle and joblib save the names of functions and classes, not the code. Save the stage with cloudpickle.dump
instead, or move the definition to a module of the repository and import it.
"""


class StageUnreadableError(BuildpackError):
    """A stage file that does not load."""

    reference = "stage-unreadable"

    def __init__(self, *, notebook: str, problem: str, details: str | None = None) -> None:
        super().__init__(
            heading=f"The stage that '{notebook}' saved can't be loaded",
            body=problem,
            advice=_SAVE_BY_VALUE if "only the notebook defines" in problem else _SAVE_AGAIN,
            details=details,
            notebook=notebook,
        )


class StageNotATransformerError(BuildpackError):
    """A stage in the middle cannot transform."""

    reference = "stage-not-a-transformer"

    def __init__(self, *, notebook: str, problem: str) -> None:
        super().__init__(
            heading=f"The stage of '{notebook}' can't be a step in the middle of the pipeline",
            body=problem,
            advice="Every stage but the last needs a `transform` method. Reorder the list of notebooks, or save a\n"
            "transformer in this notebook.",
            notebook=notebook,
        )


class StageCannotPredictError(BuildpackError):
    """The last stage has no predict."""

    reference = "stage-cannot-predict"

    def __init__(self, *, notebook: str, problem: str) -> None:
        super().__init__(
            heading=f"The stage of '{notebook}' is the last one and can't predict",
            body=problem,
            advice="The last notebook that saves a stage has to save a classifier or regressor (anything with a\n"
            "`predict` method). Save that in this notebook, or add the one that trains the model to the list.",
            notebook=notebook,
        )


class ProofFailedError(BuildpackError):
    """The service would not work with this model."""

    reference = "proof-failed"

    def __init__(
        self, *, notebook: str, problem: str, hint: str, details: str | None = None, missing_path: str | None = None
    ) -> None:
        super().__init__(
            heading="The trained pipeline doesn't predict in the service",
            body=f"{problem}\nThe failing stage is the one of '{notebook}'.",
            advice=hint,
            details=details,
            notebook=notebook,
            missing_path=missing_path,
        )


class ShippedFileMissingError(BuildpackError):
    """The model reads a file when it predicts that the image would not have."""

    reference = "file-not-shipped"

    def __init__(self, *, notebook: str, path: str) -> None:
        super().__init__(
            heading=f"The model reads '{path}' when it predicts, and the image wouldn't have it",
            body=f"The file was there where the notebooks ran, but it isn't in the repository. The stage of '{notebook}'\n"
            "asks for it.",
            advice=f"Name the files that have to go with the model:\n  NACHLASS_SHIP={path}",
            notebook=notebook,
            missing_path=path,
        )


class InterruptedBuildError(BuildpackError):
    """SIGINT or SIGTERM."""

    reference = "interrupted"

    def __init__(self, *, signal_name: str) -> None:
        super().__init__(
            heading=f"The build was stopped by {signal_name}",
            body="The kernel and everything it had started were ended, and no layer was left half made.",
            advice="Build again when you are ready.",
        )
