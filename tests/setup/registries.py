"""A package index and an npm registry on loopback, as the configured ones will be on some later day.

They pass everything on, and add newer releases of every package. What a lock names is found as ever; what
is left to "the newest" takes one of the additions, and fails: they are files that cannot be installed, and
:attr:`Registries.newest_asked_for` names those that somebody wanted.

Standard library only. The index speaks PEP 503 (peps.python.org/pep-0503), the registry npm's package metadata
(github.com/npm/registry/blob/main/docs/responses/package-metadata.md).
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from html.parser import HTMLParser
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urljoin, urlsplit

NEWEST = b"a release of some later day"
"""The content of every file that is added: neither an archive of Python's nor of npm's."""

TRIES = 5

ABBREVIATED = "application/vnd.npm.install-v1+json"


def newer(version: str) -> list[str]:
    """Versions above ``version``: the newest of all, of its major and of its minor series.

    >>> newer("2.8.7")
    ['9999.0.0', '2.9999.0', '2.8.9999']
    """
    numbers = [part for part in version.split("-")[0].split("+")[0].split(".") if part.isdigit()]
    major, minor = [*numbers, "0", "0"][:2]
    return ["9999.0.0", f"{major}.9999.0", f"{major}.{minor}.9999"]


def _newer_than_all(versions: Iterable[str]) -> list[str]:
    return sorted({new for version in versions for new in newer(version)})


class _Anchors(HTMLParser):
    """The files of a PEP 503 page: text and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.files.append({name: value or "" for name, value in attrs})


class Registries:
    """Both servers under one address; a context manager.

    ``python_index`` and ``npm_registry`` are the addresses of the real ones. Files are kept in ``folder``, so that a
    second installation loads nothing again.
    """

    def __init__(
        self,
        folder: Path,
        python_index: str,
        npm_registry: str,
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._folder, self._python, self._npm = folder, python_index.rstrip("/"), npm_registry.rstrip("/")
        self._context = context
        self.newest_asked_for: list[str] = []
        self.failures: list[str] = []
        self.bytes_loaded = 0
        self._guard = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.python_index, self.npm_registry = f"{self.address}/simple/", f"{self.address}/npm/"

    def __enter__(self) -> Registries:
        self._folder.mkdir(parents=True, exist_ok=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[bytes, str]:
        """The body and content type for a path of ours.

        :raises urllib.error.HTTPError: as the real one answered.
        """
        kind, _, rest = urlsplit(path).path.lstrip("/").partition("/")
        if kind == "simple":
            return self._project(rest.strip("/")), "text/html; charset=utf-8"
        if kind == "npm":
            return self._packument(unquote(rest)), "application/json"
        if kind == "file":
            encoded, _, name = unquote(rest).partition("/")
            url = base64.urlsafe_b64decode(encoded).decode()
            suffix = ".metadata" if name.endswith(".metadata") else ""  # PEP 658
            return self._load(url + suffix), "application/octet-stream"
        if kind == "newest":
            with self._guard:
                self.newest_asked_for.append(unquote(rest))
            return NEWEST, "application/octet-stream"
        raise urllib.error.HTTPError(path, HTTPStatus.NOT_FOUND, "Not Found", None, None)  # type: ignore[arg-type]

    def _project(self, name: str) -> bytes:
        page_url = f"{self._python}/{name}/"
        anchors = _Anchors()
        anchors.feed(self._load(page_url, keep=False, accept="text/html").decode())
        lines, versions = [], {"0"}
        for file in anchors.files:
            url, _, fragment = urljoin(page_url, file.pop("href")).partition("#")
            file_name = urlsplit(url).path.rpartition("/")[2]
            if file_name.endswith(".whl"):
                versions.add(file_name.split("-")[1])
            href = f"{self._ours(url)}{'#' if fragment else ''}{fragment}"
            attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in file.items())
            lines.append(f'<a href="{html.escape(href)}"{attributes}>{html.escape(unquote(file_name))}</a>')
        digest = hashlib.sha256(NEWEST).hexdigest()
        for version in _newer_than_all(versions):
            file_name = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
            lines.append(f'<a href="{self.address}/newest/{file_name}#sha256={digest}">{file_name}</a>')
        return "<!DOCTYPE html>\n<html><body>\n{}\n</body></html>\n".format("<br>\n".join(lines)).encode()

    def _packument(self, name: str) -> bytes:
        about = json.loads(self._load(f"{self._npm}/{quote(name, safe='@')}", keep=False, accept=ABBREVIATED))
        for release in about["versions"].values():
            release["dist"]["tarball"] = self._ours(release["dist"]["tarball"])
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(NEWEST).digest()).decode()
        for version in _newer_than_all(about["versions"]):
            tarball = f"{self.address}/newest/{quote(name, safe='@')}-{version}.tgz"
            dist = {"tarball": tarball, "integrity": integrity}
            about["versions"][version] = {"name": name, "version": version, "dist": dist}
        about["dist-tags"]["latest"] = "9999.0.0"
        return json.dumps(about).encode()

    def _ours(self, url: str) -> str:
        encoded = base64.urlsafe_b64encode(url.encode()).decode()
        return f"{self.address}/file/{encoded}/{urlsplit(url).path.rpartition('/')[2]}"

    def _load(self, url: str, *, keep: bool = True, accept: str = "*/*") -> bytes:
        kept = self._folder / hashlib.sha256(url.encode()).hexdigest()
        if keep and kept.exists():
            return kept.read_bytes()
        address = urlsplit(url)
        headers = {"Accept": accept, "User-Agent": "almanac-check-setup"}
        if address.username:
            login = f"{unquote(address.username)}:{unquote(address.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
            url = address._replace(netloc=address.netloc.rpartition("@")[2]).geturl()
        body = self._fetch(urllib.request.Request(url, headers=headers))
        with self._guard:
            self.bytes_loaded += len(body)
        if keep:
            half = kept.with_suffix(f".{threading.get_ident()}")
            half.write_bytes(body)
            half.replace(kept)
        return body

    def _fetch(self, request: urllib.request.Request) -> bytes:
        """Try a few times: the real registries are far away, and many files are wanted at once."""
        for left in reversed(range(TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=60, context=self._context) as answer:
                    body: bytes = answer.read()
                    return body
            except (OSError, HTTPException) as failed:
                refused = isinstance(failed, urllib.error.HTTPError) and failed.code in {401, 403, 404, 410}
                if refused or not left:
                    raise
                time.sleep(TRIES - left)
        raise AssertionError

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registries = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    body, kind = registries.answer(self.path)
                    status = 200
                except urllib.error.HTTPError as refused:
                    body, kind, status = str(refused).encode(), "text/plain", refused.code
                except (OSError, HTTPException, ValueError, KeyError) as failed:
                    registries.failures.append(f"{self.path}: {type(failed).__name__}: {failed}")
                    body, kind, status = registries.failures[-1].encode(), "text/plain", 502
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def do_POST(self) -> None:
                """npm's audit: there is none here."""
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

        return Handler
