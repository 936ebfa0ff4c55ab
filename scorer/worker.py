"""The gunicorn worker class."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
from typing import Any, ClassVar

from uvicorn_worker import UvicornWorker

_PR_SET_PDEATHSIG = 1


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn_worker has no types
    """uvicorn under gunicorn: uvloop, httptools, and nothing that the service doesn't need."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        logging.getLogger("gunicorn.error").addFilter(_says_something)

    def init_process(self) -> None:
        """Start serving, until the master is gone, too: what it can't stop any more must not go on answering."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != self.ppid:
                sys.exit(0)  # It died before the request.
        super().init_process()

    def _install_sigquit_handler(self) -> None:
        # gunicorn's master answers SIGINT and SIGQUIT by sending SIGQUIT. The inherited handler sets a flag that
        # uvicorn never looks at: the worker went on until it was killed. uvicorn's own handler is that of SIGTERM.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, signal.raise_signal, signal.SIGTERM)


def _says_something(record: logging.LogRecord) -> bool:
    # uvloop closes the listening sockets, then uvicorn closes them again: at every stop, and nothing is wrong.
    return not record.getMessage().startswith("Error while closing socket")
