"""Let the kernel of Linux tell of, or refuse, every Internet socket of this process and of all that it starts.

A seccomp filter looks at socket(2). To watch, its listener goes to the driver, which counts and lets the call happen;
to refuse, the call fails with EACCES. Neither needs a privilege, and neither can be taken off again. x86-64, aarch64.
Source: seccomp(2), seccomp_unotify(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import sys

# The system call's number and the architecture's, as linux/audit.h has it.
_SOCKET = {"x86_64": (41, 317, 0xC000003E), "aarch64": (198, 277, 0xC00000B7)}
_IO_URING_SETUP = 425
_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER = 1
_SPEC_ALLOW, _NEW_LISTENER = 1 << 2, 1 << 3
_ALLOW, _NOTIFY, _ERRNO = 0x7FFF0000, 0x7FC00000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32_BIT = 0x40000000


class SocketsError(OSError):
    """This system has no such filter."""


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def refuse() -> None:
    """Let every Internet socket fail from now on.

    Raises:
        SocketsError: It can't be done here.
    """
    _install(_ERRNO | errno.EACCES, 0)


def watch(address: str) -> None:
    """Tell the driver, which listens at the Unix socket `address`, of every Internet socket from now on.

    Raises:
        SocketsError: It can't be done here.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as driver:
        driver.connect(address)
        # Nothing between the filter and the hand-over may open an Internet socket: it would wait for ever.
        listener = _install(_NOTIFY, _NEW_LISTENER)
        try:
            socket.send_fds(driver, [b"l"], [listener])
        finally:
            os.close(listener)


def _install(verdict: int, flags: int) -> int:
    numbers = _SOCKET.get(platform.machine()) if sys.platform == "linux" else None
    if numbers is None:
        raise SocketsError(errno.ENOSYS, f"no filter for {sys.platform} on {platform.machine()}")
    call, seccomp, architecture = numbers
    # The last three are what is done: allow, act, act on a foreign system call table.
    steps = [
        (_LOAD, 0, 0, 4),  # 0: the architecture
        (_EQUAL, 0, 7, architecture),  # 1: another one: 9
        (_LOAD, 0, 0, 0),  # 2: the system call
        (_AT_LEAST, 5, 0, _X32_BIT),  # 3: x32: 9
        (_EQUAL, 4, 0, _IO_URING_SETUP),  # 4: it can make sockets, too: 9
        (_EQUAL, 0, 4, call),  # 5: no socket: 10
        (_LOAD, 0, 0, 16),  # 6: its family
        (_EQUAL, 1, 0, int(socket.AF_INET)),  # 7: 9
        (_EQUAL, 0, 1, int(socket.AF_INET6)),  # 8: neither: 10
        (_RETURN, 0, 0, verdict),  # 9
        (_RETURN, 0, 0, _ALLOW),  # 10
    ]
    instructions = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    program = _Program(len(steps), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    # Before Linux 5.16 a filter switches off a kind of speculation, which slows all cells down; this one is no sandbox.
    flags |= _SPEC_ALLOW
    result = libc.syscall(seccomp, _SET_MODE_FILTER, flags, ctypes.byref(program))
    if result < 0 and ctypes.get_errno() == errno.EACCES:
        # Without a privilege it needs the promise never to gain one, which root in a build need not give.
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        result = libc.syscall(seccomp, _SET_MODE_FILTER, flags, ctypes.byref(program))
    if result < 0:
        raise SocketsError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)
