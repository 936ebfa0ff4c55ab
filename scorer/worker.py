"""The gunicorn worker class."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from types import FrameType
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from .connection import Connection
from .crowd import Crowd
from .life import Life

_PR_SET_PDEATHSIG = 1
_SWEEP_S = 1.0
_SWITCH_S = 0.0005
"""How long the thread that reads long requests may keep the event loop waiting; Python's own 5 ms are felt."""


class Worker(UvicornWorker):  # type: ignore[misc]  # uvicorn_worker has no types
    """uvicorn under gunicorn: httptools with our limits, and nothing that the service doesn't need.

    Python's own event loop: uvloop's answers no more requests a second (docs/benchmarks.md), and would double the size
    of what an image has of ours.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "loop": "asyncio",
        "http": Connection,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        life: Life = self.app.life
        self._crowd = Crowd()
        attributes = {"life": life, "crowd": self._crowd, "idle_s": float(self.cfg.keepalive)}
        self.config.http = type("WorkerConnection", (Connection,), attributes)

    def init_process(self) -> None:
        """Start serving, until the master is gone, too: what it can't stop any more must not go on answering."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
            if os.getppid() != self.ppid:
                sys.exit(0)  # It died before the request.
        sys.setswitchinterval(_SWITCH_S)
        super().init_process()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = _Server(self.config, self.app.life, self._crowd, drain_s=self.app.drain_s, master=self.ppid)
        self._install_sigquit_handler(server)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def _install_sigquit_handler(self, server: _Server) -> None:
        # gunicorn's master answers SIGINT and SIGQUIT by sending SIGQUIT: a person at a terminal doesn't want to wait.
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.end_now)


class _Server(Server):
    """uvicorn's server, which goes on for a while after the signal to end, since its clients don't know of it yet."""

    def __init__(self, config: Any, life: Life, crowd: Crowd, *, drain_s: float, master: int) -> None:
        super().__init__(config)
        self._life = life
        self._crowd = crowd
        self._drain_s = drain_s
        self._master = master
        self._sweeping: asyncio.TimerHandle | None = None

    async def startup(self, sockets: Any = None) -> None:
        """Prepare what answers, then answer."""
        await self._life.prepare()
        asyncio.get_running_loop().set_exception_handler(self._on_trouble)
        await super().startup(sockets=sockets)
        self._sweep()

    async def shutdown(self, sockets: Any = None) -> None:
        """Answer what has been asked, and finish: from here on, the signal that ended the service ends the process."""
        await super().shutdown(sockets=sockets)
        self._life.tick()
        self._life.finish()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End after the time for draining; at once if it is the second signal, or if the master has died."""
        if self._life.is_ending or self._drain_s <= 0 or os.getppid() != self._master or sig != signal.SIGTERM:
            self._life.is_ending = True
            super().handle_exit(sig, frame)
            return
        self._life.is_ending = True
        self._captured_signals.append(sig)
        # A signal handler may not schedule anything otherwise.
        asyncio.get_running_loop().call_soon_threadsafe(self._drain)

    def end_now(self) -> None:
        """Finish what is being answered, and end."""
        self._life.is_ending = True
        self.should_exit = True

    def _on_trouble(self, loop: asyncio.AbstractEventLoop, trouble: dict[str, Any]) -> None:
        if self.should_exit and self._crowd.has_been_full:
            return  # asyncio tries once more to accept somebody, from a socket that is closed by now.
        if not self._crowd.is_about_room(trouble, self._connections(), loop.time()):
            loop.default_exception_handler(trouble)

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]

    def _drain(self) -> None:
        asyncio.get_running_loop().call_later(self._drain_s, self.end_now)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in self._connections():
            connection.sweep(now)
        # First, so that limits of time hold whatever becomes of the rest.
        self._sweeping = loop.call_later(_SWEEP_S, self._sweep)
        self._life.tick()
