"""What a platform keeps of a buildpack's layers between two builds, and what it puts into the image.

Source: buildpacks/lifecycle v0.21.17, internal/layer/metadata_restorer.go, phase/restorer.go, phase/exporter.go.
"""

from __future__ import annotations

import shutil
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import toml

from tests.support.trees import is_changed_since, link_tree, odd_files, remove_tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TYPES = ("build", "cache", "launch")
_NOT_LAYERS = ("launch", "store", "build")
_SEAL = ".nachlass-key"
"""Is in a layer whose contents no build should change; such layers are large."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer as its `<name>.toml` declares it."""

    name: str
    build: bool = False
    cache: bool = False
    launch: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)


def read_layers(directory: Path) -> dict[str, Layer]:
    """Read the layers that one buildpack declared, as strictly as the lifecycle does."""
    layers = {}
    for file in sorted(directory.glob("*.toml")):
        if file.stem in _NOT_LAYERS:
            continue
        content = tomllib.loads(file.read_text())
        assert not set(_TYPES) & set(content), f"{file.name}: {set(content)} should be in the types table"
        layers[file.stem] = Layer(name=file.stem, metadata=content.get("metadata", {}), **content.get("types", {}))
    return layers


class LayerStore:
    """The cache and the previous image of one buildpack.

    After a successful build its launch layers stand at their place, as in the image; everything else is put away.
    A sealed layer is moved into a build and back: copies of it would take longer than what most builds do. Where a
    build was not to be kept and has changed it, a spare takes its place.
    """

    def __init__(self, directory: Path, kept: Path) -> None:
        self.directory = directory
        self._kept = kept
        self._spares = kept.with_name(f"{kept.name}-spares")
        self._given: set[str] = set()
        self.layers: dict[str, Layer] = {}
        """The layers of the last successful build."""
        self.reused: set[str] = set()
        """The launch layers that the last build left to the previous image ("Reusing layer")."""

    @property
    def kept(self) -> Path:
        """Where the cache is, as the last successful build left it."""
        self._take_back()
        return self._kept

    def restore(self) -> None:
        """Make the directory what a buildpack finds when a build starts."""
        self._put_image_away()
        remove_tree(self.directory)
        self.directory.mkdir(parents=True)
        for layer in self.layers.values():
            if layer.build and not layer.cache:
                continue  # "Buildpack will always recreate": not even its metadata comes back.
            if layer.cache or layer.launch:
                # The types are the buildpack's to set again in every build.
                (self.directory / f"{layer.name}.toml").write_text(toml.dumps({"metadata": layer.metadata}))
            if layer.launch and (self._kept / _sbom(layer.name)).exists():
                shutil.copy(self._kept / _sbom(layer.name), self.directory)
            if layer.cache and (self._kept / layer.name).exists():
                self._give(layer.name)
        if (self._kept / "store.toml").exists():
            shutil.copy(self._kept / "store.toml", self.directory)

    def keep(self) -> None:
        """Take over a successful build's layers, as the exporter would, and set the image's ones up."""
        self._kept.mkdir(exist_ok=True)
        layers, self.reused = read_layers(self.directory), set()
        for layer in layers.values():
            produced = self.directory / layer.name
            if produced.exists():
                _assert_exportable(produced)
                remove_tree(self._kept / layer.name)
                produced.rename(self._kept / layer.name)
                self._given.discard(layer.name)
            elif layer.launch:
                assert not layer.cache, f"layer '{layer.name}' is cache=true but has no contents"
                previous = self.layers.get(layer.name)
                assert previous is not None, f"cannot reuse '{layer.name}', previous image has no metadata"
                assert previous.launch, f"cannot reuse '{layer.name}', it was not in the previous image"
                self.reused.add(layer.name)
            if layer.launch:
                (self._kept / _sbom(layer.name)).unlink(missing_ok=True)
                if (self.directory / _sbom(layer.name)).exists():
                    shutil.copy(self.directory / _sbom(layer.name), self._kept)
        self._take_back()
        self.layers = layers
        if (self.directory / "store.toml").exists():
            shutil.copy(self.directory / "store.toml", self._kept)
        for layer in layers.values():
            if layer.launch:
                (self._kept / layer.name).rename(self.directory / layer.name)

    def forget_image(self) -> None:
        """Lose the previous image, for instance because the next one has another tag; the cache stays."""
        self._put_image_away()
        # Without the image's metadata, Platform API < 0.14 restores a launch layer from no cache either.
        self.layers = {name: layer for name, layer in self.layers.items() if layer.cache and not layer.launch}

    def forget_cache(self) -> None:
        """Lose the cache; the previous image stays, and with it the metadata of layers that are launch only."""
        self._put_image_away()
        self.layers = {name: layer for name, layer in self.layers.items() if layer.launch and not layer.cache}

    def _put_image_away(self) -> None:
        self._take_back()
        for layer in self.layers.values():
            if layer.launch and (self.directory / layer.name).exists() and not (self._kept / layer.name).exists():
                (self.directory / layer.name).rename(self._kept / layer.name)

    def _give(self, name: str) -> None:
        """Put a layer of the cache where the build looks for it."""
        kept = self._kept / name
        if not (kept / _SEAL).exists():
            link_tree(kept, self.directory / name)
            return
        spare, linked = self._spares / name, self._linked(name)
        if not spare.exists() or is_changed_since(linked, kept):
            remove_tree(spare)
            link_tree(kept, spare)
            linked.touch()
        kept.rename(self.directory / name)
        self._given.add(name)

    def _take_back(self) -> None:
        """Make the cache whole again after a build of which nothing is kept, or which gave a layer up."""
        for name in self._given:
            given = self.directory / name
            is_same = given.exists() and not is_changed_since(self._linked(name), given)
            (given if is_same else self._spares / name).rename(self._kept / name)
        self._given.clear()

    def _linked(self, name: str) -> Path:
        """Return a file that is as old as the layer's spare."""
        return self._spares / f"{name}.linked"


def _sbom(layer: str) -> str:
    return f"{layer}.sbom.cdx.json"


def _assert_exportable(layer: Path) -> None:
    odd = odd_files(layer)
    assert not odd, f"unknown file type in tar: {odd}"


def unreadable_files(directory: Path) -> list[str]:
    """Return what another user than the owner cannot read or enter: the service runs as one."""
    paths = [directory, *directory.rglob("*")]
    return [str(path) for path in paths if not path.is_symlink() and not _open_to_all(path.stat().st_mode)]


def _open_to_all(mode: int) -> bool:
    wanted = 0o555 if stat.S_ISDIR(mode) else 0o444
    return mode & wanted == wanted
