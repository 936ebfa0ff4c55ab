"""A commit, as settings and traces speak of it. Standard library only: traces are read before the tools are there."""

from __future__ import annotations

import re
from dataclasses import dataclass

ID = re.compile(r"[0-9a-f]{7,64}\Z")
_DIRTY = "-dirty"


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit. `dirty` says whether the files differ from it, None where nobody compared them."""

    id: str
    dirty: bool | None


def parse(text: object) -> Commit:
    """Read the value of NACHLASS_COMMIT: a commit's id, with `-dirty` behind it when the files are not all its own.

    Raises:
        ValueError: It is something else.
    """
    given = str(text).strip().lower()
    commit_id = given.removesuffix(_DIRTY)
    if not ID.match(commit_id):
        raise ValueError(text)
    return Commit(id=commit_id, dirty=given.endswith(_DIRTY))
