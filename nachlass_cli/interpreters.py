"""The Python that a build uses: found, asked who it is, and given a directory that PATH can name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nachlass_cli import host
from nachlass_cli.errors import PythonNotFoundError, PythonUnusableError

OLDEST = (3, 10)
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
_QUESTION = """\
import json, os, sys
# In a virtual environment the base interpreter is another program; 3.10 on macOS may not say which.
base = getattr(sys, "_base_executable", None) or sys.executable
virtual = sys.prefix != sys.base_prefix
print(json.dumps({"executable": base, "version": "%d.%d.%d" % sys.version_info[:3], "virtual": virtual}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpreter:
    """A working interpreter: the program itself, neither a version manager's stand-in nor a virtual environment's."""

    executable: Path
    version: str
    virtual: bool
    """Whether the person named a virtual environment's, whose packages play no part."""


def choose_interpreter(option: str | None, repository: Path) -> tuple[Interpreter, str]:
    """Return the interpreter and who asked for it: `--python`, `.python-version`, or the one that runs nachlass.

    Raises:
        PythonNotFoundError: The wanted version is not on this machine.
        PythonUnusableError: The wanted interpreter does not start, is too old, or the wish cannot be understood.
    """
    if option is not None:
        source, interpreter = "--python", _find(option, source="--python")
    elif (wanted := _read_version_file(repository)) is not None:
        source = ".python-version"
        if not _VERSION.fullmatch(wanted):
            problem = "it is not a version such as 3.12 or 3.12.4"
            raise PythonUnusableError(wanted, source=f"'{repository / '.python-version'}'", problem=problem)
        interpreter = _find(wanted, source=f"'{repository / '.python-version'}'")
    else:
        source = "the Python that runs nachlass"
        interpreter = _ask(Path(sys.executable), given=sys.executable, source="The installation of nachlass")
    if _numbers(interpreter.version) < OLDEST:
        problem = f"it is Python {interpreter.version}"
        raise PythonUnusableError(str(interpreter.executable), source=source, problem=problem)
    return interpreter, source


def directory_for(interpreter: Interpreter, spare: Path) -> Path:
    """Return the directory that `path_directory` would, and make nothing."""
    own = interpreter.executable.parent
    if (own / "python3").exists() and (own / "python3").samefile(interpreter.executable):
        return own
    # The directory's path must be the same in every build: the packages layer and the launch remember it.
    return spare


def path_directory(interpreter: Interpreter, spare: Path) -> Path:
    """Return a directory where `python3` is this interpreter: its own, or else `spare` with links to it."""
    if (directory := directory_for(interpreter, spare)) != spare:
        return directory
    spare.mkdir(exist_ok=True)
    major_minor = ".".join(interpreter.version.split(".")[:2])
    for name in ("python", "python3", f"python{major_minor}"):
        (spare / name).unlink(missing_ok=True)
        (spare / name).symlink_to(interpreter.executable)
    return spare


def _read_version_file(repository: Path) -> str | None:
    path = repository / ".python-version"
    if not path.is_file():
        return None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if words := line.partition("#")[0].split():
            return words[0]
    return None


def _find(wanted: str, *, source: str) -> Interpreter:
    if not _VERSION.fullmatch(wanted):
        path = Path(wanted).expanduser()
        if not path.exists():
            searched = "as a path; it is neither one nor a version such as 3.12"
            raise PythonNotFoundError(wanted, source=source, searched=searched)
        return _ask(path / "bin/python" if path.is_dir() else path, given=wanted, source=source)
    if _numbers(wanted)[:2] < OLDEST:
        raise PythonUnusableError(wanted, source=source, problem="nachlass needs Python 3.10 or newer")
    for candidate in _candidates(wanted):
        try:
            interpreter = _ask(candidate, given=wanted, source=source)
        except PythonUnusableError:
            continue  # A version manager's stand-in for a version that is switched off.
        if f"{interpreter.version}.".startswith(f"{wanted}."):
            return interpreter
    raise PythonNotFoundError(
        wanted, source=source, searched="on PATH and among the versions that pyenv and uv installed"
    )


def _candidates(wanted: str) -> Iterator[Path]:
    major_minor = ".".join(wanted.split(".")[:2])
    yield Path(sys.executable)
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        for name in (f"python{major_minor}", "python3"):
            if directory and os.access(Path(directory) / name, os.X_OK):
                yield Path(directory) / name
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python")
    found = [*pyenv.glob(f"{wanted}*/bin/python{major_minor}"), *uv.glob(f"cpython-{wanted}*/bin/python{major_minor}")]
    yield from sorted(found, key=lambda path: _numbers(path.parent.parent.name), reverse=True)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def _ask(program: Path, *, given: str, source: str) -> Interpreter:
    # As in the phases: what starts only with the person's LD_LIBRARY_PATH would fail later and less clearly.
    env = {"PATH": host.system_path(), **host.locale_variables()}
    try:
        finished = subprocess.run(
            [program, "-I", "-c", _QUESTION],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        problem = f"it can't be started: {error.strerror}"
        raise PythonUnusableError(given, source=source, problem=problem) from error
    try:
        answer = json.loads(finished.stdout)
        interpreter = Interpreter(
            executable=Path(answer["executable"]), version=answer["version"], virtual=answer["virtual"]
        )
    except (ValueError, KeyError, TypeError) as error:
        problem = "it doesn't work as a Python interpreter"
        raise PythonUnusableError(given, source=source, problem=problem, details=finished.stderr) from error
    return interpreter
