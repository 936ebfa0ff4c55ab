"""The environment of the phases: cleared, then only what a platform would set."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nachlass_cli import git, host, output, snapshot
from nachlass_cli.arguments import BuildOptions
from nachlass_cli.errors import BindingError, SettingUnknownError
from nachlass_cli.project import Project
from nachlass_cli.selection import Selection
from nachlass_cli.workspace import Workspace

STACK_ID = "nachlass.local"
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PIP = tuple(
    f"PIP_{name}"
    for name in (
        "INDEX_URL",
        "EXTRA_INDEX_URL",
        "FIND_LINKS",
        "NO_INDEX",
        "CERT",
        "CLIENT_CERT",
        "TRUSTED_HOST",
        "PROXY",
        "TIMEOUT",
        "DEFAULT_TIMEOUT",
        "RETRIES",
        "KEYRING_PROVIDER",
        "CONFIG_FILE",
        "CACHE_DIR",
        "NO_CACHE_DIR",
    )
)
SETTINGS = (
    *(
        f"NACHLASS_{name}"
        for name in (
            *("NOTEBOOKS", "NOTEBOOK_CWD", "TIMEOUT", "MEMORY_LIMIT", "UPGRADE", "STAGES", "PARAMETERS", "SEED"),
            *(
                "SHIP",
                "SAMPLE",
                "DRIFT",
                "CACHE",
                "ALWAYS_RUN",
                "NETWORK",
                "OFFLINE",
                "CACHE_MAX_BYTES",
                "PUBLISH_NOTEBOOKS",
            ),
            *("COMMIT", "HOME"),
        )
    ),
    "S2I_SOURCE_NOTEBOOK_LIST",
)
"""What a build may be told by a variable (docs/configuration.md), apart from what this command says itself."""
_OURS = "NACHLASS_"
_NOT_IGNORED = frozenset({*SETTINGS, "NACHLASS_SYSTEM_PYTHON"})
_PATH_LIKE = frozenset({"PATH", "LD_LIBRARY_PATH", "LIBRARY_PATH", "CPATH", "PKG_CONFIG_PATH"})


def phase_variables(workspace: Workspace, python_directory: Path) -> dict[str, str]:
    """Return what every phase sees before the platform's own variables.

    Of the person's shell that is only what it takes to reach the package index.
    """
    return {
        "PATH": os.pathsep.join([str(python_directory), host.system_path()]),
        "HOME": str(workspace.home),
        **host.locale_variables(),
        **_taken_over([*_NETWORK, *(name.lower() for name in _NETWORK), *_CERTIFICATES, *_PIP]),
        **_pip_files(),
    }


def commit_variables(repository: Path, selection: Selection, include: Sequence[str]) -> dict[str, str]:
    """Say which commit is built, and whether other files than its own are among those that were chosen."""
    found = git.head(repository) if selection.by_git else None
    if found is None:
        return {}
    commit, differs = found
    return {"NACHLASS_COMMIT": f"{commit}-dirty" if differs or selection.untracked or include else commit}


def _taken_over(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _pip_files() -> dict[str, str]:
    """Name the person's pip files, which pip can't find from the build's empty HOME."""
    found: dict[str, str] = {}
    if "PIP_CACHE_DIR" not in os.environ:
        found["PIP_CACHE_DIR"] = str(host.pip_cache())
    if "PIP_CONFIG_FILE" not in os.environ:
        existing = next((path for path in host.pip_user_configurations() if path.is_file()), None)
        if existing is not None:
            found["PIP_CONFIG_FILE"] = str(existing)
    return found


def platform_variables(options: BuildOptions, project: Project) -> dict[str, str]:
    """Return the variables that the person chose: project.toml's, then --env, then the options that stand for one.

    Raises:
        SettingUnknownError: --env has a name of nachlass's that means nothing to a build.
    """
    for name, _ in options.env:
        if _means_nothing(name):
            raise SettingUnknownError(name, near=_nearest(name), known=SETTINGS)
    variables = dict([*project.env, *options.env])
    if options.notebooks is not None:
        variables["NACHLASS_NOTEBOOKS"] = options.notebooks
    if options.upgrade:
        variables["NACHLASS_UPGRADE"] = "1"
    if options.share_home:
        variables["NACHLASS_HOME"] = str(Path.home())
    return variables


def warn_of_unknown_settings(project: Project) -> None:
    """Name what project.toml sets that no build knows; other platforms take it without a word, so it is no error."""
    for name, _ in project.env:
        if _means_nothing(name):
            near = _nearest(name)
            guess = f"; did you mean {near}?" if near else ""
            output.warning(f"project.toml sets {name}, which is no setting of a build{guess}")


def _means_nothing(name: str) -> bool:
    return name.startswith(_OURS) and name not in _NOT_IGNORED


def _nearest(name: str) -> str | None:
    """Return the setting that is spelt most like `name`; what all names begin with makes none alike."""
    known = [each.removeprefix(_OURS) for each in SETTINGS if each.startswith(_OURS)]
    found = difflib.get_close_matches(name.removeprefix(_OURS), known, n=1)
    return f"{_OURS}{found[0]}" if found else None


def warn_of_settings_left_out(variables: Mapping[str, str]) -> None:
    """Name the settings that the shell has and the build doesn't get; their values may be nobody's business."""
    ignored = [name for name in SETTINGS if os.environ.get(name) and name not in variables]
    if ignored:
        options = " ".join(f'--env "{name}=${name}"' for name in ignored)
        output.warning(
            f"the build doesn't see your shell's {', '.join(ignored)}. To pass on what is set there:\n  {options}"
        )


def with_platform_variables(base: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """Set the platform's variables as the lifecycle does: search paths are put in front, all others replace."""
    result = dict(base)
    for name, value in variables.items():
        before = result.get(name)
        result[name] = f"{value}{os.pathsep}{before}" if name in _PATH_LIKE and before else value
    return result


def write_platform_directory(workspace: Workspace, variables: Mapping[str, str], bindings: Iterable[Path]) -> None:
    """Write `env/`, one file a variable, and `bindings/`, links so that no secret is copied.

    Raises:
        BindingError: A binding is not one.
    """
    checked = _check_bindings(bindings)
    snapshot.remove_tree(workspace.platform)
    (workspace.platform / "env").mkdir(mode=0o700, parents=True)
    (workspace.platform / "bindings").mkdir(mode=0o700)
    for name, value in variables.items():
        (workspace.platform / "env" / name).write_text(value, encoding="utf-8", errors="surrogateescape")
    for name, directory in checked.items():
        (workspace.platform / "bindings" / name).symlink_to(directory)


def _check_bindings(bindings: Iterable[Path]) -> dict[str, Path]:
    checked: dict[str, Path] = {}
    for given in bindings:
        directory = given.expanduser().resolve()
        if not directory.is_dir():
            raise BindingError(given, "It isn't a directory.")
        if not (directory / "type").is_file():
            raise BindingError(given, "It has no file 'type'.")
        if directory.name in checked:
            raise BindingError(given, f"There are two bindings of the name '{directory.name}'; rename one directory.")
        checked[directory.name] = directory
    return checked
