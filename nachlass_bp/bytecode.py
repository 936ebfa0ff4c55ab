"""Bytecode that is never compared with its source again.

Exporters set every source's time to 1980, after which bytecode that remembers a time counts as stale and is made again
at each start (PEP 552, unchecked hash-based pycs).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nachlass_bp import process

_COMPILEALL = ("-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash")
"""Sources that don't compile are left to whoever imports them."""
TESTS = ("tests",)
"""Four tenths of numpy's, scipy's and scikit-learn's sources are their own tests, which they import nowhere else.

A package that does is compiled in part at each start, which costs time and nothing else.
"""


def compile_beside(python: Path, *directories: Path, env: Mapping[str, str], leave_out: Sequence[str] = TESTS) -> None:
    """Compile the sources below `directories`, each beside itself.

    Those stay as they are that are in a directory of a package that is called like one of `leave_out`.
    """
    roots, names = (_one_of(map(str, directories)), _one_of(leave_out))
    skipped = f"^{roots}/(?:.*/)?{names}/"
    process.run([python, "-I", "-B", *_COMPILEALL, "-x", skipped, *directories], env=env, cwd=directories[0])


def compile_below(python: Path, sources: Sequence[str], prefix: Path, *, env: Mapping[str, str]) -> None:
    """Compile `sources` into `prefix`, which Python finds them in as PYTHONPYCACHEPREFIX."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape", suffix=".txt") as listing:
        listing.write("".join(f"{source}\n" for source in sources))
        listing.flush()
        command: list[str | Path] = [
            python,
            "-I",
            "-B",
            "-X",
            f"pycache_prefix={prefix}",
            *_COMPILEALL,
            "-i",
            listing.name,
        ]
        process.run(command, env=env, cwd=prefix)


def _one_of(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(re.escape, texts))})"
