"""`requirements.txt` as pip understands it: which files it draws in, and which plain requirements it states.

Source: pip's "Requirements File Format", and `pip/_internal/req/req_file.py` for what that page leaves open.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from nachlass_bp.interpreter import Interpreter, normalise

FILE_NAME = "requirements.txt"
_NESTED = re.compile(r"^(?:-r|--requirement(?=[=\s])|(?P<constraint>-c|--constraint(?=[=\s])))[=\s]*(?P<path>.+)$")
_EDITABLE = re.compile(r"^(?:-e|--editable(?=[=\s]))[=\s]*(?P<path>.+)$")
_FIND_LINKS = re.compile(r"^(?:-f|--find-links(?=[=\s]))[=\s]*(?P<path>.+)$")
_OPTION_IN_LINE = re.compile(r"\s+(--hash|--config-settings|--global-option)\b.*$")
_COMMENT = re.compile(r"(^|\s+)#.*$")
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*(?P<name>[-\w.]+)")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),  # What PowerShell's `pip freeze > requirements.txt` writes.
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SKIPPED_DIRECTORIES = {".git", "__pycache__", ".venv", "node_modules", ".ipynb_checkpoints"}
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
_SMALL_BYTES = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One logical line, with the directory of its file (nested files are relative to the file that names them)."""

    text: str
    directory: Path
    is_constraint: bool = False

    @property
    def is_option(self) -> bool:
        """Whether the line is not a requirement that a name or an address states."""
        return self.text.startswith("-")


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalPath:
    """A file or directory that a line names; an editable one is imported from where it is."""

    path: Path
    is_editable: bool = False
    is_project: bool = False


def read_lines(file: Path) -> Iterator[Line]:
    """Yield the logical lines of `file` and of every file that it draws in, each file once."""
    yield from _read(file, is_constraint=False, seen=set())


def _read(file: Path, *, is_constraint: bool, seen: set[Path]) -> Iterator[Line]:
    if file in seen or not file.is_file():
        return  # pip says it better than we could.
    seen.add(file)
    for text in _logical_lines(_decode(file.read_bytes())):
        if nested := _NESTED.match(text):
            path = file.parent / _expand(nested["path"])
            yield from _read(path, is_constraint=is_constraint or bool(nested["constraint"]), seen=seen)
        yield Line(text=text, directory=file.parent, is_constraint=is_constraint)


def _decode(data: bytes) -> str:
    """Return the text as pip reads it: by its byte order mark, else its coding line, else as UTF-8."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    for line in data.split(b"\n", 2)[:2]:
        if coding := _CODING.match(line):
            try:
                return data.decode(coding["name"].decode(), errors="replace")
            except LookupError:
                break
    return data.decode("utf-8", errors="replace")


def _logical_lines(text: str) -> Iterator[str]:
    """Join continued lines, then drop comments and blank lines."""
    parts: list[str] = []
    for raw in [*text.splitlines(), ""]:
        is_comment = raw.lstrip().startswith("#")
        if raw.endswith("\\") and not is_comment:
            parts.append(raw[:-1])
            continue
        line = _COMMENT.sub("", "".join([*parts, f" {raw}" if is_comment else raw])).strip()
        parts.clear()
        if line:
            yield line


def digest(file: Path) -> str:
    """Return the digest of everything below the application directory that pip would read for `file`."""
    total = hashlib.sha256()
    app_dir = file.parent
    files: set[Path] = set()
    names: set[str] = set()
    for line in read_lines(file):
        # As it is written: the value of a ${VARIABLE} may be a secret, of which not even a digest is kept.
        total.update(f"{line.is_constraint:d}{line.text}\n".encode())
        for local in _local_paths(line, app_dir):
            read, listed = _read_by_pip(local)
            files.update(read)
            names.update(os.path.relpath(path, app_dir) for path in listed)
    total.update("\0".join(sorted(names)).encode(errors="surrogateescape"))
    for path in sorted(files):
        total.update(b"\0" + os.fsencode(os.path.relpath(path, app_dir)) + b"\0")
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def has_local_projects(file: Path) -> bool:
    """Whether pip has to build a directory of the repository, which it does in place."""
    return any(local.is_project for line in read_lines(file) for local in _local_paths(line, file.parent))


def _local_paths(line: Line, app_dir: Path) -> list[LocalPath]:
    """Return what a requirement or `--find-links` names below the file system, where it exists.

    pip takes a requirement's path relative to the working directory, `--find-links` to the file that has it.
    """
    if found := _FIND_LINKS.match(line.text):
        paths = {line.directory / _expand(found["path"]), app_dir / _expand(found["path"])}
        return [LocalPath(path=path) for path in sorted(paths) if path.exists()]
    editable = _EDITABLE.match(line.text)
    if line.is_option and not editable:
        return []
    text = _OPTION_IN_LINE.sub("", editable["path"] if editable else line.text)
    name = _expand(re.sub(r"^(?:[^/]*?@\s*)?file:(?://)?", "", text.partition(";")[0]))
    name = re.sub(r"(\[[^\]]*\])?(#.*)?$", "", name).strip()
    looks_local = editable or name.startswith(".") or "/" in name or name.endswith(_ARCHIVES)
    path = app_dir / name
    if not name or "://" in name or not looks_local or not path.exists():
        return []
    return [LocalPath(path=path, is_editable=bool(editable), is_project=path.is_dir())]


def _expand(path: str) -> str:
    path = _VARIABLE.sub(lambda found: os.environ.get(found[1], found[0]), path.strip("\"' "))
    return re.sub(r"^file:(//)?", "", path)


def _read_by_pip(local: LocalPath) -> tuple[list[Path], list[Path]]:
    """Return the files whose contents, and those whose names alone, decide what pip installs.

    Notebooks never do: a repository that installs itself (`-e .`) would be installed anew after every edit. An editable
    installation takes its metadata from the small files at its root and from `__init__.py`, and compiled code from
    their sources; of all other modules it knows the names.
    """
    files = [path for path in _files_below(local.path) if path.suffix != ".ipynb"]
    if not local.is_editable:
        return files, []
    read = [path for path in files if path.name == "__init__.py" or path.suffix in {".c", ".cpp", ".pyx", ".rs"}]
    read += [path for path in files if path.parent == local.path and path.stat().st_size <= _SMALL_BYTES]
    return read, [path for path in files if path.suffix == ".py"]


def _files_below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found: list[Path] = []
    for root, directories, names in os.walk(path):
        directories[:] = [name for name in directories if name not in _SKIPPED_DIRECTORIES]
        found += [file for name in names if (file := Path(root, name)).is_file()]
    return found


def first_unmet(file: Path, interpreter: Interpreter) -> tuple[str, str | None] | None:
    """Return the first plain requirement that the environment doesn't meet, with the version that is installed."""
    environment = {"python_version": interpreter.minor, "python_full_version": interpreter.version, "extra": ""}
    for line in read_lines(file):
        requirement = _plain(line)
        if requirement is None or line.is_constraint:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        found = interpreter.distributions.get(normalise(requirement.name))
        if found is None or not requirement.specifier.contains(found.version, prereleases=True):
            return str(requirement), found.version if found else None
    return None


def has_no_index(file: Path) -> bool:
    """Whether it tells pip to ask no package index."""
    return any(line.text == "--no-index" for line in read_lines(file))


def has_pins(file: Path) -> bool:
    """Whether every plain requirement is pinned to one version, by itself or by a constraint."""
    stated = [(line, requirement) for line in read_lines(file) if (requirement := _plain(line)) is not None]
    pinned = {normalise(requirement.name) for _, requirement in stated if _is_pinned(requirement)}
    return all(normalise(requirement.name) in pinned for line, requirement in stated if not line.is_constraint)


def _plain(line: Line) -> Requirement | None:
    """Return the named requirement of a line; None for an option, a path or an address, whose name we can't know."""
    if line.is_option:
        return None
    try:
        return Requirement(_OPTION_IN_LINE.sub("", line.text))
    except InvalidRequirement:
        return None


def _is_pinned(requirement: Requirement) -> bool:
    exact = any(each.operator in {"==", "==="} and not each.version.endswith(".*") for each in requirement.specifier)
    return exact or requirement.url is not None
