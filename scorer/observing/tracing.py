"""What OpenTelemetry's variables ask for.

Source: OpenTelemetry specification, "General SDK Configuration" and "OpenTelemetry Protocol Exporter".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"


class TracingError(ValueError):
    """A variable of OpenTelemetry's asks for what the service can't do; the message says what to set instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tracing:
    """Where spans go, and of which traces: `ratio` of those that begin here, and as its caller says of all others."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    service_name: str | None = None
    resource: Mapping[str, str] = field(default_factory=dict)
    ratio: float = 1.0
    follows_parent: bool = True


def from_environ(environ: Mapping[str, str]) -> Tracing | None:
    """Return what OpenTelemetry's variables ask for, None if they name no endpoint.

    Raises:
        TracingError: They ask for what the service can't do.
    """
    url = environ.get(_TRACES_ENDPOINT, "").strip()
    if not url and environ.get(_ENDPOINT, "").strip():
        url = environ[_ENDPOINT].strip().rstrip("/") + "/v1/traces"
    is_off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if not url or is_off or environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise TracingError(
            f"{_ENDPOINT} has to be the address of an OTLP/HTTP receiver, such as http://collector:4318."
        )
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    if protocol.strip().lower() not in ("", "http/json", "http/protobuf"):
        raise TracingError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not spoken here. Unset it, and name the port for HTTP (4318)."
        )
    ratio, follows_parent = _sampler(environ)
    resource = _pairs(environ, "OTEL_RESOURCE_ATTRIBUTES")
    headers = _pairs(environ, "OTEL_EXPORTER_OTLP_TRACES_HEADERS") or _pairs(environ, "OTEL_EXPORTER_OTLP_HEADERS")
    return Tracing(
        url=url,
        headers=headers,
        service_name=environ.get("OTEL_SERVICE_NAME", "").strip() or resource.get("service.name"),
        resource=resource,
        ratio=ratio,
        follows_parent=follows_parent,
    )


def _sampler(environ: Mapping[str, str]) -> tuple[float, bool]:
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    kind = name.removeprefix("parentbased_")
    if kind not in ("always_on", "always_off", "traceidratio"):
        raise TracingError(
            f"OTEL_TRACES_SAMPLER={name} is none of always_on, always_off and traceidratio, "
            "with or without parentbased_ before it."
        )
    if kind != "traceidratio":
        return float(kind == "always_on"), kind != name
    text = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip() or "1"
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise TracingError(f"OTEL_TRACES_SAMPLER_ARG={text} is not a number from 0 to 1.")
    return ratio, kind != name


def _pairs(environ: Mapping[str, str], name: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in environ.get(name, "").split(",") if part.strip())
    found = {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}
    if any(not key or "\n" in key + value or "\r" in key + value for key, value in found.items()):
        raise TracingError(f"{name} is not a list such as key1=value1,key2=value2.")
    return found
