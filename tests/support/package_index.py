"""A package index that wants a password, behind a proxy that wants one as well, as companies have them.

One server plays the proxy, the index and a server of data, whose names nobody but the proxy knows. Nobody signed its
certificate, so that only who was told of it gets through.

Sources: RFC 9112 §3.2.2 (absolute-form), RFC 9110 §9.3.6 (CONNECT), RFC 7617 (Basic), PEP 503.
"""

from __future__ import annotations

import base64
import contextlib
import re
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.support.docker import docker
from tests.support.pack import BUILDER

INDEX_HOST = "packages.test"
DATA_HOST = "data.test"
CERTIFICATE = "/certs/company.pem"
"""Where containers find the certificate."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """A name and a password."""

    name: str
    password: str

    @property
    def header(self) -> str:
        """Return what a client sends."""
        return "Basic " + base64.b64encode(f"{self.name}:{self.password}".encode()).decode()

    @property
    def in_url(self) -> str:
        """Return it as it stands in front of a host."""
        return f"{quote(self.name, safe='')}:{quote(self.password, safe='')}@"


@dataclass(frozen=True, kw_only=True)
class Company:
    """A running network of one server; `seen` is what was asked for, as addresses."""

    port: int
    index: Login
    proxy: Login
    certificate: Path
    seen: list[str] = field(default_factory=list)

    @property
    def proxy_url(self) -> str:
        """Return the value of HTTPS_PROXY and HTTP_PROXY."""
        return f"http://{self.proxy.in_url}127.0.0.1:{self.port}"

    @property
    def index_url(self) -> str:
        """Return the value of PIP_INDEX_URL."""
        return f"https://{self.index.in_url}{INDEX_HOST}/simple/"

    @property
    def mounts(self) -> tuple[str, str]:
        """Return the options that show the certificate to a container."""
        return ("--volume", f"{self.certificate}:{CERTIFICATE}:ro")


@contextlib.contextmanager
def company(root: Path, wheels: Path, data: Mapping[str, str], *, index: Login, proxy: Login) -> Iterator[Company]:
    """Serve `wheels` as an index and `data` (path: text) to all who come by the proxy, until the block is left."""
    _make_certificate(root)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(root / "company.pem", root / "company.key")
    seen: list[str] = []
    files = {wheel.name: wheel for wheel in wheels.glob("*.whl")}
    handler = partial(
        _Handler, _Site(tls=context, wheels=files, texts=data, index=index.header, proxy=proxy.header, seen=seen)
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield Company(
                port=server.server_port, index=index, proxy=proxy, certificate=root / "company.pem", seen=seen
            )
        finally:
            server.shutdown()
            serving.join()


def _make_certificate(directory: Path) -> None:
    """Make `company.pem` and its key, with the builder's own OpenSSL."""
    directory.mkdir(parents=True, exist_ok=True)
    names = f"subjectAltName=DNS:{INDEX_HOST},DNS:{DATA_HOST}"
    docker(
        *(
            "run",
            "--rm",
            "--user",
            "0",
            "--network",
            "none",
            "--volume",
            f"{directory}:/out",
            "--entrypoint",
            "openssl",
        ),
        *(BUILDER, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=company"),
        *("-addext", names, "-keyout", "/out/company.key", "-out", "/out/company.pem"),
    )
    (directory / "company.pem").chmod(0o644)


@dataclass(frozen=True, kw_only=True)
class _Site:
    """What there is, and the headers of those who may have it."""

    tls: ssl.SSLContext
    wheels: Mapping[str, Path]
    texts: Mapping[str, str]
    index: str
    proxy: str
    seen: list[str]


class _Handler(BaseHTTPRequestHandler):
    """One connection: the proxy's, and in it, after CONNECT, that of the host asked for."""

    protocol_version = "HTTP/1.1"

    def __init__(self, site: _Site, *arguments: Any) -> None:
        """Serve the connection to its end, as the base class does here."""
        self._site = site
        self._host = ""
        super().__init__(*arguments)

    def do_CONNECT(self) -> None:
        """Open a tunnel, and be at its other end."""
        if self.headers["Proxy-Authorization"] != self._site.proxy:
            self._send(407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'})
            return
        self.send_response(200)
        self.end_headers()
        self._host = self.path.split(":")[0]
        self.rfile.close()
        self.wfile.close()
        self.connection = self._site.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb")
        self.close_connection = False  # pip asks for the tunnel by HTTP/1.0.

    def do_GET(self) -> None:
        """Answer as the host that was asked for, by the tunnel or, without encryption, by the proxy itself."""
        address = urlsplit(self.path)
        path = unquote(address.path)
        if not self._host:
            if self.headers["Proxy-Authorization"] != self._site.proxy:
                self._send(407, b"", {"Proxy-Authenticate": 'Basic realm="proxy"'})
                return
            self._site.seen.append(f"{address.scheme}://{address.hostname}{path}")
            is_data = address.hostname == DATA_HOST and path in self._site.texts
            self._send(200 if is_data else 404, self._site.texts[path].encode() if is_data else b"")
            return
        self._site.seen.append(f"{self._host}{path}")
        if self._host == DATA_HOST and path in self._site.texts:
            self._send(200, self._site.texts[path].encode())
        elif self._host != INDEX_HOST:
            self._send(404, b"")
        elif self.headers["Authorization"] != self._site.index:
            self._send(401, b"", {"WWW-Authenticate": 'Basic realm="index"'})
        elif path.startswith("/files/"):
            self._send(200, self._site.wheels[path.removeprefix("/files/")].read_bytes())
        else:
            self._send_page(path.removeprefix("/simple/").strip("/"))

    def finish(self) -> None:
        """Close the tunnel, too: the server knows of the connection under it only."""
        super().finish()
        self.connection.close()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        """Keep it out of the tests' output."""

    def _send_page(self, project: str) -> None:
        links = [
            f'<a href="/files/{quote(name)}">{name}</a>'
            for name in self._site.wheels
            if re.sub(r"[-_.]+", "-", name.split("-")[0]).lower() == project
        ]
        page = f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"
        self._send(200 if links else 404, page.encode(), {"Content-Type": "text/html"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
