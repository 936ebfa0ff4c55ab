"""The store for those who only look: nothing in it is made, mended or thrown away."""

from __future__ import annotations

from pathlib import Path

from nachlass_bp.cache.store import FORMAT, Store, Stored


class ReadOnlyStore(Store):
    """A store as it is. `discarded` says why the next build will begin a new one, None when it won't.

    A build may be going on: a file that it has taken away meanwhile counts as never having been there.
    """

    def _open(self) -> None:
        present = self._format()
        if present != FORMAT and self.root.is_dir() and any(self.root.iterdir()):
            self.discarded = "it is of another format" if present else "it was not finished"

    def _drop(self, file: Path) -> None:
        pass

    def _read_traces(self, directory: Path) -> tuple[list[Stored], list[str]]:
        return super()._read_traces(directory) if self.discarded is None else ([], [])
