"""The servers: how each is started, when it is ready, how it is asked, and what it answers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import environments
from bench.command import NACHLASS, environment
from bench.serving.built import Built
from bench.serving.models import Model, Row
from nachlass_cli.serve import free_port
from tests.support.environment import IMAGE_PATH

_HERE = Path(__file__).parent
_PEERS = _HERE / "peers"
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_V2_TYPES = {"float": "FP64", "integer": "INT64", "text": "BYTES", "boolean": "BOOL"}


@dataclass(frozen=True, kw_only=True)
class Start:
    """With what a server is started, and a directory that is its own."""

    built: Built
    port: int
    directory: Path


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What starts it."""

    command: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server of one model. `ready` and `path` are where to ask whether it is ready, and for predictions."""

    name: str
    ready: str
    path: str
    body: Callable[[Model, Sequence[Row]], Any]
    values: Callable[[Any], list[Any]]
    prepare: Callable[[Start], Prepared]
    install: Callable[[], object] = field(default=lambda: None)
    """Make its environment, so that no measurement has to wait for that."""


def nachlass(**variables: str) -> Server:
    """Return our own service, as `nachlass serve` starts it, with these variables besides."""

    def prepare(start: Start) -> Prepared:
        command = [*NACHLASS, "serve", str(start.built.output), "--port", str(start.port)]
        # Nobody who sends requests is there when it ends.
        return Prepared(command=command, env={**environment(), "NACHLASS_DRAIN": "0", **variables})

    return Server(
        name="nachlass",
        ready="/readyz",
        path="/predict",
        body=lambda _model, rows: rows,
        values=_itself,
        prepare=prepare,
    )


def _peer(
    name: str,
    command: Callable[[Path, Start], Sequence[str]],
    *,
    ready: str,
    path: str = "/predict",
    body: Callable[[Model, Sequence[Row]], Any] = lambda _model, rows: {"rows": rows},
    values: Callable[[Any], list[Any]] = lambda answer: answer["predictions"],
) -> Server:
    """Return a peer with an environment of its own; `command` is given its Python."""

    def python() -> Path:
        return python_of(name)

    def prepare(start: Start) -> Prepared:
        env = _peer_environment(python(), start)
        return Prepared(command=[str(python()), *command(python(), start)], env=env)

    return Server(name=name, ready=ready, path=path, body=body, values=values, prepare=prepare, install=python)


def python_of(peer: str) -> Path:
    """Return the Python of a peer's environment, made now if it was not there."""
    return environments.python(peer, _HERE / f"requirements/{peer}.txt")


def _peer_environment(python: Path, start: Start) -> dict[str, str]:
    return {
        "PATH": f"{python.parent}:{IMAGE_PATH}",
        "HOME": str(start.directory),
        "LC_ALL": "C.UTF-8",
        **dict.fromkeys(_THREADS, "1"),  # As our service has it, and as is best for a core.
        "BENCH_PIPELINE": str(start.built.pipeline),
        "BENCH_DESCRIPTION": str(start.built.description),
        "BENCH_PORT": str(start.port),
        "PYTHONPATH": str(_PEERS),
    }


def _with(server: Server, name: str, **variables: str) -> Server:
    """Return a variant of a peer, which these variables make."""

    def prepare(start: Start) -> Prepared:
        prepared = server.prepare(start)
        return replace(prepared, env={**prepared.env, **variables})

    return replace(server, name=name, prepare=prepare)


def reader() -> Server:
    """Return a server that reads requests as ours have them, on what ours stands on, and predicts nothing."""

    def prepare(start: Start) -> Prepared:
        command = [sys.executable, str(_PEERS / "reader_service.py")]
        return Prepared(command=command, env={**environment(), "BENCH_PORT": str(start.port)})

    return replace(nachlass(), name="reader", ready="/", prepare=prepare)


def _itself(answer: list[Any]) -> list[Any]:
    return answer


def _mlserver(_python: Path, start: Start) -> list[str]:
    settings = {
        "host": "127.0.0.1",
        "http_port": start.port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "debug": False,
        "parallel_workers": 0,  # On one core a second process only costs.
    }
    model = {"name": "model", "implementation": "mlserver_runtime.Runtime"}
    (start.directory / "settings.json").write_text(json.dumps(settings))
    (start.directory / "model-settings.json").write_text(json.dumps(model))
    return ["-c", "from mlserver.cli import main; main()", "start", str(start.directory)]


def _v2(model: Model, rows: Sequence[Row]) -> Any:
    count = len(rows)
    if model.kind == "columns":
        inputs = [
            _tensor(name, [count, 1], _V2_TYPES[kind], [row[name] for row in rows])
            for name, kind in model.columns.items()
        ]
        return {"parameters": {"content_type": "pd"}, "inputs": inputs}
    if model.kind == "texts":
        return {"inputs": [_tensor("rows", [count, 1], "BYTES", rows)]}
    return {"inputs": [_tensor("rows", [count, len(rows[0])], "FP64", [value for row in rows for value in row])]}


def _tensor(name: str, shape: Sequence[int], datatype: str, data: Sequence[Any]) -> Any:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def _bentoml(_python: Path, start: Start) -> list[str]:
    options = ["--host", "127.0.0.1", "--port", str(start.port)]
    return ["-m", "bentoml", "serve", "bentoml_service:Service", "--working-dir", str(_PEERS), *options]


def _mlflow(python: Path, start: Start) -> list[str]:
    model = start.directory / "model"
    save = [python, _PEERS / "mlflow_save.py", model]
    subprocess.run(save, env=_peer_environment(python, start), check=True, capture_output=True)
    options = ["--host", "127.0.0.1", "--port", str(start.port), "--workers", "1", "--env-manager", "local"]
    return ["-m", "mlflow", "models", "serve", "--model-uri", str(model), *options]


def _invocations(model: Model, rows: Sequence[Row]) -> Any:
    if model.kind == "columns":
        names = list(model.columns)
        return {"dataframe_split": {"columns": names, "data": [[row[name] for name in names] for row in rows]}}
    return {"instances": rows}


def _file(name: str) -> Callable[[Path, Start], Sequence[str]]:
    return lambda _python, _start: [str(_PEERS / name)]


_FASTAPI = _peer("fastapi", _file("fastapi_service.py"), ready="/health")
_LITSERVE = _peer("litserve", _file("litserve_service.py"), ready="/health")
_BENTOML = _peer("bentoml", _bentoml, ready="/readyz", values=_itself)
_MLSERVER = _peer(
    "mlserver",
    _mlserver,
    ready="/v2/models/model/ready",
    path="/v2/models/model/infer",
    body=_v2,
    values=lambda answer: answer["outputs"][0]["data"],
)
_MLFLOW = _peer("mlflow", _mlflow, ready="/ping", path="/invocations", body=_invocations)
_BATCH = {"BENCH_BATCH": "64", "BENCH_BATCH_WAIT_S": "0.002"}

PEERS: Mapping[str, Server] = {
    server.name: server
    for server in (
        _FASTAPI,
        _MLSERVER,
        _BENTOML,
        _LITSERVE,
        _MLFLOW,
        _with(_FASTAPI, "fastapi-async", BENCH_ASYNC="1"),
        _with(
            _MLSERVER, "mlserver-batching", MLSERVER_MODEL_MAX_BATCH_SIZE="64", MLSERVER_MODEL_MAX_BATCH_TIME="0.002"
        ),
        _with(_BENTOML, "bentoml-batching", **_BATCH),
        _with(_LITSERVE, "litserve-batching", **_BATCH),
    )
}
"""Those with `batching` collect requests for a call, as their documentation says; by default none does."""
DEFAULT_PEERS = ("fastapi", "mlserver", "bentoml", "litserve", "mlflow")
