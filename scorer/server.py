"""The `web` process: load the model once, then let gunicorn fork workers that share its memory."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, NoReturn

# All of ours is imported before the stages are loaded: from then on the notebooks' directories come first on sys.path.
from gunicorn.app.base import BaseApplication

from scorer import app
from scorer import manifest as manifests
from scorer import service as services
from scorer import settings as settings_
from scorer.errors import StageError
from scorer.manifest import ManifestError
from scorer.metrics import Metrics
from scorer.predictor import ThreadPredictor
from scorer.service import Service
from scorer.settings import Settings, SettingsError
from scorer.slots import NoScratchError, lease, scratch_root
from scorer.worker import Worker

EX_CONFIG = 78
EX_UNAVAILABLE = 69

GRACEFUL_TIMEOUT_S = 25  # Platforms kill 30 seconds after SIGTERM.
KEEP_ALIVE_S = 75  # Above the idle time of the usual proxies (60 s), so that it is they who close.
WORKER_TIMEOUT_S = 120


def main() -> int:
    """Serve until SIGTERM; return the exit status.

    A mistake in the environment or a model that can't be loaded ends in one message and a status that is not 0.
    """
    # As process 1 of a container we would otherwise ignore SIGTERM until gunicorn handles it.
    signal.signal(signal.SIGTERM, _stop)
    try:
        settings = settings_.from_environ(os.environ)
        scratch = scratch_root()
    except (SettingsError, NoScratchError) as error:
        return _explain(str(error), EX_CONFIG)
    try:
        service = services.load(settings.manifest)
    except (ManifestError, OSError) as error:
        return _explain(f"The manifest can't be read: {error}", EX_CONFIG)
    except StageError as error:
        return _explain(_describe(error, settings), EX_UNAVAILABLE)
    return _serve(service, settings, scratch)


def _serve(service: Service, settings: Settings, scratch: Path) -> int:
    directory = Path(tempfile.mkdtemp(prefix="nachlass-metrics-", dir=scratch))
    master = os.getpid()

    class Application(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
        """gunicorn's view of the service: its configuration, and what each worker makes of its own after the fork."""

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
            )
            return app.create_app(service, ThreadPredictor(service.pipeline), metrics, settings)

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
        "graceful_timeout": GRACEFUL_TIMEOUT_S,
        "keepalive": KEEP_ALIVE_S,
        "timeout": WORKER_TIMEOUT_S,
        "proc_name": "nachlass",
    }


def _describe(error: StageError, settings: Settings) -> str:
    where = ""
    if error.stage is not None:
        stage = manifests.read(settings.manifest).stages[error.stage]
        where = f"Stage {error.stage + 1} ({stage.notebook}): "
    return f"The model can't be served. {where}{error.message}"


def _explain(problem: str, status: int) -> int:
    sys.stderr.write(f"nachlass: {problem}\n")
    return status


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(0)
