"""Start the service (`launcher.py web`), a run over many rows (`score`) or the build's proof (`check REQUEST.json`).

Standard library only, and no syntax newer than Python 3.6: this file is what tells a person that the image holds
another Python than the one that trained the model. Nothing of the model's is imported before that is settled.
"""

import json
import os
import sys
import sysconfig
from importlib import import_module
from typing import Any, NoReturn

# The name of our package in the layer: `scorer` is what a repository might well call a module of its own.
PACKAGE = "nachlass_scorer"

EX_USAGE = 64
EX_CONFIG = 78

# Set before numpy is imported: with one BLAS thread a process there is no pool for a fork to break, and no two workers
# that fight for the same cores. A value from the environment wins.
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


LAUNCH_KEYS = (
    "working_dir",
    "import_paths",
    "fallback_paths",
    "overlay_site",
    "overlay_names",
    "overlay_distributions",
    "app_dir",
)


LISTS = ("import_paths", "fallback_paths", "overlay_names", "overlay_distributions")


def main(arguments: "list[str]") -> None:
    """Prepare the process as the manifest says, then hand over to `scorer`."""
    command, words = _command(arguments)
    launch = _read_launch()
    # abspath, not resolve: where the layer is a link, sys.path has the link.
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    _prepare_imports(here, launch)
    directory = ""
    try:
        if command == "score":  # Where the person is, for the files that the words name.
            directory = os.getcwd()  # noqa: PTH109
        os.chdir(launch["working_dir"])
    except OSError as error:
        _stop(f"The service's working directory can't be entered: {error}", "Build the image again.", EX_CONFIG)
    if command == "check":
        sys.exit(import_module(PACKAGE + ".check").main(words[0]))
    if command == "score":
        sys.exit(import_module(PACKAGE + ".score.main").main(words, directory))
    sys.exit(import_module(PACKAGE + ".server").main())


def _command(arguments: "list[str]") -> "tuple[str, list[str]]":
    # The words of `docker run IMAGE score` reach the default process as arguments, as SageMaker's `serve` does.
    if arguments[:2] == ["web", "score"]:
        arguments = arguments[1:]
    if arguments[:1] == ["score"]:
        return "score", arguments[1:]
    if arguments in (["web"], ["web", "serve"]):
        return "web", []
    if len(arguments) == 2 and arguments[0] == "check":
        return "check", arguments[1:]
    given = " ".join(arguments) or "(none)"
    return _stop(f"There is no such command: {given}", "Use `web`, `score` or `check REQUEST.json`.", EX_USAGE)


def _read_launch() -> "dict[str, Any]":
    path = os.environ.get("NACHLASS_MANIFEST")
    if not path:
        _stop(
            "NACHLASS_MANIFEST is not set, so there is no model to serve.",
            "Start the process through its image, which sets it, or set it to a build's manifest.json.",
            EX_CONFIG,
        )
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        trained, launch = manifest["interpreter"], manifest["launch"]
        _check_interpreter(trained)
        return {key: _checked(key, launch[key]) for key in LAUNCH_KEYS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        _stop(f"The manifest {path} can't be read: {error!r}", "Build the image again.", EX_CONFIG)


def _checked(key: str, value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if isinstance(value, list) != (key in LISTS) or not all(isinstance(part, str) for part in parts):
        raise TypeError("launch." + key)
    return value


def _check_interpreter(trained: "dict[str, Any]") -> None:
    running = {
        "implementation": sys.implementation.name,
        "version": ".".join(str(part) for part in sys.version_info[:3]),
        "abi": sysconfig.get_config_var("SOABI") or "",
    }
    same = (
        running["implementation"] == trained["implementation"]
        and running["version"].split(".")[:2] == trained["version"].split(".")[:2]
        and running["abi"] == trained["abi"]
    )
    if not same:
        _stop(
            "This model was trained by {} {} ({}), but the image runs {} {} ({}).".format(
                trained["implementation"],
                trained["version"],
                trained["abi"],
                running["implementation"],
                running["version"],
                running["abi"],
            ),
            "A fitted model is only safe to load in the Python that trained it: rebuild, do not rebase.",
            EX_CONFIG,
        )


def _prepare_imports(here: str, launch: "dict[str, Any]") -> None:
    # The interpreter put this file's directory first, unless it runs with -P or -I. The rest is the user's and stays.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]  # noqa: PTH100
    sys.path.insert(0, os.path.join(here, "app"))  # noqa: PTH118 - as above
    overlay = import_module(PACKAGE + ".overlay")
    overlay.install(launch["overlay_site"], launch["overlay_names"], launch["overlay_distributions"])
    for entry in [*launch["fallback_paths"], *launch["import_paths"]]:
        if entry not in sys.path:
            sys.path.append(entry)
    if launch["app_dir"]:
        overlay.redirect(launch["app_dir"], launch["import_paths"][0])


def _stop(problem: str, advice: str, status: int) -> NoReturn:
    sys.stderr.write(f"nachlass: {problem}\n{advice}\n")
    sys.exit(status)


if __name__ == "__main__":
    main(sys.argv[1:])
