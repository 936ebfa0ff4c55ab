"""Whom a worker tells of its requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .life import Life
from .manifest import Manifest
from .observing.access import AccessLog
from .observing.observed import Observe
from .observing.record import Record
from .observing.sink import Sink
from .observing.trace import join
from .routes import probes
from .settings import Settings


def start_observers(manifest: Manifest, settings: Settings, life: Life) -> list[Observe]:
    """Return who is told of each answer, by what is set; they are ended with the worker's life."""
    observers: list[Observe] = []
    closing: list[Callable[[], None]] = []
    if settings.has_access_log:
        sink = Sink()
        observers.append(AccessLog(sink.write, quiet_paths=probes(settings)))
        closing.append(sink.close)
    if settings.tracing is not None:
        from .observing.otlp import Exporter  # noqa: PLC0415 - a client for HTTP takes its time to import, and few need it.

        exporter = Exporter(
            settings.tracing, name=manifest.name, version=manifest.version, nachlass=manifest.nachlass_version
        )
        observers.append(exporter)
        closing.append(exporter.close)
    if observers:
        life.refused = _teller(observers)

    def finish() -> None:
        for close in closing:
            close()

    life.finish = finish
    return observers


def _teller(observers: Sequence[Observe]) -> Callable[[str | None, int, int, str], None]:
    """Return what tells the observers of a request that was refused before anybody could read what it is."""

    def tell(client: str | None, status: int, size_bytes: int, request_id: str) -> None:
        record = Record(
            context=join(None),
            started_ns=time.time_ns(),
            seconds=0.0,
            client=client,
            method="_OTHER",
            path="",
            status=status,
            size_bytes=size_bytes,
            request_id=request_id,
        )
        for observe in observers:
            observe(record)

    return tell
