"""Images as directories (the OCI image layout), without a registry or an engine.

Source: OCI image specification, image-layout.md, manifest.md, config.md.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MEDIA_TYPE = "application/vnd.oci.image"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image of a layout directory."""

    directory: Path
    config: Mapping[str, Any]
    layers: tuple[Path, ...]
    """The layers' tar files, the lowest first."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the image's labels."""
        labels: Mapping[str, str] = self.config["config"]["Labels"]
        return labels

    def unpack(self, root: Path) -> None:
        """Unpack all layers below `root`, with their owners and modes."""
        for layer in self.layers:
            with tarfile.open(layer) as archive:
                archive.extraction_filter = lambda member, _path: member
                for member in archive:
                    member.name = member.name.lstrip("/")  # The lifecycle writes absolute names.
                    archive.extract(member, root)


def read_image(directory: Path) -> Image:
    """Read the only image of a layout directory."""
    index = json.loads((directory / "index.json").read_text())
    manifest = json.loads(_blob(directory, index["manifests"][0]).read_text())
    return Image(
        directory=directory,
        config=json.loads(_blob(directory, manifest["config"]).read_text()),
        layers=tuple(_blob(directory, layer) for layer in manifest["layers"]),
    )


def write_run_image(directory: Path, *, user: str) -> None:
    """Write an image of one empty layer: what a run image is where the host's own /usr stands in for it."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": "1980-01-01T00:00:01Z",
        "config": {"User": user, "Env": ["PATH=/usr/bin:/bin"], "Labels": {"io.buildpacks.stack.id": "nachlass.test"}},
        "rootfs": {"type": "layers", "diff_ids": [_digest(empty.getvalue())]},
        "history": [{"created": "1980-01-01T00:00:01Z"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA_TYPE}.manifest.v1+json",
        "config": _write_blob(directory, json.dumps(config).encode(), "config.v1+json"),
        "layers": [_write_blob(directory, gzip.compress(empty.getvalue(), mtime=0), "layer.v1.tar+gzip")],
    }
    described = _write_blob(directory, json.dumps(manifest).encode(), "manifest.v1+json")
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_MEDIA_TYPE}.index.v1+json",
        "manifests": [{**described, "platform": {"os": "linux", "architecture": architecture}}],
    }
    (directory / "index.json").write_text(json.dumps(index))
    (directory / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def _write_blob(directory: Path, content: bytes, kind: str) -> dict[str, Any]:
    descriptor = {"mediaType": f"{_MEDIA_TYPE}.{kind}", "digest": _digest(content), "size": len(content)}
    path = _blob(directory, descriptor)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return descriptor


def _blob(directory: Path, descriptor: Mapping[str, Any]) -> Path:
    algorithm, _, digest = str(descriptor["digest"]).partition(":")
    return directory / "blobs" / algorithm / digest


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
