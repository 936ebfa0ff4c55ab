"""The application directory, which is in the image as the build leaves it."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def open_to_all(app_dir: Path) -> None:
    """Give everyone what the owner may read and enter.

    Platforms take modes from where the source was checked out, which may be a person with umask 077, and run the image
    as another user than the build's. What belongs to somebody else stays as it is.
    """
    for root, _directories, files in os.walk(app_dir):
        _open(root)
        for name in files:
            _open(os.path.join(root, name))  # noqa: PTH118 - as in `make_world_readable`


def _open(path: str) -> None:
    try:
        found = os.lstat(path)
        mode = stat.S_IMODE(found.st_mode)
        owners = mode & 0o500
        wanted = mode | owners >> 3 | owners >> 6
        if wanted != mode and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            os.chmod(path, wanted)  # noqa: PTH101 - as above
    except OSError:
        return
