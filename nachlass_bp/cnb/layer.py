"""One directory below `$CNB_LAYERS_DIR` and the `<name>.toml` beside it.

Standard library only: the first layer of a build is the one that brings the TOML library.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KEY_FILE = ".nachlass-key"
"""Inside a layer: the key of its contents. Metadata may be restored without contents: the toml proves nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer of this buildpack; `launch` layers are exported, `cache` layers come back in the next build."""

    layers_dir: Path
    name: str
    launch: bool = False
    build: bool = False
    cache: bool = False

    @property
    def path(self) -> Path:
        """The layer's directory."""
        return self.layers_dir / self.name

    @property
    def toml(self) -> Path:
        """The layer's metadata file."""
        return self.layers_dir / f"{self.name}.toml"

    @property
    def key(self) -> str | None:
        """The key that the present contents were made for, or None when they are absent or unfinished."""
        try:
            return (self.path / KEY_FILE).read_text(encoding="utf-8")
        except OSError:
            return None

    def restored_key(self) -> str | None:
        """Return `metadata.key` as the platform restored it, contents or not."""
        try:
            text = self.toml.read_text(encoding="utf-8")
        except OSError:
            return None
        match = re.search(r'^\s*key\s*=\s*"([^"]*)"', text, re.MULTILINE)
        return match[1] if match else None

    def empty(self) -> Path:
        """Return the layer's directory, made anew; its metadata is gone until `declare`."""
        self.discard()
        self.path.mkdir(parents=True)
        # The build's umask may be 077, and the service runs under another user.
        self.path.chmod(0o755)
        return self.path

    def discard(self) -> None:
        """Remove contents and metadata."""
        self.toml.unlink(missing_ok=True)
        if self.path.is_symlink() or self.path.is_file():
            self.path.unlink()
        elif self.path.exists():
            shutil.rmtree(self.path)

    def seal(self, key: str) -> None:
        """Mark the contents as complete; the last thing written into a layer."""
        (self.path / KEY_FILE).write_text(key, encoding="utf-8")
        (self.path / KEY_FILE).chmod(0o644)

    def declare(self, metadata: Mapping[str, str | int]) -> None:
        """Write `<name>.toml`. Restored files come without `[types]`; a layer without types is not kept."""
        lines = ["[types]"]
        lines += [f"{kind} = {str(getattr(self, kind)).lower()}" for kind in ("launch", "build", "cache")]
        lines += ["", "[metadata]"]
        # A JSON string or number is also a TOML one, except for the escape of DEL, which no value of ours holds.
        lines += [f"{key} = {json.dumps(value)}" for key, value in metadata.items()]
        self.toml.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_world_readable(directory: Path) -> None:
    """Give everyone what the owner may read and enter: build and run users differ on most platforms."""
    for root, _directories, files in os.walk(directory):
        os.chmod(root, 0o755)  # noqa: PTH101, S103 - a directory that others must enter
        for name in files:
            path = os.path.join(root, name)  # noqa: PTH118 - 20,000 files; strings are four times as fast
            if not os.path.islink(path):  # noqa: PTH114
                mode = os.stat(path).st_mode  # noqa: PTH116
                os.chmod(path, 0o755 if mode & 0o111 else 0o644)  # noqa: PTH101
