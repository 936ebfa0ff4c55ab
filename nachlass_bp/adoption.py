"""Stages that notebooks save under names of their own: taken when a setting names the file, else told of."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nachlass_bp import pickles
from nachlass_bp.errors import StageNotWrittenError
from nachlass_bp.output import Output
from nachlass_bp.tree import Fingerprint, WorkingTree

_MOST_LOOKED_AT = 200
"""Beyond so many new files nobody is helped by a guess."""


def parse(value: object) -> dict[str, str]:
    """Read `03-x.ipynb=model.joblib,04-y.ipynb=lr.pkl`, a JSON object, or the table of pyproject.toml.

    Raises:
        ValueError, TypeError: It is none of these, or a file's path is absolute.
    """
    if isinstance(value, str):
        value = json.loads(value) if value.strip().startswith("{") else dict(map(_pair, _parts(value)))
    if not isinstance(value, dict) or not all(isinstance(file, str) for file in value.values()):
        raise TypeError(value)
    for notebook, file in value.items():
        if not notebook or not file or PurePosixPath(file).is_absolute():
            raise ValueError(f"{notebook}={file}")
    return {os.path.normpath(notebook): file for notebook, file in value.items()}


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"\s*,\s*", text.strip()) if part]


def _pair(part: str) -> tuple[str, str]:
    """Split at the first `=` behind a notebook's name: names may hold one, too."""
    name, equals, file = part.partition(".ipynb=") if ".ipynb=" in part else part.partition("=")
    return (name + equals.rstrip("=")).strip(), file.strip()


def places(file: str, cwd: str) -> list[str]:
    """Return where a named file may be, relative to the root: in the notebook's directory, else at the root.

    None of them if the path leads out of the repository.
    """
    found = dict.fromkeys(os.path.normpath(PurePosixPath(directory, file)) for directory in (cwd, ""))
    return [place for place in found if place != ".." and not place.startswith("../")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Adoption:
    """A notebook whose stage is the file that it writes at `file`; `source` is the setting that says so."""

    notebook: str
    cwd: str
    file: str
    source: str


def adopt(
    adoption: Adoption, tree: WorkingTree, before: Mapping[str, Fingerprint], stage_file: Path, output: Output
) -> None:
    """Put what the notebook wrote in this run where the stage is looked for.

    Args:
        adoption: What to take.
        tree: Where the notebook ran.
        before: The tree as it was before the run: an older file of that name is somebody else's.
        stage_file: Where to put it, in place of what the notebook may have saved there.
        output: Where to say it.

    Raises:
        StageNotWrittenError: There is no such file that this run wrote.
    """
    problems: list[str] = []
    for place in places(adoption.file, adoption.cwd):
        if os.path.lexists(tree.root / place):
            trouble = _trouble(tree, place, before)
            if trouble is None:
                instead = ", and not what it saved at NACHLASS_STAGE_FILE" if stage_file.exists() else ""
                shutil.copyfile(tree.root / place, stage_file)
                output.step(f"Its stage is {place}, as {adoption.source} says{instead}")
                return
            problems.append(f"'{place}' {trouble}")
    nowhere = "There is no such file, neither in the notebook's directory nor in the repository's root."
    raise StageNotWrittenError(
        notebook=adoption.notebook,
        file=adoption.file,
        source=adoption.source,
        problem=problems[0] if problems else nowhere,
        others=models_in(new_files(tree, before)),
    )


def _trouble(tree: WorkingTree, place: str, before: Mapping[str, Fingerprint]) -> str | None:
    """Say why the file at `place` can't be the stage, None if it can."""
    real = (tree.root / place).resolve()
    root = tree.root.resolve()
    if not real.is_relative_to(root):
        return "is a link that leads out of the repository; a stage has to be a file in it."
    if not real.is_file():
        return "isn't a file."
    relative = str(real.relative_to(root))
    # An equal file that was written again has another time, and often another inode.
    if tree.fingerprint(relative) == before.get(relative):
        return "was there before, and this run didn't write it: it is an older model, of which nobody knows the code."
    return None


def new_files(tree: WorkingTree, before: Mapping[str, Fingerprint]) -> dict[str, Path]:
    """Return the files that are new in the tree or were written since `before`, and where they are."""
    changed = (path for path, now in tree.snapshot().items() if now != before.get(path))
    return {path: tree.root / path for path in changed if (tree.root / path).is_file()}


# --- What may have been meant ---------------------------------------------------------------------------------------


def models_in(files: Mapping[str, Path]) -> list[str]:
    """Return those of the files (path from the root: where its bytes are) that look like a model, newest first."""
    if len(files) > _MOST_LOOKED_AT:
        files = {path: file for path, file in files.items() if Path(path).suffix in pickles.SUFFIXES}
    found = [path for path, file in files.items() if pickles.looks_like_a_model(Path(path).suffix, file)]
    return sorted(found, key=lambda path: (-files[path].stat().st_mtime_ns, path))


class Hints:
    """What to tell the author of files that may be stages; `present` is what the setting says already, by notebook."""

    def __init__(self, present: Mapping[str, str]) -> None:
        self._present = present
        self.found: dict[str, str] = {}

    def look(self, notebook: str, cwd: str, files: Mapping[str, Path]) -> None:
        """Look through the files that a notebook without a stage wrote."""
        if models := models_in(files):
            self.found[notebook] = advice(notebook, cwd, models, self._present)

    @property
    def last(self) -> str | None:
        """What there is to tell of the last such notebook."""
        return next(reversed(self.found.values()), None)


def advice(notebook: str, cwd: str, models: list[str], present: Mapping[str, str]) -> str:
    """Return the lines that make a file the notebook's stage; `present` is what the setting says already."""
    file = models[0]
    inside = os.path.relpath(file, cwd or ".")
    shown = inside if not inside.startswith("../") else file
    more = f" (and {', '.join(models[1:4])})" if len(models) > 1 else ""
    return (
        f"'{notebook}' wrote '{file}'{more}, which looks like a model. If that is the stage, nothing in the\n"
        f"notebook has to change. Say so, with\n  {variable_line({**present, notebook: shown})}\n"
        f"or in pyproject.toml:\n  [tool.nachlass.stages]\n  {json.dumps(notebook)} = {json.dumps(shown)}"
    )


def variable_line(stages: Mapping[str, str]) -> str:
    """Return the variable that says it; as JSON where a comma would be taken for the end of a name."""
    if any("," in text for pair in stages.items() for text in pair):
        return f"NACHLASS_STAGES={json.dumps(dict(stages), ensure_ascii=False)}"
    return f"NACHLASS_STAGES={','.join(f'{notebook}={file}' for notebook, file in stages.items())}"
