"""gunicorn's master: forks the workers, restarts them, ends them."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from . import app
from .life import Life
from .metrics import Metrics
from .observers import start_observers
from .predictor import keeper
from .predictor.answers import Answerer
from .predictor.batching import BatchingPredictor, Limits
from .processors import processors
from .service import Service
from .settings import DEFAULT_DRAIN_S, Settings
from .slots import lease
from .worker import Worker

GRACEFUL_TIMEOUT_S = 25  # Platforms kill 30 seconds after SIGTERM.
KEEP_ALIVE_S = 75  # Above the idle time of the usual proxies (60 s), so that it is they who close.
WORKER_TIMEOUT_S = 120


def serve(service: Service, settings: Settings, scratch: Path) -> int:
    """Serve a loaded model until SIGTERM; return the exit status.

    Args:
        service: The model; the workers share its memory.
        settings: Address, number of workers, limits.
        scratch: A writable directory, in memory if possible.
    """
    answerer = Answerer(service.pipeline, service.model.input)
    # What is open by now is the model's: its predictors have it, and nothing that comes later.
    kept = keeper.open_descriptors()
    directory = Path(tempfile.mkdtemp(prefix="nachlass-metrics-", dir=scratch))
    master = os.getpid()

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        """gunicorn's view of the service: its configuration, and what each worker makes of its own after the fork."""

        drain_s = settings.drain_s

        def __init__(self) -> None:
            self.life = Life()
            super().__init__()

        def load_config(self) -> None:
            for name, value in _gunicorn_options(settings, scratch).items():
                self.cfg.set(name, value)
            self.cfg.set("worker_class", Worker)

        def load(self) -> Any:
            logging.getLogger("nachlass").addHandler(logging.StreamHandler(sys.stderr))
            metrics = Metrics(
                service.model,
                directory=directory,
                slot=lease(directory).number,
                prefix=settings.metrics_prefix,
                buckets=settings.metrics_buckets,
                info={
                    "name": service.manifest.name,
                    "version": service.manifest.version,
                    "task": service.model.task,
                    "nachlass": service.manifest.nachlass_version,
                },
            )
            limits = Limits(
                predict_timeout_s=settings.predict_timeout_s,
                queue=settings.queue,
                merges=_merges(service, settings),
                overlaps=processors() >= 2 * settings.workers,
            )
            predictor = BatchingPredictor(keeper.start(answerer, kept), limits, metrics)
            self.life.prepare = predictor.start

            def tick() -> None:
                metrics.set_waiting(predictor.waiting)
                metrics.count_rows()

            self.life.tick = tick
            observers = start_observers(service.manifest, settings, self.life)
            return app.create_app(service, predictor, metrics, settings, self.life, observers=observers)

    _allow_many_connections()
    # What is loaded now lives as long as the workers: a collection that never visits it never copies its pages.
    gc.freeze()
    try:
        Application().run()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    finally:
        if os.getpid() == master:
            shutil.rmtree(directory, ignore_errors=True)
    return 0


def _allow_many_connections() -> None:
    """Take as many file descriptors as this process may have: the usual soft limit of 1,024 is one of connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS has a hard limit that it doesn't grant.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _merges(service: Service, settings: Settings) -> bool:
    merging = service.model.merging
    if merging is None or settings.batch == "exact" or not merging.is_proven:
        return False
    return merging.is_reviewed or settings.batch == "on"


def _gunicorn_options(settings: Settings, scratch: Path) -> dict[str, object]:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "workers": settings.workers,
        # The model is loaded by now, so the workers share it; what each must have of its own is made after the fork.
        "preload_app": False,
        "worker_tmp_dir": str(scratch),
        # It would be a thread in the master and a socket below $HOME, which may be read-only or missing.
        "control_socket_disable": True,
        # Platforms that are told to wait longer for draining wait longer for the rest, too.
        "graceful_timeout": GRACEFUL_TIMEOUT_S + max(settings.drain_s - DEFAULT_DRAIN_S, 0),
        "keepalive": KEEP_ALIVE_S,
        "timeout": WORKER_TIMEOUT_S,
        "proc_name": "nachlass",
    }
