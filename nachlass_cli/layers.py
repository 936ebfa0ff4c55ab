"""What the lifecycle does with the layers before and after a build of the buildpack.

Source: https://github.com/buildpacks/spec/blob/main/buildpack.md ("Layer Types"), and the lifecycle's restorer and
exporter.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toml

from nachlass_cli import snapshot
from nachlass_cli.errors import LayersInvalidError
from nachlass_cli.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_NOT_LAYERS = frozenset({"launch", "build", "store"})
_TYPES = ("launch", "build", "cache")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One `<name>.toml` and what may stand beside it."""

    name: str
    directory: Path
    launch: bool
    build: bool
    cache: bool
    metadata: Mapping[str, Any]


def read_layers(layers: Path) -> list[Layer]:
    """Return the declared layers in the order of their names.

    Raises:
        LayersInvalidError: A `<layer>.toml` is not what the specification says.
    """
    return [_read_layer(path) for path in sorted(layers.glob("*.toml")) if path.stem not in _NOT_LAYERS]


def _read_layer(path: Path) -> Layer:
    data = read_toml(path)
    if misplaced := [name for name in _TYPES if name in data]:
        raise LayersInvalidError(f"'{path}' has '{misplaced[0]}' at the top level instead of in [types]")
    types = data.get("types", {})
    return Layer(
        name=path.stem,
        directory=path.with_suffix(""),
        launch=types.get("launch") is True,
        build=types.get("build") is True,
        cache=types.get("cache") is True,
        metadata=data.get("metadata", {}),
    )


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file that the buildpack wrote.

    Raises:
        LayersInvalidError: It is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LayersInvalidError(f"'{path}' isn't TOML: {error}") from error


def restore(workspace: Workspace) -> None:
    """Turn the layers of the last build into what the next one may find.

    A cached layer comes with contents, one for launch alone only with its metadata, any other not at all. No file says
    types any more: the buildpack has to declare again what it keeps.
    """
    kept = {"store.toml"}
    for layer in read_layers(workspace.layers):
        if layer.cache:
            kept.add(layer.name)
        elif not layer.launch or layer.build:
            continue
        kept.add(f"{layer.name}.toml")
        kept.update(path.name for path in workspace.layers.glob(f"{layer.name}.sbom.*"))
        text = toml.dumps({"metadata": layer.metadata}) if layer.metadata else ""
        _replace_text(workspace.layers / f"{layer.name}.toml", text)
    for path in workspace.layers.iterdir():
        if path.name not in kept:
            snapshot.remove_tree(path)


def _replace_text(path: Path, text: str) -> None:
    """Write a new file under the name: the old one is linked from the snapshot and must not change."""
    path.unlink()
    path.write_text(text, encoding="utf-8")


def complete(workspace: Workspace) -> None:
    """Do after a build what the exporter does: bring back reused layers, drop undeclared ones.

    Raises:
        LayersInvalidError: A layer is declared whose contents are nowhere.
    """
    declared = read_layers(workspace.layers)
    for layer in declared:
        if layer.directory.is_dir() or not (layer.launch or layer.cache):
            continue
        if layer.cache or not snapshot.restore_layer(workspace, layer.name):
            raise LayersInvalidError(f"The layer '{layer.name}' is declared but has no contents")
    used = {layer.name for layer in declared if layer.launch or layer.build or layer.cache}
    for path in workspace.layers.iterdir():
        if path.is_dir() and path.name not in used:
            snapshot.remove_tree(path)


def keep_finished(workspace: Workspace, *, also_for_launch: bool) -> None:
    """Save the cached layers that a failed build had finished: a slip in a notebook must not cost a new installation.

    A layer is finished when the buildpack has declared its types, which it does last. Those that the previous build's
    service runs on stay as they are, unless there was no such build.
    """
    previous = workspace.snapshot / "layers"
    for layer in read_layers(workspace.layers):
        if not layer.cache or not layer.directory.is_dir() or (layer.launch and not also_for_launch):
            continue
        declaration = f"{layer.name}.toml"
        # In this order a kill leaves contents without a declaration, which the next build drops.
        snapshot.remove_tree(previous / declaration)
        snapshot.remove_tree(previous / layer.name)
        layer.directory.rename(previous / layer.name)
        (workspace.layers / declaration).rename(previous / declaration)
