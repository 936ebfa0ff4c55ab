"""Print the facts about an interpreter and its environment as one JSON object: `<user's python> probe.py`."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import sysconfig
from importlib import metadata
from importlib.util import find_spec
from typing import Any


def facts() -> dict[str, Any]:
    """Describe the running interpreter; see `nachlass_bp` for who decides what from it."""
    own_directory = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not needed to start
    # The directory of the script is ours; everything else on the path is what the user's own programs see.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != own_directory]  # noqa: PTH100
    return {
        "executable": sys.executable,
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "abi": sysconfig.get_config_var("SOABI"),
        "machine": platform.machine(),
        "platform": sysconfig.get_platform(),
        "prefix": sys.prefix,
        "base_prefix": sys.base_prefix,
        "path": list(sys.path),
        "distributions": _installed_distributions(),
        "has_pip": find_spec("pip") is not None,
        "has_ensurepip": find_spec("ensurepip") is not None,
        "has_venv": find_spec("venv") is not None,
    }


def _installed_distributions() -> dict[str, dict[str, str]]:
    """Return, by name, what an import would find (the first on the path): version, directory and origin."""
    found: dict[str, dict[str, str]] = {}
    for distribution in metadata.distributions():
        # An interrupted installation leaves metadata without a name or version; pip ignores such a one, too.
        details: Any = distribution.metadata
        name = details["Name"] if details is not None else None
        if name and details["Version"]:
            directory = os.path.normpath(str(distribution.locate_file("")))
            described = {"version": details["Version"], "directory": directory, "origin": _origin(distribution)}
            found.setdefault(name, described)
    return found


def _origin(distribution: metadata.Distribution) -> str:
    """Return a digest of what is installed when it came from no index: then the version does not say what it is."""
    direct = distribution.read_text("direct_url.json")
    if direct is None:
        return ""
    record = distribution.read_text("RECORD") or ""
    return hashlib.sha256(f"{direct}\0{record}".encode("utf-8", "replace")).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts()) + "\n")
