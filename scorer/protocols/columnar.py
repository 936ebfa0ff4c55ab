"""Parquet files and Arrow streams: their media types, and whether the user's packages can read them."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from ..packed import Form

FORMS: dict[str, Form] = {
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
    "application/parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
}
_LEAST = (14, 0, 1)  # Older ones run what an extension type brings along (CVE-2023-47248).


def has_pyarrow() -> bool:
    """Tell whether there is a pyarrow that may read what others send, without importing it."""
    try:
        found = version("pyarrow")
    except PackageNotFoundError:
        return False
    return tuple(map(int, re.findall(r"[0-9]+", found)[:3])) >= _LEAST
