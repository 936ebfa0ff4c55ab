"""The boundary of a build: signals in, errors and the exit status out."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from nachlass_bp import context as build_context
from nachlass_bp import host
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import BuildpackError, DiskFullError, InterruptedBuildError, internal_error
from nachlass_bp.layers import ours
from nachlass_bp.output import Output
from nachlass_bp.terminal import is_terminal

FAILURE_REPORT = "failure.json"


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM; a KeyboardInterrupt, so that asyncio and subprocess clean up as they do for Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> int:
    """Run the build phase, or answer a question about its cache; return the exit status."""
    if sys.argv[1:2] == ["cache"]:
        from nachlass_bp.query import command  # noqa: PLC0415 - no build needs it

        return command.main(sys.argv[2:])
    output = Output(is_terminal=is_terminal(sys.stdout, os.environ.get("TERM", "")))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    host.become_subreaper()
    context: BuildContext | None = None
    status = 1
    try:
        context = build_context.from_environ(os.environ, sys.argv[1:], Path.cwd())
        output.advise(context.repository)
        _build(context, output)
    except Interrupted as interrupt:
        status = 128 + interrupt.number
        error: BuildpackError = InterruptedBuildError(signal_name=signal.Signals(interrupt.number).name)
    except BuildpackError as foreseen:
        error = foreseen
    except OSError as problem:
        full = problem.errno in {errno.ENOSPC, errno.EDQUOT}
        error = DiskFullError(path=str(problem.filename or "a layer")) if full else internal_error(problem)
    except Exception as bug:  # noqa: BLE001 - the one boundary: whatever it is, the author gets a message that helps
        error = internal_error(bug)
    else:
        return 0
    _end(error, context, output)
    return status


def _build(context: BuildContext, output: Output) -> None:
    installed = ours.ensure(context, output)
    # Importable only now that the tools are there.
    from nachlass_bp.build import build  # noqa: PLC0415

    build(context, installed, output)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)  # A second one must not interrupt the cleaning up.
    raise Interrupted(number)


def _end(error: BuildpackError, context: BuildContext | None, output: Output) -> None:
    """Leave nothing running, nothing half made, and say what happened."""
    host.kill_descendants()
    from nachlass_bp.layers import discard_unfinished  # noqa: PLC0415 - not worth its import in a good build

    # The command `nachlass` sees the person's own files: it says what to do, so that there is one answer and not two.
    is_left_to_platform = error.yields_advice and context is not None and context.repository is not None
    is_reported = context is not None and _report(error, context, output, leaves_advice=is_left_to_platform)
    try:
        output.error(error, is_advised=not (is_left_to_platform and is_reported))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Whoever read the log has gone.
    if context is not None:
        try:
            discard_unfinished(context.layers_dir)
        except OSError as problem:
            # What failed has been said, and is what matters; a platform drops the layers of a failed build.
            output.warning(f"A half-made layer couldn't be removed: {problem.filename}: {problem.strerror}")


def _report(error: BuildpackError, context: BuildContext, output: Output, *, leaves_advice: bool) -> bool:
    """Write the failure report; return whether there is one."""
    if context.report_dir is None:
        return False
    report = {
        "reference": error.reference,
        "heading": output.redact(error.heading),
        "notebook": error.notebook,
        "missing_path": output.redact(error.missing_path) if error.missing_path is not None else None,
        "missing_as_written": output.redact(error.missing_as_written or "") or None,
        "home": error.home,
        "advice": output.redact(output.advice_of(error)) if leaves_advice else None,
    }
    try:
        context.report_dir.mkdir(parents=True, exist_ok=True)
        (context.report_dir / FAILURE_REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        output.warning(f"The failure report couldn't be written to {context.report_dir}: {problem.strerror}")
        return False
    return True
