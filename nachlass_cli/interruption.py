"""Ctrl-C and its relatives: passed on to the program that runs for us, then acted on once it has ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from nachlass_cli import host

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 20.0
"""How long a program may take to stop; the buildpack gives a kernel less."""


class Interrupted(BaseException):
    """The person or the system asked us to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Supervisor:
    """Runs one program at a time and never leaves one behind.

    As a context manager it owns the signal handlers. A signal that arrives while a program runs goes to its process
    group; one that arrives in between raises `Interrupted` at once; later ones, while we clean up, do nothing.
    """

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._starting = False
        self._received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Supervisor:  # noqa: PYI034 - typing.Self is younger than Python 3.10, and nobody subclasses this
        host.become_subreaper()
        for signum in _SIGNALS:
            # Under nohup or in a shell's background, the one who started us wants it ignored.
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            # Once stopped, all that is left is to say so: a second Ctrl-C must not end in a traceback.
            after = handler if self._received is None else signal.SIG_IGN
            signal.signal(signum, after)  # type: ignore[arg-type]  # what signal.signal returned

    def _on_signal(self, signum: int, _frame: FrameType | None) -> None:
        repeated = self._received is not None
        self._received = self._received or signum
        if self._child is not None:
            host.kill_group(self._child.pid, signal.SIGKILL if repeated else signum)
        elif not self._starting and not repeated:
            raise Interrupted(signum)

    def run(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path,
        keep_open: Sequence[int] = (),
        capture: bool = False,
    ) -> tuple[int, str]:
        """Run a program to its end; return its status and, if captured, what it printed.

        Raises:
            Interrupted: A signal arrived; the program and its children have ended.
        """
        with self.started(command, env=env, cwd=cwd, keep_open=keep_open, capture=capture) as child:
            output, _ = child.communicate()
            status = child.returncode
        return status, (output or b"").decode(errors="replace")

    @contextlib.contextmanager
    def started(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        cwd: Path,
        keep_open: Sequence[int] = (),
        capture: bool = False,
        log: IO[bytes] | None = None,
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a program in a process group of its own; at the end, nothing that it started is left.

        What it prints is for whoever reads `child.stdout` (`capture`), or goes into the file `log`, or where ours goes.

        Raises:
            Interrupted: A signal arrived; the program and its children have ended.
        """
        self._starting = True  # A signal now must not get lost between fork and the assignment below.
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture else log,
                stderr=subprocess.STDOUT if capture else log,
                start_new_session=True,
                pass_fds=keep_open,
            )
            self._child = child
        finally:
            self._starting = False
        if self._received is not None:
            host.kill_group(child.pid, self._received)
        try:
            with self._deadline(child):
                yield child
        finally:
            self._end(child)
        if self._received is not None:
            raise Interrupted(self._received)

    @contextlib.contextmanager
    def _deadline(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kill the program if it has not stopped some time after a signal."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.2):
                if self._received is not None:
                    if not done.wait(_GRACE_S):
                        host.kill_group(child.pid, signal.SIGKILL)
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        host.kill_group(child.pid, signal.SIGKILL)
        child.wait()
        self._child = None
        if child.stdout is not None:
            child.stdout.close()
        host.kill_descendants()
