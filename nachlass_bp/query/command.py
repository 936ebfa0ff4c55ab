"""The boundary of a question: words in, text or JSON out, errors on stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nachlass_bp import context as build_context
from nachlass_bp.cache.looking import ReadOnlyStore
from nachlass_bp.context import BuildContext
from nachlass_bp.errors import BuildpackError, internal_error
from nachlass_bp.layers import stage_store, tools
from nachlass_bp.output import Output
from nachlass_bp.query import listing, pruning

ACTIONS = ("ls", "explain", "prune")


def main(words: Sequence[str]) -> int:
    """Answer the question that the words ask; return the exit status."""
    values = _parser().parse_args(words)
    try:
        _answer(build_context.from_environ(os.environ, [], Path.cwd()), values, Output())
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read us has seen enough; Python would try once more to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BuildpackError as foreseen:
        told = Output(sys.stderr)
        told.advise(os.environ.get(build_context.REPOSITORY))
        told.error(foreseen)
        return 1
    except Exception as bug:  # noqa: BLE001 - the one boundary
        Output(sys.stderr).error(internal_error(bug, state="Builds and what they kept are not affected."))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nachlass_bp cache", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", required=True)
    ls, explain, prune = (actions.add_parser(name, allow_abbrev=False) for name in ACTIONS)
    for each in (ls, explain):
        each.add_argument("--json", action="store_true")
    explain.add_argument("--python", type=Path, default=Path(sys.executable), help="the next build's Python")
    explain.add_argument("notebook", nargs="?")
    prune.add_argument("--all", action="store_true")
    prune.add_argument("--keep", type=int, default=0)
    return parser


def _answer(context: BuildContext, values: argparse.Namespace, output: Output) -> None:
    root = stage_store.layer(context).path
    if values.action == "ls":
        store = ReadOnlyStore(root)
        if values.json:
            output.document(json.dumps(listing.facts(store), indent=2))
        else:
            listing.tell(store, output)
    elif values.action == "explain":
        _explain(context, values, output)
    else:
        pruning.prune(root, output, keep=values.keep, everything=values.all)


def _explain(context: BuildContext, values: argparse.Namespace, output: Output) -> None:
    tools.use(context)
    # Importable only now that the tools are there.
    from nachlass_bp.query import foresight, telling  # noqa: PLC0415

    outlook = foresight.foresee(context, values.python, output, only=values.notebook)
    if values.json:
        output.document(json.dumps(telling.facts(outlook), indent=2))
    else:
        telling.tell(outlook, output)
