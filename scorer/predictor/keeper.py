"""Forks predictors: a process that was forked from the worker before it had a loop, a thread or a client.

A fork of the worker itself would inherit the sockets of its clients, and locks in whatever state they were.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import struct
import sys
from typing import NoReturn

from . import process
from .answers import Answerer

STATUS = struct.Struct("<i")
"""What the keeper answers once the new predictor runs: how the one before it ended, as `os.waitpid` says it."""

_PR_SET_PDEATHSIG = 1


def open_descriptors() -> set[int]:
    """Return the process's open file descriptors."""
    return set(filter(_is_open, map(int, os.listdir("/dev/fd"))))  # noqa: PTH208 - names


def start(answerer: Answerer, kept: set[int]) -> socket.socket:
    """Fork a keeper; return a socket: one byte with one end of a channel makes it kill its predictor and fork another.

    Args:
        answerer: What predictors answer with.
        kept: The file descriptors that may stay open in them: the model's own, not the server's.
    """
    ours, control = socket.socketpair()
    if os.fork():
        control.close()
        return ours
    status = 1
    try:
        process.ignore_signals()
        _close_others({*kept, control.fileno()})
        _keep(control, answerer)
        status = 0
    finally:
        _end(status)


def _keep(control: socket.socket, answerer: Answerer) -> None:
    """Serve the worker until it has ended."""
    predictor = 0
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        status = _kill(predictor)
        if not data:
            return
        channel = socket.socket(fileno=descriptors[0])
        keeper = os.getpid()
        predictor = os.fork()
        if predictor == 0:
            _predict(channel, control, answerer, keeper)
        channel.close()
        control.sendall(STATUS.pack(status))


def _predict(channel: socket.socket, control: socket.socket, answerer: Answerer, keeper: int) -> NoReturn:
    try:
        control.close()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() == keeper:
            process.run(channel, answerer)
    except OSError:
        pass  # The worker has ended.
    finally:
        _end(0)


def _kill(predictor: int) -> int:
    if predictor == 0:
        return 0
    os.kill(predictor, signal.SIGKILL)
    return os.waitpid(predictor, 0)[1]


def _close_others(kept: set[int]) -> None:
    for descriptor in open_descriptors() - kept - {0, 1, 2}:
        os.close(descriptor)


def _is_open(descriptor: int) -> bool:
    """Tell whether it is still open: one was that of the list itself."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _end(status: int) -> NoReturn:
    # What the interpreter would do at its end is the master's to do.
    sys.stderr.flush()
    os._exit(status)
