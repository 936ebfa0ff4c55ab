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

from tests.support.trees import link_tree, odd_files, remove_tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TYPES = ("build", "cache", "launch")
_NOT_LAYERS = ("launch", "store", "build")


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
    """

    def __init__(self, directory: Path, kept: Path) -> None:
        self.directory = directory
        self.kept = kept
        self.layers: dict[str, Layer] = {}
        """The layers of the last successful build."""
        self.reused: set[str] = set()
        """The launch layers that the last build left to the previous image ("Reusing layer")."""

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
            if layer.cache and (self.kept / layer.name).exists():
                link_tree(self.kept / layer.name, self.directory / layer.name)
            if layer.launch and (self.kept / _sbom(layer.name)).exists():
                shutil.copy(self.kept / _sbom(layer.name), self.directory)
        if (self.kept / "store.toml").exists():
            shutil.copy(self.kept / "store.toml", self.directory)

    def keep(self) -> None:
        """Take over a successful build's layers, as the exporter would, and set the image's ones up."""
        self.kept.mkdir(exist_ok=True)
        layers, self.reused = read_layers(self.directory), set()
        for layer in layers.values():
            produced = self.directory / layer.name
            if produced.exists():
                _assert_exportable(produced)
                remove_tree(self.kept / layer.name)
                produced.rename(self.kept / layer.name)
            elif layer.launch:
                assert not layer.cache, f"layer '{layer.name}' is cache=true but has no contents"
                previous = self.layers.get(layer.name)
                assert previous is not None, f"cannot reuse '{layer.name}', previous image has no metadata"
                assert previous.launch, f"cannot reuse '{layer.name}', it was not in the previous image"
                self.reused.add(layer.name)
            if layer.launch:
                (self.kept / _sbom(layer.name)).unlink(missing_ok=True)
                if (self.directory / _sbom(layer.name)).exists():
                    shutil.copy(self.directory / _sbom(layer.name), self.kept)
        self.layers = layers
        if (self.directory / "store.toml").exists():
            shutil.copy(self.directory / "store.toml", self.kept)
        for layer in layers.values():
            if layer.launch:
                (self.kept / layer.name).rename(self.directory / layer.name)

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
        for layer in self.layers.values():
            if layer.launch and (self.directory / layer.name).exists() and not (self.kept / layer.name).exists():
                (self.directory / layer.name).rename(self.kept / layer.name)


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
