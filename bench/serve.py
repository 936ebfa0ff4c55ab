"""Measure the service: `make bench-serve [ARGS="--models iris --peers fastapi mlserver --only throughput latency"]`.

All servers run within one run on one machine. The figures in docs/benchmarks.md come from here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

from bench.report import progress, section
from bench.serving import accesslog, batch, eventloop, fairness, latency, load, ready, tables, throughput, workers
from bench.serving.built import Built, build
from bench.serving.cores import ONE_EACH, available
from bench.serving.load import LoadError
from bench.serving.measured import Measured
from bench.serving.models import MODELS
from bench.serving.pipeline import WrongAnswerError, in_process, verify
from bench.serving.running import Running, StartError, running
from bench.serving.servers import DEFAULT_PEERS, PEERS, Server, nachlass

PARTS: dict[str, Callable[[Measured], None]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "accesslog": accesslog.measure,
    "eventloop": eventloop.measure,
    "batch": batch.measure,
    "fairness": fairness.measure,
    "ready": ready.measure,
    "workers": workers.measure,
    "matrix": tables.matrix,
    "openloop": tables.open_loop,
    "memory": tables.memory,
}
"""In the order in which they are measured."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alternations", type=int, default=5, help="pairs that count (default: 5)")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), help="measure these models")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=DEFAULT_PEERS, help="measure beside these")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts")
    arguments = parser.parse_args()
    load.require_tools()
    if available() < 2:
        raise SystemExit("One core serves and another one makes the load, and there is only one here.")
    started = time.monotonic()
    peers = [PEERS[name] for name in arguments.peers]
    for peer in peers:
        peer.install()
    models = [build(MODELS[name]()) for name in arguments.models]
    for model in models:
        _measure(model, peers, arguments)
    print(f"\nAll of it took {time.monotonic() - started:.0f} s")


def _measure(built: Built, peers: Sequence[Server], arguments: argparse.Namespace) -> None:
    section(f"{built.model.name}: {built.model.title}")
    with ExitStack() as stack:
        pipeline = stack.enter_context(in_process(built))
        expected = pipeline.predictions()
        measured = Measured(
            model=built.model.name,
            ours=_start(nachlass(), built, expected, stack),
            peers=dict(_start_peers(peers, built, expected, stack)),
            pipeline=pipeline,
            alternations=arguments.alternations,
            seconds=arguments.seconds,
        )
        for name, measure in PARTS.items():
            if name in arguments.only:
                measure(measured)


def _start_peers(
    peers: Sequence[Server], built: Built, expected: Sequence[object], stack: ExitStack
) -> Iterator[tuple[str, Running]]:
    for peer in peers:
        try:
            yield peer.name, _start(peer, built, expected, stack)
        except (StartError, WrongAnswerError, LoadError, OSError) as error:  # HTTP statuses are OSErrors.
            print(f"{peer.name}: NOT MEASURED, {error}", flush=True)


def _start(server: Server, built: Built, expected: Sequence[object], stack: ExitStack) -> Running:
    progress(f"starting {server.name}")
    started = stack.enter_context(running(server, built))
    verify(started, expected)
    load.warm_up(started, started.bodies(1), ONE_EACH)
    return started


if __name__ == "__main__":
    main()
