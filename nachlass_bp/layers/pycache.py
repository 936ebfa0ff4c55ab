"""The `pycache` layer: bytecode of what the service imports, where the provider of Python ships none.

Paketo's buildpacks keep bytecode out of their layers (PYTHONPYCACHEPREFIX is set in the build), so that each container
would compile numpy, scipy and scikit-learn anew when it starts.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from nachlass_bp import bytecode, reuse
from nachlass_bp.cache.key import packages_of
from nachlass_bp.cache.trace import digest_of
from nachlass_bp.cnb import launch
from nachlass_bp.cnb.layer import Layer, make_world_readable
from nachlass_bp.context import BuildContext
from nachlass_bp.layers import stages
from nachlass_bp.output import size_text
from nachlass_bp.room import Room

PREFIX = "PYTHONPYCACHEPREFIX"
_FILES = "bytecode"


def layer(context: BuildContext) -> Layer:
    """Return the layer: launch only, so that unchanged bytecode is left to the previous image."""
    return Layer(layers_dir=context.layers_dir, name="pycache", launch=True)


def is_wanted(context: BuildContext) -> bool:
    """Whether bytecode goes elsewhere than beside its source in this build, and so isn't in the image."""
    return bool(context.env.get(PREFIX))


class Bytecode:
    """The layer in one build, and what the previous image has of it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._layer = layer(room.context)
        self._is_wanted = is_wanted(room.context)
        self._before = reuse.previous_metadata(self._layer)
        user = room.user
        # Which modules there are to import: with these the same, so are the sources, as they are for the stages.
        self._environment = digest_of([user.platform_key, packages_of(user), room.service.key])[:32]

    def can_stay(self) -> bool:
        """Whether the previous image's bytecode, or that it has none, fits a model that it keeps."""
        return not self._is_wanted or self._before.get("environment") == self._environment

    def stay(self) -> None:
        """Leave the layer to the previous image, of which the model is kept."""
        self._layer.discard()
        if self._is_wanted:
            self._layer.declare(self._before)

    def make(self, imported: Sequence[str]) -> None:
        """Compile the modules that the proof imported from `imported`, or leave them to the previous image.

        Modules of the repository are not among them: they are small, and change without anybody's asking.
        """
        if not self._is_wanted:
            self._layer.discard()
            return
        sources = list(self._shipped(imported))
        key = f"pycache-{self._digest(sources)}"
        if self._before.get("key") == key:
            self._layer.discard()
            self._layer.declare({**self._before, "environment": self._environment})
            self._say("Keeping the bytecode of the previous build", self._before)
            return
        root = self._layer.empty()
        (root / _FILES).mkdir()
        bytecode.compile_below(self._room.user.executable, sources, root / _FILES, env=self._room.context.env)
        launch.write_env(root, {PREFIX: str(root / _FILES)})
        make_world_readable(root)
        files = list((root / _FILES).rglob("*.pyc"))
        size = sum(path.stat().st_size for path in files)
        metadata: dict[str, str | int] = {
            "key": key,
            "environment": self._environment,
            "modules": len(files),
            "size_bytes": size,
        }
        self._layer.seal(key)
        self._layer.declare(metadata)
        self._say("Shipping bytecode, which Python's buildpack doesn't", metadata)

    def _say(self, what: str, metadata: dict[str, str | int]) -> None:
        modules, size = metadata["modules"], int(metadata["size_bytes"])
        self._room.output.step(f"{what}: {modules} modules that the service imports ({size_text(size)})")

    def _shipped(self, imported: Sequence[str]) -> Iterator[str]:
        """Yield the sources that lie in layers, where nothing changes them between this build and a start."""
        tree = stages.layer(self._room.context).path
        for source in imported:
            path = Path(source)
            if path.is_relative_to(self._room.context.layers_root) and not path.is_relative_to(tree):
                yield source

    def _digest(self, sources: Sequence[str]) -> str:
        digest = hashlib.sha256(self._room.user.platform_key.encode())
        for source in sources:
            content = hashlib.sha256(Path(source).read_bytes()).digest()
            digest.update(b"\0" + os.fsencode(source) + b"\0" + content)
        return digest.hexdigest()[:32]
