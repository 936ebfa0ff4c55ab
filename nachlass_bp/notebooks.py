"""The notebooks of a repository: which ones to run, and what is in them."""

from __future__ import annotations

import ast
import difflib
import json
import os
import re
import shlex
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat

from nachlass_bp import adoption, parameters
from nachlass_bp.adoption import Adoption
from nachlass_bp.config import Configuration, Setting
from nachlass_bp.errors import (
    NotebookListMissingError,
    NotebookMissingError,
    NotebookNamesCollideError,
    NotebookNotListedError,
    NotebookNotPythonError,
    NotebookUnreadableError,
    SettingInvalidError,
)

STAGE_VARIABLES = ("NACHLASS_STAGE_FILE", "S2I_PIPELINE_STAGE_SAVE_FILE")
_LIKE_A_STAGE_VARIABLE = re.compile(r"\b(?:NACHLASS|S2I)_?\w*STAGE\w*", re.IGNORECASE)
_LONGEST_LINE, _MOST_SHOWN = 100, 3
_PRUNED = {"node_modules", "site-packages", "__pycache__", "venv", "env"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What a notebook says of itself, in `metadata.nachlass`: see docs/cache.md."""

    deps: tuple[str, ...] = ()
    always_run: bool = False
    network: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Notebook:
    """A notebook that can be run.

    `name` is its path from the repository's root, `cwd` the directory that it runs in, relative to the root ("" is the
    root). `content` is nbformat 4, as the author wrote it. `parameters` are what the settings put in the place of its
    own values; `adoption` says where its stage is, if that isn't where NACHLASS_STAGE_FILE says.
    """

    name: str
    cwd: str
    content: Any
    parameters: Mapping[str, object] = field(default_factory=dict)
    adoption: Adoption | None = None

    @property
    def parameterised(self) -> Notebook:
        """The notebook that runs: with a cell for its parameters, if there are any."""
        return replace(self, content=parameters.injected(self.content, self.parameters))

    @property
    def stem(self) -> str:
        """`03-x` of `notebooks/03-x.ipynb`."""
        return PurePosixPath(self.name).stem

    @property
    def sav_path(self) -> str:
        """Where its stage also stands afterwards, relative to the root: `<cwd>/03-x.sav`, the 2019 builder's rule."""
        return str(PurePosixPath(self.cwd) / f"{self.stem}.sav")

    @property
    def options(self) -> Options:
        """What its metadata says of the cache; what isn't of the right kind counts as not said."""
        found = self.content.get("metadata", {}).get("nachlass")
        found = found if isinstance(found, dict) else {}
        deps = found.get("deps")
        return Options(
            deps=tuple(str(pattern) for pattern in deps) if isinstance(deps, list) else (),
            always_run=found.get("always_run") is True,
            network=str(found.get("network") or ""),
        )

    @property
    def code_cells(self) -> list[Any]:
        """The cells that run."""
        return [cell for cell in self.content.cells if cell.cell_type == "code"]


def misspelt_stage_variable(code: str) -> str | None:
    """Return the first name in `code` that looks like the variable with the path for the stage, but isn't it."""
    meant = {*STAGE_VARIABLES, "NACHLASS_STAGES"}
    return next((name for name in _LIKE_A_STAGE_VARIABLE.findall(code) if name not in meant), None)


def resolve(configuration: Configuration, app_dir: Path) -> list[Notebook]:
    """Return the notebooks to run, in order, each read and checked.

    Raises:
        NotebookListMissingError: Nothing lists them and it isn't obvious.
        NotebookMissingError, NotebookUnreadableError, NotebookNotPythonError, NotebookNamesCollideError: see there.
        NotebookNotListedError: A setting is about a notebook that isn't among them.
    """
    names = configuration.notebooks if configuration.notebooks.value else infer(app_dir, configuration.stages)
    loaded: dict[str, Notebook] = {}
    for name in names.value or ():
        clean = os.path.normpath(name)
        if clean not in loaded:
            path = _find(clean, names.source, app_dir)
            loaded[clean] = Notebook(
                name=clean,
                cwd="" if configuration.notebook_cwd.value == "root" else os.path.dirname(clean),  # noqa: PTH120 - "" for the root
                content=_read(path, clean),
            )
    _check_collisions(list(loaded.values()))
    _check_listed(configuration.parameters.value.own, configuration.parameters.source, loaded)
    _check_listed(configuration.stages.value, configuration.stages.source, loaded)
    _check_listed(configuration.always_run.value, configuration.always_run.source, loaded)
    given = configuration.parameters.value.given({name: notebook.content for name, notebook in loaded.items()})
    settled = {name: _with_settings(notebook, configuration, given[name]) for name, notebook in loaded.items()}
    return [settled[os.path.normpath(name)] for name in names.value or ()]


def _check_listed(names: Iterable[str], source: str, listed: Mapping[str, Notebook]) -> None:
    for name in names:
        if name not in listed:
            near = difflib.get_close_matches(name, list(listed), n=1, cutoff=0.6)
            raise NotebookNotListedError(notebook=name, source=source, near=near[0] if near else None, listed=[*listed])


def _with_settings(notebook: Notebook, configuration: Configuration, given: Mapping[str, object]) -> Notebook:
    """Return the notebook with what the settings say of it; `given` are its parameters."""
    stages = configuration.stages
    file = stages.value.get(notebook.name)
    if file is None:
        return replace(notebook, parameters=given)
    if not adoption.places(file, notebook.cwd):
        raise SettingInvalidError(
            setting="NACHLASS_STAGES" if stages.source == "NACHLASS_STAGES" else "[tool.nachlass] stages",
            value=f"{notebook.name}={file}",
            source=stages.source,
            expected="a file in the repository",
            example=f"NACHLASS_STAGES={notebook.name}=model.joblib",
        )
    taken = Adoption(notebook=notebook.name, cwd=notebook.cwd, file=file, source=stages.source)
    return replace(notebook, parameters=given, adoption=taken)


def _find(name: str, source: str, app_dir: Path) -> Path:
    path = app_dir / name
    if Path(name).is_absolute() or name.startswith(".."):
        raise NotebookUnreadableError(
            notebook=name,
            problem="It lies outside the repository.",
            advice="Copy it into the repository, and list it by its path from the repository's root.",
        )
    if path.is_dir():
        raise NotebookUnreadableError(
            notebook=name,
            problem="It is a directory.",
            advice="List the notebooks in it one by one, each by its path from the repository's root.",
        )
    if not path.is_file():
        everything = sorted(find_all(app_dir))
        by_base = {os.path.basename(each): each for each in everything}  # noqa: PTH119 - names, not paths
        near = difflib.get_close_matches(name, everything, n=3, cutoff=0.6)
        near += [by_base[m] for m in difflib.get_close_matches(os.path.basename(name), list(by_base), n=3, cutoff=0.6)]  # noqa: PTH119
        raise NotebookMissingError(
            notebook=name, source=source, near_misses=list(dict.fromkeys(near)), all_notebooks=everything[:20]
        )
    return path


def _read(path: Path, name: str) -> Any:
    text = path.read_bytes().decode("utf-8", errors="replace")
    if not text.strip():
        raise NotebookUnreadableError(notebook=name, problem="The file is empty.")
    try:
        json.loads(text)
    except ValueError as error:
        if (line := _conflict_line(text)) is not None:
            raise _in_conflict(name, line) from error
        raise NotebookUnreadableError(notebook=name, problem=f"It isn't JSON: {error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Missing cell ids and such: Jupyter doesn't mind either.
            content = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]  # nbformat is half typed
    except Exception as error:  # nbformat raises a handful of unrelated types for a wrong shape
        raise NotebookUnreadableError(notebook=name, problem=f"It isn't a notebook: {_first_line(error)}") from error
    language = _language(content)
    if language != "python":
        raise NotebookNotPythonError(notebook=name, language=language)
    if not any(cell.cell_type == "code" and str(cell.source).strip() for cell in content.cells):
        raise NotebookUnreadableError(
            notebook=name,
            problem="It has no code cell.",
            advice="There is nothing to run: leave it out of the list. If it should have code, it may be in cells of\n"
            "another kind: in Jupyter, make them code cells, save the notebook, and commit the result.",
        )
    return content


def _conflict_line(text: str) -> int | None:
    """Return the number of the first line with which git begins a conflict, None if there is none."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines, start=1) if line.startswith("<<<<<<< ")), None)


def _in_conflict(name: str, line: int) -> NotebookUnreadableError:
    quoted = shlex.quote(name)
    return NotebookUnreadableError(
        notebook=name,
        problem=f"It isn't JSON: a merge left git's marks of a conflict in it, the first one in line {line}.",
        advice="Jupyter can't open it either. Take one of the two versions, or merge them (nbdime knows how), and\n"
        f"commit the result. While the merge is going on, git still has both:\n  git checkout --ours -- {quoted}\n"
        f"  git checkout --theirs -- {quoted}",
    )


def _language(content: Any) -> str:
    """Return the kernel's language; its *name* is foreign on every machine and says nothing."""
    metadata = content.get("metadata", {})
    kernelspec, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    language = str(kernelspec.get("language") or info.get("name") or "python").lower()
    return "python" if language in {"python", "python3", "ipython", "python2"} else language


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _check_collisions(notebooks: Sequence[Notebook]) -> None:
    seen: dict[str, Notebook] = {}
    for notebook in notebooks:
        other = seen.setdefault(notebook.sav_path, notebook)
        if other is not notebook:
            raise NotebookNamesCollideError(first=other.name, second=notebook.name, sav_path=notebook.sav_path)


def find_all(app_dir: Path, suffix: str = ".ipynb") -> Iterator[str]:
    """Yield the repository's notebooks, relative to its root; environments and hidden directories are not its own."""
    for root, directories, files in os.walk(app_dir):
        directories[:] = sorted(
            name
            for name in directories
            if name not in _PRUNED
            and not name.startswith(".")
            and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))  # noqa: PTH110, PTH118
        )
        for name in sorted(files):
            if name.endswith(suffix):
                yield os.path.relpath(os.path.join(root, name), app_dir)  # noqa: PTH118


def infer(app_dir: Path, stages: Setting[Mapping[str, str]]) -> Setting[tuple[str, ...] | None]:
    """Return the notebooks that make a stage, when that is obvious.

    It is the one whose own code names the variable or, if only a module does, the one that imports that module. Where
    `stages` names notebooks, it is these, in its order, unless another one names the variable.

    Raises:
        NotebookListMissingError: There is none, or more than one.
    """
    sources = {name: _code(app_dir / name) for name in find_all(app_dir)}
    candidates = [name for name, code in sources.items() if any(variable in code for variable in STAGE_VARIABLES)]
    if not candidates:
        modules = set(_modules_that_save(app_dir))
        candidates = [name for name, code in sources.items() if modules & _imported(code)]
    named = list(stages.value)
    if named and not {*candidates} - {*named}:
        return Setting(value=tuple(named), source=stages.source)
    candidates += [name for name in named if name not in candidates]
    if len(candidates) != 1:
        raise NotebookListMissingError(candidates=sorted(candidates), others=list(sources))
    return Setting(value=(candidates[0],), source="the only notebook that can save a stage")


def naming(file: str, app_dir: Path) -> Iterator[tuple[str, str]]:
    """Yield the repository's notebooks whose code names a file, each with the first line that does."""
    word = re.compile(rf"(?<![\w.-]){re.escape(file)}(?![\w-])")
    for name in find_all(app_dir):
        line = next((line for line in _code(app_dir / name).splitlines() if word.search(line)), None)
        if line is not None:
            yield name, line.strip()


def advice_to_list(file: str, others: Mapping[str, str], listed: Sequence[str]) -> str:
    """Return the advice to list notebooks that may make a missing file before those that run.

    Args:
        file: The name of the file.
        others: Notebooks that don't run, each with its line that names the file.
        listed: Those that run.
    """
    names = [*list(others)[:_MOST_SHOWN], *listed]
    return (
        f"'{file}' isn't in what this build was given. These notebooks name it, and they aren't among those that run:\n"
        f"{_shown(others)}\nIf one of them makes it, list it, in the order in which they run:\n{_as_setting(names)}"
    )


def advice_to_reorder(file: str, later: Mapping[str, str], listed: Sequence[str], failed: str) -> str:
    """Return the advice to run notebooks that may make a missing file before the one that asks for it.

    Args:
        file: The name of the file.
        later: Notebooks that run after it, each with its line that names the file.
        listed: All that run.
        failed: The one that asks for it.
    """
    first = list(later)[:_MOST_SHOWN]
    rest = [name for name in listed if name not in first]
    names = [*rest[: rest.index(failed)], *first, *rest[rest.index(failed) :]]
    return (
        f"'{file}' isn't in what this build was given. These notebooks mention it, and they come later in the list:\n"
        f"{_shown(later)}\nIf one of them makes it, it has to run before '{failed}':\n{_as_setting(names)}"
    )


def _shown(lines: Mapping[str, str]) -> str:
    return "\n".join(f"  {name}: {line[:_LONGEST_LINE]}" for name, line in list(lines.items())[:_MOST_SHOWN])


def _as_setting(names: Sequence[str]) -> str:
    return (
        f"  NACHLASS_NOTEBOOKS={','.join(names)}\n"
        f"or, in pyproject.toml:\n  [tool.nachlass]\n  notebooks = {json.dumps(names, ensure_ascii=False)}"
    )


def _code(path: Path) -> str:
    try:
        data = json.loads(path.read_bytes())
        cells = data["cells"] if "cells" in data else [c for sheet in data["worksheets"] for c in sheet["cells"]]
        parts = [c.get("source", c.get("input", "")) for c in cells if c.get("cell_type") == "code"]
        return "\n".join("".join(part) for part in parts)
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        return ""  # Unreadable ones are told about when somebody lists them.


def _modules_that_save(app_dir: Path) -> Iterator[str]:
    for name in find_all(app_dir, ".py"):
        if any(
            variable in (app_dir / name).read_text(encoding="utf-8", errors="replace") for variable in STAGE_VARIABLES
        ):
            path = PurePosixPath(name)
            module = path.parent if path.stem == "__init__" else path.with_suffix("")
            yield from {module.name, ".".join(module.parts)}


def _imported(code: str) -> set[str]:
    """Return the modules that notebook code imports; magics and shell lines are not Python and are left out."""
    clean = "\n".join("pass" if re.match(r"\s*[%!?]", line) else line for line in code.splitlines())
    try:
        tree = ast.parse(clean)
    except (SyntaxError, ValueError):
        return set(re.findall(r"^\s*(?:from|import)\s+([\w.]+)", code, re.MULTILINE))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found
