"""Where the notebooks work: the view of what is there, and the working tree as soon as one of them has to run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nachlass_bp.cache.digests import Digester
from nachlass_bp.cache.session import restore_outputs
from nachlass_bp.cache.store import Store
from nachlass_bp.cache.view import Output, View
from nachlass_bp.cnb.layer import Layer
from nachlass_bp.layers import stages
from nachlass_bp.tree import Fingerprint, WorkingTree, create


class Desk:
    """The application directory with the outputs laid over it; copied to the `stages` layer only when it has to be."""

    def __init__(self, app_dir: Path, layer: Layer, store: Store | None, digester: Digester) -> None:
        self.digester = digester
        self._app_dir = app_dir
        self._layer = layer
        self._store = store
        self._tree: WorkingTree | None = None
        self._reused: list[Mapping[str, Output]] = []
        self.view = View(app_dir, layer.path / stages.TREE, self.digester)

    def tree(self) -> WorkingTree:
        """Return the working tree, made now if it wasn't there.

        Raises:
            BlobError: What a reused notebook left can't be put back.
        """
        if self._tree is None:
            self._tree = create(self._app_dir, self._layer.empty() / stages.TREE)
            for outputs in self._reused:
                self._restore(outputs)
        return self._tree

    def reuse(self, outputs: Mapping[str, Output]) -> None:
        """Put back what an earlier run left.

        Raises:
            BlobError: It can't be read.
        """
        if self._tree is not None:
            self._restore(outputs)
        self._reused.append(outputs)
        self.view.apply(outputs)

    def _restore(self, outputs: Mapping[str, Output]) -> None:
        assert self._store is not None
        assert self._tree is not None
        restore_outputs(self._store, outputs, self._tree.root)

    def changes(self, before: Mapping[str, Fingerprint]) -> dict[str, Output]:
        """Return how the tree differs from the view, looking only at what has been touched since `before`.

        Raises:
            OSError: A new file can't be read.
        """
        assert self._tree is not None
        after = self._tree.snapshot()
        found: dict[str, Output] = {}
        for path in sorted({*before, *after}):
            now = after.get(path)
            if now == before.get(path):
                continue
            entry = self.digester.entry(self._tree.root / path) if now is not None else None
            if entry != self.view.entry(path):
                found[path] = Output(entry=entry, size_bytes=now[0] if now is not None else 0)
        return found
