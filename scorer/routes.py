"""Which path answers what."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from . import openapi
from .decode import Decoder
from .encode import dump
from .life import Life
from .metadata import describe
from .metrics import Metrics
from .predictor.protocol import Predictor
from .protocols import v2
from .protocols.azure import Azure
from .protocols.columnar import FORMS, has_pyarrow
from .protocols.mlflow import NPY, MLflow
from .protocols.names import Names
from .protocols.native import Native
from .protocols.v1 import V1
from .protocols.v2 import V2
from .resources.fixed import Fixed, Plain
from .resources.health import Health, Ready
from .resources.metrics import Exposition
from .resources.notebooks import Notebooks, NotebooksWithoutSlash
from .resources.page import Assets, Index
from .resources.scoring import OfModel, Scorer, Scoring
from .service import Service
from .settings import Settings
from .turns import Turns

Routes = dict[str, object]

_GROWTH = 2
"""How many times its greatest length a table may have when it is unpacked."""

_PROBES = ("/healthz", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready")


def probes(settings: Settings) -> tuple[str, ...]:
    """Return the paths that tell nothing but that the service lives, or takes requests."""
    return _PROBES if settings.health_route is None else (*_PROBES, settings.health_route)


def _always_open(settings: Settings) -> tuple[str, ...]:
    paths = (*probes(settings), "/metrics") if settings.has_open_metrics else probes(settings)
    # Predictions are for who has the token, at whatever path a platform wants them.
    return tuple(path for path in paths if path != settings.predict_route)


def open_paths(service: Service, settings: Settings, found: Routes) -> list[str]:
    """Return the paths that are answered without a token, where one is set; `found` are all."""
    paths = [*_always_open(settings)]
    if service.page is not None:
        # What the page loads holds nothing of the model; a route of its own below it may.
        paths += [path for file in service.page.assets if (path := f"/ui/{file}") not in found]
    return paths


def routes(service: Service, predictor: Predictor, metrics: Metrics, settings: Settings, life: Life) -> Routes:
    """Return the resource of each path; paths with a slash at the end besides have to be added by the caller."""
    scorer = Scorer(
        predictor=predictor,
        turns=Turns(),
        beside=ThreadPoolExecutor(1, thread_name_prefix="decode"),
        max_body_bytes=settings.max_body_bytes,
        metrics=metrics,
    )
    decoder = Decoder(service.model.input, is_strict=settings.is_strict, max_rows=settings.max_rows, packs=True)
    name, *aliases = settings.model_names or (service.manifest.name,)
    names = Names(name=name, aliases=frozenset(aliases), version=service.manifest.version)
    can_unpack = has_pyarrow()
    found: Routes = {
        "/predict": Scoring(Native(service.model, decoder), scorer),
        "/metrics": Exposition(metrics, life),
        "/metadata": Fixed(dump(describe(service))),
        "/openapi.json": Fixed(dump(_description(service, settings, names, can_unpack=can_unpack))),
        "/healthz": Health({"status": "ok"}),
        "/readyz": Ready(life),
        **_of_kserve(service, decoder, names, scorer, life),
        **_of_mlflow(service, decoder, scorer, can_unpack=can_unpack),
        "/score": Scoring(Azure(decoder), scorer),
    }
    # Who sets these is Vertex AI, and whatever else has the path isn't asked for there.
    if settings.predict_route is not None:
        found[settings.predict_route] = Scoring(V1(names, decoder), scorer)
    if settings.health_route is not None:
        found[settings.health_route] = Ready(life)
    if service.published is not None:
        found["/notebooks/"] = found["/notebooks/{file}"] = Notebooks(service.published)
        found["/notebooks"] = NotebooksWithoutSlash()
    listed = [path for path in found if path not in ("/notebooks", "/notebooks/{file}")]
    # By its status clients of KServe's first protocol tell that the server lives.
    index = {"name": name, "nachlass": service.manifest.nachlass_version, "status": "alive", "routes": listed}
    if service.page is not None:
        found["/ui/{file}"] = Assets(service.page)
    found.setdefault("/", Fixed(dump(index)) if service.page is None else Index(dump(index), service.page))
    return found


def _description(service: Service, settings: Settings, names: Names, *, can_unpack: bool) -> openapi.Document:
    chosen = {"predict": settings.predict_route, "health": settings.health_route}
    found = openapi.document(
        service.manifest,
        names,
        is_strict=settings.is_strict,
        has_notebooks=service.published is not None,
        binary=(NPY, *(FORMS if can_unpack else ())),
        routes={key: path for key, path in chosen.items() if path is not None},
    )
    if not settings.tokens:
        return found
    return openapi.guarded(found, open_paths=_always_open(settings), predict_route=settings.predict_route)


def _of_kserve(service: Service, decoder: Decoder, names: Names, scorer: Scorer, life: Life) -> Routes:
    first = V1(names, decoder)
    second = V2(service.model, decoder, names)
    infer = Scoring(second, scorer, headers=(v2.HEADER_LENGTH,))
    described = OfModel(dump(v2.metadata(service.model, names)), names.require, second)
    ready = OfModel(dump({"name": names.name, "ready": True}), names.require, second)
    server = {"name": "nachlass", "version": service.manifest.nachlass_version, "extensions": ["binary_tensor_data"]}
    model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
    return {
        "/v1/models": Fixed(dump({"models": [names.name]})),
        "/v1/models/{model}": OfModel(dump({"name": names.name, "ready": True}), names.require, first),
        "/v1/models/{model}:predict": Scoring(first, scorer),
        "/v2": Fixed(dump(server)),
        "/v2/health/live": Health({"live": True}),
        "/v2/health/ready": Ready(life, key="ready"),
        model: described,
        version: described,
        f"{model}/ready": ready,
        f"{version}/ready": ready,
        f"{model}/infer": infer,
        f"{version}/infer": infer,
    }


def _of_mlflow(service: Service, decoder: Decoder, scorer: Scorer, *, can_unpack: bool) -> Routes:
    most = _GROWTH * scorer.max_body_bytes
    protocol = MLflow(service.model.input, decoder, has_pyarrow=can_unpack, max_bytes=most)
    return {
        "/invocations": Scoring(protocol, scorer),
        "/ping": Plain(b"\n"),
        "/health": Plain(b"\n"),
        "/version": Plain(service.manifest.nachlass_version.encode()),
    }
