"""How many Internet sockets a notebook and all that it started opened: the driver's side of `inside/sockets.py`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import threading
from pathlib import Path

_RECEIVE, _SEND = 0xC0502100, 0xC0182101
"""SECCOMP_IOCTL_NOTIF_RECV and _SEND of linux/seccomp.h."""
_NOTIFICATION_BYTES = 80
_ANSWER = struct.Struct("QqiI")
_CONTINUE = 1


class SocketWatch:
    """Listens for one kernel's filter, lets every call happen and counts them."""

    def __init__(self, address: Path) -> None:
        self.count = 0
        self.is_connected = False
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(address))
        self._server.listen(1)
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="sockets", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; the kernel has to be gone by then."""
        os.write(self._wake_write, b"x")
        self._thread.join()
        self._server.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _serve(self) -> None:
        listener = self._accept()
        if listener is None:
            return
        self.is_connected = True
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        try:
            while True:
                events = dict(poll.poll())
                if events.get(listener, 0) & select.POLLIN:
                    self._answer(listener)
                elif self._wake_read in events or events.get(listener, 0):
                    return
        finally:
            os.close(listener)

    def _accept(self) -> int | None:
        ready, _, _ = select.select([self._server.fileno(), self._wake_read], [], [])
        if self._server.fileno() not in ready:
            return None
        connection, _ = self._server.accept()
        with connection:
            _, descriptors, _, _ = socket.recv_fds(connection, 1, 1)
        return descriptors[0] if descriptors else None

    def _answer(self, listener: int) -> None:
        notification = bytearray(_NOTIFICATION_BYTES)
        # The caller may have been killed meanwhile (ENOENT): then nobody waits for the answer.
        with contextlib.suppress(OSError):
            fcntl.ioctl(listener, _RECEIVE, notification)
            self.count += 1
            (number,) = struct.unpack_from("Q", notification)
            fcntl.ioctl(listener, _SEND, _ANSWER.pack(number, 0, 0, _CONTINUE))
