"""The static key of a notebook: what decides how it runs before it has looked at anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from nachlass_bp import parameters
from nachlass_bp.cache.trace import Key, digest_of
from nachlass_bp.interpreter import Interpreter
from nachlass_bp.notebooks import Notebook
from nachlass_bp.runner import tags

_RUNNER = 1
"""Raised when the same cells would run in another way than before."""
_TELLING_TAGS = frozenset({tags.SKIP, tags.RAISES})


def code_digest(notebook: Notebook) -> str:
    """Return the digest of what runs: sources and the tags that matter; no outputs, counts, ids or other metadata."""
    cells = [
        [str(cell.source), sorted(_TELLING_TAGS.intersection(cell.metadata.get("tags", [])))]
        for cell in notebook.code_cells
    ]
    return digest_of(cells)


def packages_of(user: Interpreter) -> dict[str, str]:
    """Return each distribution with its version and, where a version says too little, the digest of its record."""
    return {
        name: f"{found.version} {found.origin}" if found.origin else found.version
        for name, found in sorted(user.distributions.items())
    }


def key_of(
    notebook: Notebook,
    user: Interpreter,
    kernel_lock: Path,
    *,
    offline: bool,
    seed: int | None,
    keyed: Callable[[str], str],
) -> Key:
    """Return the key of a notebook in the user's environment; `keyed` makes a digest that tells nobody the value."""
    values = parameters.canonical(notebook.parameters)
    lock = hashlib.sha256(kernel_lock.read_bytes()).hexdigest()
    return Key(
        notebook=notebook.name,
        cwd=notebook.cwd,
        code=code_digest(notebook),
        parameters=keyed(values) if values else "",
        stage_file=notebook.adoption.file if notebook.adoption is not None else "",
        seed="" if seed is None else str(seed),
        python=f"{user.version} {user.implementation} {user.abi} {user.machine}",
        packages=digest_of(packages_of(user)),
        kernel=f"{_RUNNER}-{lock[:32]}",
        deps=digest_of(sorted({*notebook.options.deps})) if notebook.options.deps else "",
        # A run that was refused the network and one that was not are no substitutes for each other.
        offline=offline,
    )
