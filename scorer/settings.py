"""The service's settings: read from the environment once, checked, and frozen."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from .observing import tracing
from .observing.tracing import Tracing, TracingError
from .tokens import TokenError, find_tokens

DEFAULT_PORT = 8080
DEFAULT_HOST = "0.0.0.0"  # noqa: S104 - a container's port is published by its platform; NACHLASS_HOST narrows it.
DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024
DEFAULT_MAX_ROWS = 100_000
DEFAULT_PREDICT_TIMEOUT_S = 30
DEFAULT_DRAIN_S = 5
DEFAULT_QUEUE = 1024
DEFAULT_METRICS_PREFIX = "nachlass"
MAX_WORKERS = 256

Batching = Literal["auto", "on", "exact"]
"""Whether requests share calls of `predict`: where the build found it sound; also with estimators of the author's own
that the proof found no difference with; never."""

# What Prometheus allows in a metric name.
_METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


_ROUTE = re.compile(r"/|(?:/[A-Za-z0-9._~:@!$&'()*+,;=-]+)+/?")


_ON = ("1", "true", "on")
_OFF = ("0", "false", "off")
T = TypeVar("T")


class SettingsError(ValueError):
    """An environment variable holds a value that the service can't use; the message says what to set instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How one `web` process serves."""

    manifest: Path
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    workers: int = 1
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    max_rows: int = DEFAULT_MAX_ROWS
    predict_timeout_s: int = DEFAULT_PREDICT_TIMEOUT_S
    drain_s: int = DEFAULT_DRAIN_S
    queue: int = DEFAULT_QUEUE
    batch: Batching = "auto"
    metrics_prefix: str = DEFAULT_METRICS_PREFIX
    metrics_buckets: tuple[float, ...] | None = None
    published_notebooks: Path | None = None
    is_strict: bool = False
    model_names: tuple[str, ...] = ()
    predict_route: str | None = None
    health_route: str | None = None
    tokens: tuple[bytes, ...] = field(default=(), repr=False)
    has_open_metrics: bool = False
    has_access_log: bool = False
    tracing: Tracing | None = None
    has_page: bool = True


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables.

    Raises:
        SettingsError: A variable is missing or its value can't be used.
    """
    manifest = environ.get("NACHLASS_MANIFEST", "")
    if not manifest:
        raise SettingsError("NACHLASS_MANIFEST is not set. Set it to the path of the build's manifest.json.")
    return Settings(
        manifest=Path(manifest),
        host=environ.get("NACHLASS_HOST", "").strip() or DEFAULT_HOST,
        port=_port(environ),
        workers=_integer(environ, "NACHLASS_WORKERS", default=1, low=1, high=MAX_WORKERS),
        max_body_bytes=_integer(
            environ, "NACHLASS_MAX_BODY_BYTES", default=DEFAULT_MAX_BODY_BYTES, low=1, high=2**31 - 1
        ),
        max_rows=_integer(environ, "NACHLASS_MAX_ROWS", default=DEFAULT_MAX_ROWS, low=1, high=2**31 - 1),
        predict_timeout_s=_integer(
            environ, "NACHLASS_PREDICT_TIMEOUT", default=DEFAULT_PREDICT_TIMEOUT_S, low=1, high=86400
        ),
        drain_s=_integer(environ, "NACHLASS_DRAIN", default=DEFAULT_DRAIN_S, low=0, high=3600),
        queue=_integer(environ, "NACHLASS_QUEUE", default=DEFAULT_QUEUE, low=1, high=1_000_000),
        batch=_batching(environ),
        metrics_prefix=_metrics_prefix(environ),
        metrics_buckets=_buckets(environ),
        published_notebooks=Path(published) if (published := environ.get("NACHLASS_PUBLISHED_NOTEBOOKS")) else None,
        is_strict=_switch(environ, "NACHLASS_STRICT"),
        model_names=_names(environ),
        predict_route=_route(environ, "AIP_PREDICT_ROUTE"),
        health_route=_route(environ, "AIP_HEALTH_ROUTE"),
        tokens=_told(find_tokens, environ),
        has_open_metrics=not _switch(environ, "NACHLASS_METRICS_AUTH", default=True),
        has_access_log=_switch(environ, "NACHLASS_ACCESS_LOG"),
        tracing=_told(tracing.from_environ, environ),
        has_page=_switch(environ, "NACHLASS_UI", default=True),
    )


def _batching(environ: Mapping[str, str]) -> Batching:
    text = environ.get("NACHLASS_BATCH", "").strip().lower() or "auto"
    for known in get_args(Batching):
        if text == known:
            return cast(Batching, known)
    raise SettingsError(f"NACHLASS_BATCH={text!r} is none of auto, on and exact. Unset it for auto.")


def _port(environ: Mapping[str, str]) -> int:
    # Vertex AI's name for it; PORT is everybody else's.
    name = "PORT" if environ.get("PORT", "").strip() else "AIP_HTTP_PORT"
    return _integer(environ, name, default=DEFAULT_PORT, low=1, high=65535)


def _names(environ: Mapping[str, str]) -> tuple[str, ...]:
    text = environ.get("NACHLASS_MODEL_NAME", "").strip()
    if not text:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if any(not name or "/" in name for name in names):
        raise SettingsError(
            f"NACHLASS_MODEL_NAME={text!r} has to be a name, or names separated by commas, without '/'. "
            "For instance NACHLASS_MODEL_NAME=spam."
        )
    return names


def _route(environ: Mapping[str, str], name: str) -> str | None:
    text = environ.get(name, "").strip()
    if text and not _ROUTE.fullmatch(text):
        raise SettingsError(f"{name}={text!r} is not a path such as /predict. Unset it, or correct it.")
    return text.rstrip("/") or text or None


def _switch(environ: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    text = environ.get(name, "").strip().lower()
    if text not in ("", *_ON, *_OFF):
        raise SettingsError(f"{name}={text!r} is neither on nor off. Set {name} to 1 or to 0, or unset it.")
    return text in _ON if text else default


def _told(find: Callable[[Mapping[str, str]], T], environ: Mapping[str, str]) -> T:
    """Let a module of its own find what only it knows."""
    try:
        return find(environ)
    except (TokenError, TracingError) as error:
        raise SettingsError(str(error)) from error


def _integer(environ: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    # int() would also take '1_000' and digits of other scripts.
    value = int(text) if re.fullmatch(r"[0-9]{1,10}", text) else -1
    if not low <= value <= high:
        raise SettingsError(
            f"{name}={text!r} is not a whole number from {low} to {high}. Set {name}={default}, or unset it."
        )
    return value


def _metrics_prefix(environ: Mapping[str, str]) -> str:
    for name in ("NACHLASS_METRICS_PREFIX", "S2I_APP_METRICS_PREFIX"):
        prefix = environ.get(name, "").strip()
        if prefix:
            if not _METRIC_NAME.fullmatch(prefix):
                raise SettingsError(
                    f"{name}={prefix!r} can't start the name of a Prometheus metric: use letters, digits, '_' and ':', "
                    f"and no digit first. For instance {name}=spam_filter."
                )
            return prefix
    return DEFAULT_METRICS_PREFIX


def _buckets(environ: Mapping[str, str]) -> tuple[float, ...] | None:
    text = environ.get("NACHLASS_METRICS_BUCKETS", "").strip()
    if not text:
        return None
    try:
        buckets = tuple(float(bound) for bound in text.split(","))
    except ValueError:
        buckets = ()
    # NaN fails the comparison with itself, so it is caught here as well.
    if (
        not buckets
        or math.isinf(buckets[0])
        or any(not low < high for low, high in zip((float("-inf"), *buckets), buckets, strict=False))
    ):
        raise SettingsError(
            f"NACHLASS_METRICS_BUCKETS={text!r} is not a list of ascending numbers. "
            "For instance NACHLASS_METRICS_BUCKETS=10,100,1000."
        )
    return buckets
