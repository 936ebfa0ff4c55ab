"""Finding a pip that works, and running it with the user's index settings and nothing else of theirs.

Providers differ (pip on PYTHONPATH, pip in another buildpack's user site, no pip at all), and their PIP_* variables
point their pip at their environment: PIP_PYTHON, PIP_USER, PIP_TARGET or PIP_CONSTRAINT would send or bend ours.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import bytecode, process
from nachlass_bp.errors import PipMissingError, PipSettingsError

OLDEST = (22, 3)
"""The first pip with `--python`, which installs into an environment that has no pip."""

ALLOWED_SETTINGS = frozenset(
    {
        "index-url", "extra-index-url", "find-links", "no-index", "cert", "client-cert", "trusted-host", "proxy",
        "timeout", "default-timeout", "retries", "keyring-provider", "cache-dir", "no-cache-dir",
    }
)  # fmt: skip
_DROPPED_VARIABLES = re.compile(r"PIP_|PYTHON|VIRTUAL_ENV$|CONDA_|__PYVENV_LAUNCHER__$")
_LISTING_SETTINGS = {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0", "PIP_QUIET": "0"}
"""What `pip config list` must not take from a pip.conf: `user = true` would make it list the user's file alone."""
_UNREACHABLE = (
    "CERTIFICATE_VERIFY_FAILED",
    "ConnectTimeoutError",
    "Connection refused",
    "Failed to establish a new connection",
    "NewConnectionError",
    "ProxyError",
    "ReadTimeoutError",
    "Temporary failure in name resolution",
)
"""What urllib3 and OpenSSL say through pip when there is no index to ask."""
SYSTEM_WHEELS = (Path("/usr/share/python-wheels"), Path("/usr/lib/python3/wheels"))
"""Where Debian and Fedora keep the wheels that `venv` installs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pip:
    """A pip that runs: `command` starts it, `env` is its whole environment, `origin` says where it was found."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    version: str
    origin: str

    def run(
        self, arguments: Sequence[str | Path], *, cwd: Path, on_line: Callable[[str], None] | None = None
    ) -> process.Finished:
        """Run one pip command; no prompt, no progress bar, no notice about newer pips."""
        return process.run(self._command(arguments), env=self.env, cwd=cwd, on_line=on_line)

    def run_together(self, runs: Sequence[Sequence[str | Path]], *, cwd: Path) -> list[process.Finished]:
        """Run several pip commands at the same time, which is safe for the cache that they share."""
        return process.run_together([self._command(arguments) for arguments in runs], env=self.env, cwd=cwd)

    def _command(self, arguments: Sequence[str | Path]) -> list[str | Path]:
        return [*self.command, "--no-input", "--disable-pip-version-check", *arguments]


_found: dict[object, Pip] = {}
"""What `find` has found: asking takes a second, and a build installs up to four times with the same settings."""
_unpacked: list[tempfile.TemporaryDirectory[str]] = []
"""Of what is in `_found`; gone when the build ends."""


def find(python: Path, env: Mapping[str, str], wheels_dir: Path, system_wheels: Sequence[Path] = SYSTEM_WHEELS) -> Pip:
    """Return the first pip that runs: the interpreter's own, a provider's, one out of a wheel.

    Args:
        python: The interpreter that pip runs under.
        env: The build's environment.
        wheels_dir: The buildpack's own wheels, when it was packaged with them.
        system_wheels: Directories in which the operating system may keep a pip wheel.

    Raises:
        PipMissingError: None of them runs.
        PipSettingsError: pip can't read the user's configuration.
    """
    key = (python, tuple(sorted(env.items())), wheels_dir, tuple(system_wheels))
    if key in _found:
        return _found[key]
    scratch = tempfile.TemporaryDirectory(prefix="nachlass-pip-")
    tried: list[str] = []
    base = _without_provider_settings(env)
    for command, origin in _candidates(python, env, (wheels_dir, *system_wheels), Path(scratch.name), tried):
        finished = process.run([*command, "--version"], env=base, cwd=Path(scratch.name))
        version = _version(finished.output) if finished.ok else None
        if version is None or _parts(version) < OLDEST:
            tried.append(f"{origin}: {version or _last_line(finished.output)}")
            continue
        settings = _user_settings(command, python, env, Path(scratch.name))
        _unpacked.append(scratch)
        _found[key] = Pip(command=command, env={**base, **settings}, version=version, origin=origin)
        return _found[key]
    scratch.cleanup()
    raise PipMissingError(python=str(python), tried=tried)


def _candidates(
    python: Path, env: Mapping[str, str], wheel_directories: Sequence[Path], scratch: Path, tried: list[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (command, where it is from); later ones are only made when the earlier ones fail.

    What isn't even there goes into `tried`.

    Always isolated (-I): what else a provider has on PYTHONPATH could shadow the standard library, and would count as
    installed. An environment that `venv` puts a pip into is not among them: its pip is that of the same wheel, which it
    takes several seconds to install.
    """
    yield (str(python), "-I", "-B", "-m", "pip"), "the interpreter's own pip"
    for package in _provided_packages(env):
        yield (str(python), "-I", "-B", str(package)), f"the pip in {package.parent}"
    ours, *systems = wheel_directories
    for wheel in _newest_wheels([ours]):
        yield _unpack(wheel, python, env, scratch), f"the buildpack's {wheel.name}"
    directories = [*_bundled(python, env, scratch), *systems]
    wheels = _newest_wheels(directories)
    for wheel in wheels:
        yield _unpack(wheel, python, env, scratch), f"{wheel.name} of the system"
    if not wheels:
        where = ", ".join(map(str, directories)) or "this Python names no directory of wheels"
        tried.append(f"a wheel of the system: none ({where})")


def _unpack(wheel: Path, python: Path, env: Mapping[str, str], scratch: Path) -> tuple[str, ...]:
    """Return what starts the pip of a wheel.

    It runs out of the file as it is, too, but is compiled anew each time then: a second, at least five times a build.
    """
    directory = scratch / f"unpacked-{len(list(scratch.iterdir()))}"
    with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile), zipfile.ZipFile(wheel) as file:
        file.extractall(directory)
        bytecode.compile_beside(python, directory, env=_without_provider_settings(env))
    return (str(python), "-I", "-B", str(directory / "pip"))


def _provided_packages(env: Mapping[str, str]) -> list[Path]:
    """Return the `pip` packages that a provider put on PYTHONPATH or into a user site of its own."""
    sites = [Path(entry) for entry in env.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if env.get("PYTHONUSERBASE"):
        sites += sorted(Path(env["PYTHONUSERBASE"]).glob("lib/python3*/site-packages"))
    return [site / "pip" for site in sites if (site / "pip" / "__main__.py").is_file()]


def _bundled(python: Path, env: Mapping[str, str], scratch: Path) -> list[Path]:
    """Return the directories of the wheels that came with the interpreter, if it has them."""
    program = """
import os, sysconfig
print(sysconfig.get_config_var("WHEEL_PKG_DIR") or "")
import ensurepip
print(os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"))
"""
    found = process.run([python, "-I", "-B", "-c", program], env=_without_provider_settings(env), cwd=scratch)
    return [path for path in map(Path, found.output.splitlines()) if path.is_absolute()]


def _newest_wheels(directories: Sequence[Path]) -> list[Path]:
    wheels = [wheel for directory in directories for wheel in directory.glob("pip-*.whl")]
    return sorted(wheels, key=lambda wheel: _parts(wheel.name.split("-")[1]), reverse=True)


def _without_provider_settings(env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` without what would send pip elsewhere; LD_LIBRARY_PATH stays, shared-library Pythons need it."""
    kept = {name: value for name, value in env.items() if not _DROPPED_VARIABLES.match(name)}
    # Old pips fall back to the locale's encoding for requirements files; and pip.conf is read once, by `config list`.
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _user_settings(command: Sequence[str], python: Path, env: Mapping[str, str], cwd: Path) -> dict[str, str]:
    """Return the allowed settings of the user's variables and configuration files, as PIP_* variables.

    `pip config list` prints `global.index-url='…'`, `install.find-links='…'` and `:env:.cert='…'`, from the weakest to
    the strongest source; the last one said wins, as it does in pip.
    """
    listing = {
        **{name: value for name, value in env.items() if not _DROPPED_VARIABLES.match(name)},
        **{name: env[name] for name in (*map(_variable, ALLOWED_SETTINGS), "PIP_CONFIG_FILE") if name in env},
        **_LISTING_SETTINGS,
        "PIP_PYTHON": str(python),  # A pip.conf may name another, which need not exist.
        "PYTHONDONTWRITEBYTECODE": "1",  # pip starts itself anew with this Python, without our options.
    }
    finished = process.run([*command, "config", "list"], env=listing, cwd=cwd)
    if not finished.ok:
        raise PipSettingsError(output=finished.output)
    settings: dict[str, str] = {}
    strong: dict[str, str] = {}
    for line in finished.output.splitlines():
        section_and_name, equals, literal = line.partition("=")
        section, _, name = section_and_name.rpartition(".")
        if not equals or name not in ALLOWED_SETTINGS or section not in {"global", "install", ":env:"}:
            continue
        try:
            value = str(ast.literal_eval(literal))
        except (ValueError, SyntaxError):
            continue
        target = strong if section == ":env:" else settings
        target[_variable(name)] = value
    return {**settings, **strong}


def _variable(setting: str) -> str:
    return "PIP_" + setting.upper().replace("-", "_")


def disk_was_full(finished: process.Finished) -> bool:
    """Whether pip failed for want of disk space (strerror(ENOSPC) or EDQUOT, in its traceback)."""
    return any(sign in finished.output for sign in ("No space left on device", "Disk quota exceeded"))


def is_unreachable(installer: Pip, finished: process.Finished, cwd: Path) -> bool:
    """Whether pip failed because there is no index to ask.

    Without retries pip keeps the reason to itself and says "from versions: none", as for a misspelt name; then asking
    for pip itself, aloud, tells the two apart.
    """
    if any(sign in finished.output for sign in _UNREACHABLE):
        return True
    if "(from versions: none)" not in finished.output:
        return False
    asked = installer.run(["download", "-vv", "--retries", "0", "--no-deps", "--dest", cwd, "pip"], cwd=cwd)
    return not asked.ok and any(sign in asked.output for sign in _UNREACHABLE)


def _version(output: str) -> str | None:
    match = re.search(r"^pip (\d+(?:\.\d+)*)", output, re.MULTILINE)
    return match[1] if match else None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _last_line(output: str) -> str:
    return output.strip().rpartition("\n")[2] or "doesn't run"
