"""`requirements.txt` as pip understands it: which files it draws in, and which plain requirements it states."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from nachlass_bp.interpreter import Interpreter, normalise

FILE_NAME = "requirements.txt"
_NESTED = re.compile(r"^(-r|--requirement|-c|--constraint)[=\s]\s*(?P<path>.+)$")
_EDITABLE = re.compile(r"^(-e|--editable)[=\s]\s*(?P<path>.+)$")
_OPTION_IN_LINE = re.compile(r"\s+(--hash|--config-settings|--global-option)\b.*$")
_COMMENT = re.compile(r"(^|\s)#.*$")
_SKIPPED_DIRECTORIES = {".git", "__pycache__", ".venv", "node_modules", ".ipynb_checkpoints"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One logical line, with the directory of its file (nested files are relative to the file that names them)."""

    text: str
    directory: Path
    is_constraint: bool = False


def read_lines(file: Path) -> Iterator[Line]:
    """Yield the logical lines of `file` and of every file that it draws in, each file once."""
    yield from _read(file, is_constraint=False, seen=set())


def _read(file: Path, *, is_constraint: bool, seen: set[Path]) -> Iterator[Line]:
    if file in seen or not file.is_file():
        return  # pip says it better than we could.
    seen.add(file)
    text = file.read_text(encoding="utf-8-sig", errors="replace").replace("\\\r\n", "").replace("\\\n", "")
    for raw in text.splitlines():
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        if nested := _NESTED.match(line):
            path = file.parent / nested["path"].strip("\"' ")
            yield from _read(path, is_constraint=is_constraint or nested[1] in {"-c", "--constraint"}, seen=seen)
        yield Line(text=line, directory=file.parent, is_constraint=is_constraint)


def digest(file: Path, app_dir: Path) -> str:
    """Return the digest of everything below the application directory that pip would read for `file`."""
    total = hashlib.sha256()
    files = {file}
    for line in read_lines(file):
        total.update(line.text.encode() + b"\n")
        if local := _local_path(line):
            files.update(_files_below(local))
    for path in sorted(files):
        if path.is_file():
            total.update(os.path.relpath(path, app_dir).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _local_path(line: Line) -> Path | None:
    """Return the directory or file that a requirement or `--find-links` names, if there is one."""
    text = line.text
    if editable := _EDITABLE.match(text):
        text = editable["path"]
    elif text.startswith(("--find-links", "-f ", "-f=")):
        text = re.split(r"[=\s]+", text, maxsplit=1)[1]
    elif text.startswith("-"):
        return None
    candidate = re.sub(r"^.*@\s*file:(//)?", "", text.strip("\"' ")).partition("[")[0].partition(";")[0].strip()
    if not candidate or "://" in candidate:
        return None
    path = line.directory / candidate
    looks_local = candidate.startswith((".", "/")) or "/" in candidate or candidate.endswith((".whl", ".gz", ".zip"))
    return path if looks_local and path.exists() else None


def _files_below(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found: list[Path] = []
    for root, directories, names in os.walk(path):
        directories[:] = [name for name in directories if name not in _SKIPPED_DIRECTORIES]
        found += [Path(root, name) for name in names]
    return found


def first_unmet(file: Path, interpreter: Interpreter) -> tuple[str, str | None] | None:
    """Return the first plain requirement that the environment doesn't meet, with the version that is installed."""
    environment = {"python_version": interpreter.minor, "python_full_version": interpreter.version, "extra": ""}
    for line in read_lines(file):
        if line.is_constraint or line.text.startswith("-"):
            continue
        try:
            requirement = Requirement(_OPTION_IN_LINE.sub("", line.text))
        except InvalidRequirement:
            continue  # A path or an address; what is installed from it has a name that we can't know.
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        found = interpreter.distributions.get(normalise(requirement.name))
        if found is None or not requirement.specifier.contains(found.version, prereleases=True):
            return str(requirement), found.version if found else None
    return None


def has_pins(file: Path) -> bool:
    """Whether every plain requirement is pinned to one version."""
    for line in read_lines(file):
        if line.is_constraint or line.text.startswith("-"):
            continue
        if "==" not in line.text and "@" not in line.text and _local_path(line) is None:
            return False
    return True
