"""What the author asked for: read once, checked whole, each value with the place that it came from."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from nachlass_bp import adoption, parameters
from nachlass_bp import commit as commits
from nachlass_bp.commit import Commit
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import PyprojectInvalidError, SettingInvalidError, SettingUnknownError
from nachlass_bp.parameters import Parameters

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
NotebookCwd = Literal["notebook", "root"]
CacheMode = Literal["trace", "conservative", "off"]
PublishMode = Literal["off", "code", "outputs"]
_KEYS = (
    *("notebooks", "notebook_cwd", "timeout", "upgrade", "ship", "sample"),
    *("cache", "always_run", "network", "cache_max_bytes", "offline"),
    *("stages", "parameters", "seed", "publish_notebooks", "memory_limit", "drift"),
)
_LISTS = ("notebooks", "ship", "always_run")
_TABLES = ("stages", "parameters")
_LARGEST_SEED = 2**32 - 1
"""numpy.random.seed takes no larger one."""
_LEAST_MEMORY_BYTES = 1 << 30
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting(Generic[T]):
    """A value and where it was set: `NACHLASS_NOTEBOOKS`, `pyproject.toml`, or "the default"."""

    value: T
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """Every setting of a build (docs/configuration.md).

    `notebooks` is None when nothing lists them. `timeout_s` limits each notebook, in seconds. `ship` holds globs
    relative to the application directory. `home` is the directory that notebooks see as HOME, None for a fresh one.
    `always_run` names notebooks that are never reused; `assume_stable_network` lets those be that used the network.
    `cache_max_bytes` None means no limit. `stages` gives, by notebook, the file that it writes its stage to, where that
    isn't the one at NACHLASS_STAGE_FILE. `seed` None means that nothing is seeded. `commit` is what the application
    directory is said to be of. `memory_limit_bytes` limits the address space of each notebook's processes. `drift` says
    whether the image gets sums over the data that the service can compare its requests with.
    """

    notebooks: Setting[tuple[str, ...] | None]
    notebook_cwd: Setting[NotebookCwd]
    timeout_s: Setting[float | None]
    upgrade: Setting[bool]
    ship: Setting[tuple[str, ...]]
    ship_sample: Setting[bool]
    home: Setting[Path | None]
    cache: Setting[CacheMode]
    always_run: Setting[tuple[str, ...]]
    assume_stable_network: Setting[bool]
    cache_max_bytes: Setting[int | None]
    offline: Setting[bool]
    stages: Setting[Mapping[str, str]]
    parameters: Setting[Parameters]
    seed: Setting[int | None]
    publish_notebooks: Setting[PublishMode]
    commit: Setting[Commit | None]
    memory_limit_bytes: Setting[int | None]
    drift: Setting[bool]


def read(context: BuildContext) -> Configuration:
    """Read the configuration of this build; variables win over `[tool.nachlass]` of pyproject.toml.

    Raises:
        PyprojectInvalidError: pyproject.toml is there and is not TOML.
        SettingInvalidError: A value is not of the kind that it must be.
        SettingUnknownError: The table has a key that means nothing.
    """
    table = _tool_table(context.app_dir)
    _refuse_unknown_keys(table)
    source = _Source(context.env, table)
    notebooks = _notebooks(source, context.app_dir)
    return Configuration(
        notebooks=notebooks,
        notebook_cwd=_notebook_cwd(source, notebooks.source),
        timeout_s=source.get(
            "NACHLASS_TIMEOUT", "timeout", _seconds, None, "a number of seconds greater than 0", "NACHLASS_TIMEOUT=3600"
        ),
        upgrade=source.get("NACHLASS_UPGRADE", "upgrade", _boolean, False, "true or false", "NACHLASS_UPGRADE=1"),
        ship=source.get(
            "NACHLASS_SHIP",
            "ship",
            _names,
            (),
            "a comma-separated list of file patterns",
            "NACHLASS_SHIP=data/vocabulary.json",
        ),
        ship_sample=source.get(
            "NACHLASS_SAMPLE",
            "sample",
            _ship_sample,
            False,
            "'ship' or 'none'",
            "NACHLASS_SAMPLE=ship",
        ),
        home=source.get("NACHLASS_HOME", None, _directory, None, "an existing directory", "NACHLASS_HOME=/data/home"),
        cache=source.get(
            "NACHLASS_CACHE",
            "cache",
            _cache,
            "trace",
            "'trace', 'conservative' or 'off'",
            "NACHLASS_CACHE=conservative",
        ),
        always_run=source.get(
            "NACHLASS_ALWAYS_RUN",
            "always_run",
            _paths,
            (),
            "a comma-separated list of notebooks",
            "NACHLASS_ALWAYS_RUN=01-download.ipynb",
        ),
        assume_stable_network=source.get(
            "NACHLASS_NETWORK", "network", _network, False, "'assume-stable'", "NACHLASS_NETWORK=assume-stable"
        ),
        offline=source.get("NACHLASS_OFFLINE", "offline", _boolean, False, "true or false", "NACHLASS_OFFLINE=1"),
        memory_limit_bytes=source.get(
            "NACHLASS_MEMORY_LIMIT",
            "memory_limit",
            _memory,
            None,
            "a number of bytes, or one with K, M, G or T behind it, and at least 1G: Python and its libraries take\n"
            "as much address space by themselves",
            "NACHLASS_MEMORY_LIMIT=6G",
        ),
        cache_max_bytes=source.get(
            "NACHLASS_CACHE_MAX_BYTES",
            "cache_max_bytes",
            _count,
            None,
            "a whole number of bytes",
            "NACHLASS_CACHE_MAX_BYTES=2000000000",
        ),
        stages=source.get(
            "NACHLASS_STAGES",
            "stages",
            adoption.parse,
            {},
            "notebooks, each with the file in the repository that it writes its stage to",
            "NACHLASS_STAGES=02-model.ipynb=model.joblib",
        ),
        parameters=_parameters(source),
        seed=source.get(
            "NACHLASS_SEED", "seed", _seed, None, f"a whole number from 0 to {_LARGEST_SEED}", "NACHLASS_SEED=0"
        ),
        publish_notebooks=source.get(
            "NACHLASS_PUBLISH_NOTEBOOKS",
            "publish_notebooks",
            _publish,
            "off",
            "'off', 'code' or 'outputs'",
            "NACHLASS_PUBLISH_NOTEBOOKS=outputs",
        ),
        drift=source.get("NACHLASS_DRIFT", "drift", _boolean, True, "true or false", "NACHLASS_DRIFT=off"),
        commit=source.get(
            "NACHLASS_COMMIT",
            None,
            commits.parse,
            None,
            "the hexadecimal id of a commit, with '-dirty' behind it if the files differ from it",
            "NACHLASS_COMMIT=90a3cf1c5d-dirty",
        ),
    )


def _tool_table(app_dir: Path) -> Mapping[str, Any]:
    file = app_dir / "pyproject.toml"
    if not file.is_file():
        return {}
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise PyprojectInvalidError(problem=str(error)) from error
    tool = data.get("tool", {})
    table = tool.get("nachlass", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise SettingInvalidError(
            setting="[tool.nachlass]",
            value=repr(table),
            source="pyproject.toml",
            expected="a table",
            example="[tool.nachlass]",
        )
    return table


def _refuse_unknown_keys(table: Mapping[str, Any]) -> None:
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            raise SettingUnknownError(key=key, near=near[0] if near else None, known=_KEYS)


@dataclass(frozen=True, slots=True)
class _Source:
    env: Mapping[str, str]
    table: Mapping[str, Any]

    def get(
        self, variable: str, key: str | None, parse: Callable[[object], T], default: T, expected: str, example: str
    ) -> Setting[T]:
        found = self.get_all(variable, key, parse, expected, example)
        return next(found, Setting(value=default, source="the default"))

    def get_all(
        self, variable: str, key: str | None, parse: Callable[[object], T], expected: str, example: str
    ) -> Iterator[Setting[T]]:
        for value, source in self._found(variable, key):
            try:
                yield Setting(value=parse(value), source=source)
            except (ValueError, TypeError) as error:
                in_table = source != variable
                raise SettingInvalidError(
                    setting=f"[tool.nachlass] {key}" if in_table else variable,
                    value=str(value),
                    source="pyproject.toml" if in_table else source,
                    expected=expected,
                    example=_as_toml(str(key), example) if in_table else example,
                    problem=str(error) if isinstance(error, parameters.NoValueError) else None,
                ) from error

    def _found(self, variable: str, key: str | None) -> list[tuple[object, str]]:
        found: list[tuple[object, str]] = []
        if self.env.get(variable, "").strip():
            found.append((self.env[variable], variable))
        if key is not None and key in self.table:
            found.append((self.table[key], f"[tool.nachlass] {key} in pyproject.toml"))
        return found


def _as_toml(key: str, example: str) -> str:
    """Return the line of pyproject.toml that says what the example of the variable says."""
    value = example.partition("=")[2]
    if key in _LISTS:
        return f"{key} = [{', '.join(json.dumps(part) for part in value.split(','))}]"
    if key in _TABLES:
        name, _, text = value.rpartition("=")
        return f"{key} = {{{json.dumps(name)} = {text if text.isdigit() else json.dumps(text)}}}"
    return f"{key} = {value if value.isdigit() else {'1': 'true'}.get(value, json.dumps(value))}"


def _notebooks(source: _Source, app_dir: Path) -> Setting[tuple[str, ...] | None]:
    def parse(value: object) -> tuple[str, ...] | None:
        return _notebook_names(value, app_dir)

    expected, example = "a comma-separated list of notebooks", "NACHLASS_NOTEBOOKS=01-features.ipynb,02-model.ipynb"
    for variable in ("NACHLASS_NOTEBOOKS", "S2I_SOURCE_NOTEBOOK_LIST"):
        key = "notebooks" if variable == "S2I_SOURCE_NOTEBOOK_LIST" else None
        # The table comes after both variables, hence the key on the second one only.
        setting = source.get(variable, key, parse, None, expected, example)
        if setting.value is not None:
            return setting
    return Setting(value=None, source="the default")


def _notebook_names(value: object, app_dir: Path) -> tuple[str, ...]:
    """Split a list at its commas; blanks around a name belong to it only when such a file exists."""
    if isinstance(value, str):
        parts = value.split(",")
        names = [part if (app_dir / part).is_file() else part.strip() for part in parts]
    elif isinstance(value, list) and all(isinstance(item, str) for item in value):
        names = value
    else:
        raise TypeError(value)
    names = [name for name in names if name]
    if not names:
        raise ValueError(value)
    return tuple(names)


def _notebook_cwd(source: _Source, list_source: str) -> Setting[NotebookCwd]:
    # The 2019 builder ran every notebook in the repository's root, and its users' notebooks rely on it.
    default: NotebookCwd = "root" if list_source == "S2I_SOURCE_NOTEBOOK_LIST" else "notebook"
    setting = source.get(
        "NACHLASS_NOTEBOOK_CWD", "notebook_cwd", _cwd, default, "'notebook' or 'root'", "NACHLASS_NOTEBOOK_CWD=root"
    )
    if setting.source == "the default" and default == "root":
        return Setting(value=default, source="S2I_SOURCE_NOTEBOOK_LIST")
    return setting


def _parameters(source: _Source) -> Setting[Parameters]:
    """Return the parameters of both places: a variable changes some, and leaves the file's others as they are."""
    found = [
        *source.get_all(
            parameters.VARIABLE,
            "parameters",
            parameters.parse,
            "values with names that Python allows for variables",
            "NACHLASS_PARAMETERS=C=10",
        )
    ]
    if not found:
        return Setting(value=Parameters(), source="the default")
    if len(found) == 1:
        return found[0]
    variable, table = found
    return Setting(value=variable.value.over(table.value), source=f"{variable.source}, and {table.source}")


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _cwd(value: object) -> NotebookCwd:
    value = _stripped(value)
    if value == "notebook":
        return "notebook"
    if value == "root":
        return "root"
    raise ValueError(value)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    seconds = float(value)
    if not 0 < seconds < float("inf"):
        raise ValueError(value)
    return seconds


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(_stripped(value)).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(value)


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = re.split(r"\s*,\s*", value.strip())
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError(value)
    return tuple(item for item in value if item)


def _paths(value: object) -> tuple[str, ...]:
    return tuple(os.path.normpath(name) for name in _names(value))


def _ship_sample(value: object) -> bool:
    if _stripped(value) in ("ship", "none"):
        return _stripped(value) == "ship"
    raise ValueError(value)


def _cache(value: object) -> CacheMode:
    match _stripped(value):
        case "trace":
            return "trace"
        case "conservative":
            return "conservative"
        case "off":
            return "off"
        case _:
            raise ValueError(value)


def _publish(value: object) -> PublishMode:
    match _stripped(value):
        case "off":
            return "off"
        case "code":
            return "code"
        case "outputs":
            return "outputs"
        case _:
            raise ValueError(value)


def _network(value: object) -> bool:
    if _stripped(value) != "assume-stable":
        raise ValueError(value)
    return True


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(value)
    count = int(value)
    if count < 0:
        raise ValueError(value)
    return count


def _seed(value: object) -> int | None:
    seed = _count(value)
    if seed is not None and seed > _LARGEST_SEED:
        raise ValueError(value)
    return seed


def _memory(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError(value)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?)?", str(_stripped(value)), re.IGNORECASE)
    if match is None:
        raise ValueError(value)
    size = int(float(match[1]) * 1024 ** (" KMGT".index((match[2] or " ").upper())))
    if size < _LEAST_MEMORY_BYTES:
        raise ValueError(value)
    return size


def _directory(value: object) -> Path | None:
    path = Path(str(_stripped(value)))
    if not path.is_dir():
        raise ValueError(value)
    return path
