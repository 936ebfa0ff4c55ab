"""The commands, and the one place where failures become text and an exit status."""

from __future__ import annotations

import os
import shlex
import signal
import traceback

from nachlass_cli import arguments, cache, output
from nachlass_cli.build import BuildFailedError, build
from nachlass_cli.check import check_service
from nachlass_cli.errors import CliError, InternalError, SystemCallFailedError
from nachlass_cli.interruption import Interrupted, Supervisor
from nachlass_cli.score import score
from nachlass_cli.serve import find_build, serve

EX_UNAVAILABLE = 69


def run_command(words: list[str]) -> int:
    """Run what the words say and return the exit status: 0, 1 (`score`: 69) for a failure, 128 + n for signal n.

    Words that make no command exit with 2.
    """
    output.prepare_streams()
    command = arguments.parse(words)
    # Directories of the output are 0700; what is in them must be readable by whoever the service runs as.
    os.umask(0o022)
    # Where 1 says that some rows are bad, what stops the command before has a status of its own.
    failed = EX_UNAVAILABLE if isinstance(command, arguments.ScoreCommand) else 1
    try:
        _dispatch(command)
    except CliError as failure:
        output.error(failure)
    except BuildFailedError:
        pass
    except Interrupted as interrupted:
        output.step(
            f"\nStopped by {signal.Signals(interrupted.signum).name}; what an earlier build had made is still there."
        )
        return 128 + interrupted.signum
    except OSError as failure:
        output.error(SystemCallFailedError(failure))
    except Exception:  # noqa: BLE001 - a person gets words, and the traceback to report
        output.error(InternalError(traceback.format_exc()))
    else:
        return 0
    return failed


def _dispatch(command: arguments.Command) -> None:
    match command:
        case arguments.ServeCommand():
            serve(*find_build(command.directory.expanduser()), command.port)
        case arguments.ScoreCommand():
            score(*find_build(command.directory.expanduser()), command.words, directory=command.directory)
        case arguments.CacheListCommand() | arguments.CacheExplainCommand() | arguments.CachePruneCommand():
            with Supervisor() as supervisor:
                cache.answer(command, supervisor)
        case arguments.BuildCommand():
            with Supervisor() as supervisor:
                build(command.options, supervisor)
            directory = shlex.quote(str(command.options.output or command.options.repository))
            output.step(f"\nBuilt. Serve it with:\n  nachlass serve {directory}")
        case arguments.RunCommand(check=True):
            with Supervisor() as supervisor:
                check_service(*build(command.options, supervisor), supervisor)
        case arguments.RunCommand():
            with Supervisor() as supervisor:
                built = build(command.options, supervisor)
            serve(*built, command.port)
