"""One directory below `$CNB_LAYERS_DIR` and the `<name>.toml` beside it.

Standard library only: the first layer of a build is the one that brings the TOML library.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nachlass_bp import host

KEY_FILE = ".nachlass-key"
"""Inside a layer: the key of its contents and how many files they are. The toml may be restored without contents."""


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
    def sbom(self) -> Path:
        """The layer's bill of materials, which stays when the layer is discarded: the lifecycle restores it, too."""
        return self.layers_dir / f"{self.name}.sbom.cdx.json"

    @property
    def key(self) -> str | None:
        """The key that the present contents were made for, or None when they are absent or unfinished."""
        seal = self._seal()
        return seal[0] if seal else None

    def reasons_to_replace(self, key: str, *, different: str) -> list[str] | None:
        """Return why the contents can't be used, an empty list when there never were any, None when they can.

        `different` is what to say of contents that were made for another key.
        """
        seal = self._seal()
        if seal is None:
            if self.path.exists():
                return ["It was not finished"]
            return ["Its contents were not restored"] if self.toml.exists() else []
        if seal[0] != key:
            return [different]
        return ["Some of its files are missing"] if _count_files(self.path) < seal[1] else None

    def _seal(self) -> tuple[str, int] | None:
        """Return what `seal` wrote: key and number of files."""
        try:
            key, count = (self.path / KEY_FILE).read_text(encoding="utf-8").split("\n")
            return key, int(count)
        except (OSError, ValueError):
            return None

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
        host.remove_tree(self.path)

    def seal(self, key: str) -> None:
        """Mark the contents as complete; the last thing written into a layer."""
        (self.path / KEY_FILE).write_text(f"{key}\n{_count_files(self.path)}", encoding="utf-8")
        (self.path / KEY_FILE).chmod(0o644)

    def unseal(self) -> None:
        """Mark the contents as worthless, so that nobody keeps them (`layers.discard_unfinished`)."""
        (self.path / KEY_FILE).unlink(missing_ok=True)

    def declare(self, metadata: Mapping[str, str | int]) -> None:
        """Write `<name>.toml`. Restored files come without `[types]`; a layer without types is not kept."""
        lines = ["[types]"]
        lines += [f"{kind} = {str(getattr(self, kind)).lower()}" for kind in ("launch", "build", "cache")]
        lines += ["", "[metadata]"]
        # A JSON string or number is also a TOML one, except for the escape of DEL, which no value of ours holds.
        lines += [f"{key} = {json.dumps(value)}" for key, value in metadata.items()]
        self.toml.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def write_sbom(self, text: str) -> None:
        """Write the bill of materials, as a new file: a platform may have linked the old one into a safe place."""
        self.sbom.unlink(missing_ok=True)
        self.sbom.write_text(text, encoding="utf-8")


def _count_files(directory: Path) -> int:
    """Count what is below `directory` and no directory; links are not followed."""
    count = 0
    waiting = [str(directory)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    count += entry.name != KEY_FILE
    return count


def make_world_readable(directory: Path) -> None:
    """Give everyone what the owner may read and enter: build and run users differ on most platforms."""
    for root, _directories, files in os.walk(directory):
        os.chmod(root, 0o755)  # noqa: PTH101, S103 - a directory that others must enter
        for name in files:
            path = os.path.join(root, name)  # noqa: PTH118 - 20,000 files; strings are four times as fast
            if not os.path.islink(path):  # noqa: PTH114
                mode = os.stat(path).st_mode  # noqa: PTH116
                os.chmod(path, 0o755 if mode & 0o111 else 0o644)  # noqa: PTH101
