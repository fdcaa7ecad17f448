"""Typed addresses: what may be called, where passwords go, and how much an answer may cost."""

from __future__ import annotations

import gzip
import http.server
import ipaddress
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.errors import InvalidInput, ProviderUnavailable
from calendar_app.providers.guard import GuardedClient, guarded_client
from calendar_app.providers.vetted import Lookups, Network, VettedBackend, check_address
from calendar_app.settings import Settings

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::",
    "::1",
    "::7f00:1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::5db8:d822",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
]
PUBLIC = ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
Answer = Callable[[httpx.Request], httpx.Response]


def ok(request: httpx.Request) -> httpx.Response:
    """An answer that says who was asked."""
    return httpx.Response(200, text=str(request.url))


class Raw(httpx.SyncByteStream):
    """A body as it goes over the wire; httpx decompresses others when they are made."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._content), 65_536):
            yield self._content[at : at + 65_536]


def client(
    answer: Answer = ok, *, allowed: str = "", auth: httpx.Auth | None = None, max_bytes: int = 10_000
) -> GuardedClient:
    """A guarded client whose network is ``answer``."""
    return guarded_client(
        Settings(ALLOWED_PRIVATE_HOSTS=allowed),  # type: ignore[call-arg]  # pydantic reads the alias
        timeout=5,
        max_bytes=max_bytes,
        auth=auth,
        transport=httpx.MockTransport(answer),
    )


def dialling(
    addresses: Callable[[str, int], list[str]], *, allowed: str = "", timeout: float = 5
) -> GuardedClient:
    """A guarded client on the real network, whose DNS is ``addresses``."""
    listed = frozenset({allowed} if allowed else ())
    return GuardedClient(
        Network(VettedBackend(listed, addresses)), allowed=listed, timeout=timeout, max_bytes=10_000
    )


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    """A public name whose address is private, in whatever notation, is not dialled."""
    with pytest.raises(InvalidInput, match=r"dav\.example\.com .* private network") as caught:
        dialling(lambda _host, _port: [address]).get("https://dav.example.com/")
    assert caught.value.code == "address_refused"


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_as_it_stands(address: str) -> None:
    """A literal private address is refused before anything is asked."""
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(InvalidInput):
        client().get(f"https://{host}/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_fine(address: str) -> None:
    """Public addresses pass, also where they stand inside an IPv6 one."""
    assert check_address("dav.example.com", address) is None


def test_one_private_address_among_public_ones_is_enough() -> None:
    """A name with a public and a private address is refused as a whole."""
    with pytest.raises(InvalidInput):
        dialling(lambda _host, _port: ["93.184.216.34", "127.0.0.1"]).get("https://dav.example.com/")


@given(st.ip_addresses(v=4))
def test_wrapping_changes_no_verdict(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address is judged alike bare, mapped, behind NAT64 and behind 6to4."""

    def verdict(text: str) -> bool:
        try:
            check_address("host", text)
        except InvalidInput:
            return False
        return True

    number = int(address)
    wrapped = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x0064FF9B << 96 | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80),
    ]
    assert {verdict(str(one)) for one in wrapped} == {verdict(str(address))}


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "LOCALHOST."]
)
def test_other_spellings_of_this_machine_are_refused(host: str) -> None:
    """What the system's resolver makes of odd spellings is looked at, not the spelling."""
    with pytest.raises((InvalidInput, ProviderUnavailable)) as caught:
        guarded_client(Settings(), timeout=5, max_bytes=100).get(f"https://{host}:1/")
    assert getattr(caught.value, "reason", "dns") == "dns"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://dav.example.com/", "https"),
        ("file:///etc/passwd", "not a web address"),
        ("ftp://dav.example.com/", "https"),
        ("gopher://dav.example.com:6379/_FLUSHALL", "https"),
        ("https://me:secret@dav.example.com/", "user name and password"),
        ("https://", "not a web address"),
        ("dav.example.com", "not a web address"),
        ("https://[::1", "not a web address"),
        ("https://dav.example.com:99999/", "not a web address"),
        ("https://dav.example.com/\r\nX-Evil: 1", "not a web address"),
        ("https://dav.example.com/" + "a" * 3000, "not a web address"),
    ],
)
def test_addresses_that_may_not_be_called(url: str, words: str) -> None:
    """Other schemes, plain http, credentials in the address and nonsense are refused, each with its reason."""
    with pytest.raises(InvalidInput, match=words) as caught:
        client().get(url)
    assert "secret" not in caught.value.detail


def test_listed_hosts_may_be_private_and_plain() -> None:
    """ALLOWED_PRIVATE_HOSTS names hosts, or hosts with a port, and nothing else gets through."""
    listed = client(allowed="Radicale.internal, 127.0.0.1:5232")
    assert listed.get("http://radicale.internal:8000/a").status_code == 200
    assert listed.get("http://127.0.0.1:5232/").status_code == 200
    for other in ("http://127.0.0.1:5233/", "http://127.0.0.1/", "https://127.0.0.1/", "http://internal/"):
        with pytest.raises(InvalidInput):
            listed.get(other)


def test_a_second_dns_answer_is_never_asked_for(httpd: str) -> None:
    """The address that was looked at is dialled, whatever the name would lead to next; the Host header is the name."""
    port = httpx.URL(httpd).port
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    asked = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    with dialling(rebinding, allowed="dav.example.com") as guarded:
        assert guarded.get(f"http://dav.example.com:{port}/host").text == f"dav.example.com:{port}"
    assert asked == ["dav.example.com"]


def test_the_next_address_is_tried(httpd: str) -> None:
    """A dead address of a name does not hide a living one."""
    port = httpx.URL(httpd).port
    guarded = dialling(lambda _host, _port: ["::1", "127.0.0.1"], allowed="dav.example.com")
    assert guarded.get(f"http://dav.example.com:{port}/host").status_code == 200


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data/",
        "http://dav.example.com/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "//10.0.0.1/",
        "https://x:y@dav.example.com/",
    ],
)
def test_redirects_are_addresses_too(location: str) -> None:
    """A redirect inside, down to http, or to another scheme is refused and not followed."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(302, headers={"location": location})

    with pytest.raises(InvalidInput):
        client(answer).get("https://dav.example.com/")
    assert seen == ["https://dav.example.com/"]


def test_a_redirect_name_that_leads_inside_is_refused(httpd: str) -> None:
    """The name a redirect leads to is resolved and looked at as the first was."""
    port = httpx.URL(httpd).port
    names = {"dav.example.com": ["127.0.0.1"], "inside.example.com": ["127.0.0.1"]}
    guarded = dialling(lambda host, _port: names[host], allowed=f"dav.example.com:{port}")
    with pytest.raises(InvalidInput, match=r"inside\.example\.com"):
        guarded.get(f"http://dav.example.com:{port}/inside")


@pytest.mark.parametrize("auth", [httpx.BasicAuth("me", "secret"), httpx.DigestAuth("me", "secret")])
def test_a_password_stays_with_its_origin(auth: httpx.Auth) -> None:
    """Another host gets no credentials after a redirect, and where it wants some the error names it."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, "authorization" in request.headers))
        if request.url.host == "dav.example.com" and "authorization" in request.headers:
            return httpx.Response(307, headers={"location": "https://evil.example/"})
        return httpx.Response(401, headers={"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'})

    with pytest.raises(InvalidInput, match=r"evil\.example.*password was not sent") as caught:
        client(answer, auth=auth).request("PROPFIND", "https://dav.example.com/")
    assert caught.value.code == "redirect_refused"
    assert ("evil.example", True) not in seen
    assert seen[-1] == ("evil.example", False)


@pytest.mark.parametrize("other", ["https://dav.example.com:8443/", "https://evil.example/"])
def test_another_port_is_another_origin(other: str) -> None:
    """Headers with credentials go neither to another host nor to another port."""
    seen: list[httpx.Headers] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers)
        return httpx.Response(200) if len(seen) == 2 else httpx.Response(301, headers={"location": other})

    guarded = client(answer)
    guarded.request("GET", "https://dav.example.com/", headers={"authorization": "Basic c2VjcmV0"})
    assert ["authorization" in headers for headers in seen] == [True, False]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_writes_do_not_travel_to_another_host(method: str) -> None:
    """What is written follows a redirect on its own host and to no other."""

    def answer(request: httpx.Request) -> httpx.Response:
        hops = {"/a": "/b", "/c": "https://evil.example/"}
        if request.url.path in hops:
            return httpx.Response(308, headers={"location": hops[request.url.path]})
        return httpx.Response(204, headers={"x-method": request.method})

    guarded = client(answer)
    assert guarded.request(method, "https://dav.example.com/a").headers["x-method"] == method
    with pytest.raises(InvalidInput, match=r"evil\.example"):
        guarded.request(method, "https://dav.example.com/c")


def test_circles_end() -> None:
    """A redirect to itself ends after a handful of requests."""
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"location": "/"})

    with pytest.raises(ProviderUnavailable) as caught:
        client(answer).get("https://dav.example.com/")
    assert (caught.value.reason, len(seen)) == ("redirects", 6)


def test_see_other_turns_into_a_get() -> None:
    """303 asks for a GET without the body (RFC 9110 §15.4.4)."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/":
            return httpx.Response(303, headers={"location": "/next#part"})
        return httpx.Response(200, text=f"{request.method} {request.url} {request.content!r}")

    got = client(answer).request("REPORT", "https://dav.example.com/", content=b"<x/>")
    assert got.text == "GET https://dav.example.com/next b''"


def test_bodies_are_bounded() -> None:
    """A body of the limit's size is read, one byte more is refused, and so is one that inflates beyond it."""
    sizes = {"/fits": b"x" * 10_000, "/more": b"x" * 10_001}
    assert len(
        client(lambda r: httpx.Response(200, content=sizes["/fits"])).get("https://a.example/").content
    )
    for body, headers in (
        (sizes["/more"], {}),
        (gzip.compress(bytes(200_000_000), 9), {"content-encoding": "gzip"}),
    ):
        with pytest.raises(ProviderUnavailable, match="larger than") as caught:
            client(lambda r, b=body, h=headers: httpx.Response(200, stream=Raw(b), headers=h)).get(
                "https://a.example/"
            )
        assert caught.value.reason == "too_large"


def test_a_thrown_away_body_is_bounded_too() -> None:
    """The challenge before a digest answer is read within the bound as well."""
    bomb = gzip.compress(bytes(50_000_000), 9)

    def answer(_request: httpx.Request) -> httpx.Response:
        headers = {"www-authenticate": 'Digest realm="r", nonce="n"', "content-encoding": "gzip"}
        return httpx.Response(401, stream=Raw(bomb), headers=headers)

    with pytest.raises(ProviderUnavailable) as caught:
        client(answer, auth=httpx.DigestAuth("me", "x"), max_bytes=100_000).get("https://a.example/")
    assert caught.value.reason == "too_large"


def test_compressed_bodies_are_read() -> None:
    """A gzip body arrives as text; one cut short, or in an encoding that was not asked for, is no answer."""

    def answering(content: bytes, encoding: str) -> GuardedClient:
        return client(
            lambda _r: httpx.Response(200, stream=Raw(content), headers={"content-encoding": encoding})
        )

    packed = gzip.compress(b"BEGIN:VCALENDAR" * 20)
    assert answering(packed, "gzip").get("https://a.example/").text == "BEGIN:VCALENDAR" * 20
    for content, encoding in (
        (packed[:-12], "gzip"),
        (b"junk", "gzip"),
        (packed, "br"),
        (packed, "gzip, gzip"),
    ):
        with pytest.raises(ProviderUnavailable) as caught:
            answering(content, encoding).get("https://a.example/")
        assert caught.value.reason == "bad_body"


def test_a_drip_ends_in_time(httpd: str) -> None:
    """An answer that comes byte by byte ends when the call's time is used up, though each wait is short."""
    port = httpx.URL(httpd).port
    guarded = dialling(lambda _h, _p: ["127.0.0.1"], allowed="dav.example.com", timeout=0.5)
    for path in ("drip", "silence"):
        begun = time.monotonic()
        with pytest.raises(ProviderUnavailable) as caught:
            guarded.get(f"http://dav.example.com:{port}/{path}")
        assert caught.value.reason == "timeout"
        assert time.monotonic() - begun < 5


def test_names_that_never_answer_keep_no_other_waiting(httpd: str) -> None:
    """Forty dead names, each asked for again and again: a name that is well is called at once, meanwhile and after."""
    never, asked = threading.Event(), Counter[str]()

    def addresses(host: str, _port: int) -> list[str]:
        asked[host] += 1
        if host != "dav.example.com":
            never.wait(60)
        return ["127.0.0.1"]

    port = httpx.URL(httpd).port
    network = Network(VettedBackend(frozenset({"dav.example.com"}), addresses))

    def call(host: str, seconds: float) -> str:
        guarded = GuardedClient(
            network, allowed=frozenset({"dav.example.com"}), timeout=seconds, max_bytes=10_000
        )
        scheme = "http" if host == "dav.example.com" else "https"
        try:
            return guarded.get(f"{scheme}://{host}:{port}/plain").text
        except ProviderUnavailable as error:
            return error.reason

    dead = [f"dead-{number}.example" for number in range(40)]
    try:
        with ThreadPoolExecutor(80) as pool:
            waiting = [pool.submit(call, host, 3.0) for host in dead * 2]
            while len(asked) < len(dead):
                time.sleep(0.01)
            assert call("dav.example.com", 2.0) == f"dav.example.com:{port}"
            assert not any(one.done() for one in waiting), "the others still wait"
            assert {one.result() for one in waiting} == {"timeout"}
        assert call("dav.example.com", 2.0) == f"dav.example.com:{port}"
        assert {asked[host] for host in dead} == {1}, "one thread for each name"
    finally:
        never.set()


def test_look_ups_have_a_bound() -> None:
    """Who asks for one name too many is told at once; a name that is known to be looked up costs nothing more."""
    never, lookups = threading.Event(), Lookups(2)

    def look(name: str, seconds: float) -> Sequence[str]:
        return lookups.answer(name, lambda: ["192.0.2.1"] if never.wait(60) else [], seconds)

    try:
        for name in ("a", "b", "a", "b"):
            with pytest.raises(httpcore.ConnectTimeout, match="in time"):
                look(name, 0.01)
        with pytest.raises(httpcore.ConnectTimeout, match="too many"):
            look("c", 5)
    finally:
        never.set()


def test_nobody_there_is_one_sentence() -> None:
    """A closed port and an unknown name are errors of the provider's, each with a sentence."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ProviderUnavailable, match="cannot be reached") as caught:
            dialling(lambda _h, _p: ["127.0.0.1"], allowed="a.example").get(f"http://a.example:{port}/")
    assert caught.value.reason == "network"
    with pytest.raises(ProviderUnavailable, match=r"No server called nowhere\.invalid") as caught:
        guarded_client(Settings(), timeout=5, max_bytes=100).get("https://nowhere.invalid/")
    assert caught.value.reason == "dns"


def test_a_bad_certificate_is_named(tmp_path: Path) -> None:
    """A certificate nobody vouches for ends the call before anything is sent; the name goes into SNI."""
    names: list[str | None] = []
    with _tls_server(tmp_path, names) as port:
        guarded = dialling(lambda _h, _p: ["127.0.0.1"], allowed=f"dav.example.com:{port}")
        with pytest.raises(ProviderUnavailable, match=r"certificate of dav\.example\.com") as caught:
            guarded.get(f"https://dav.example.com:{port}/")
    assert caught.value.reason == "certificate"
    assert names == ["dav.example.com"]


def test_plain_http_behind_https_is_named(httpd: str) -> None:
    """A server that speaks no TLS where TLS is wanted is told apart from one that is down."""
    port = httpx.URL(httpd).port
    guarded = dialling(lambda _h, _p: ["127.0.0.1"], allowed=f"dav.example.com:{port}")
    with pytest.raises(ProviderUnavailable, match="No secure connection") as caught:
        guarded.get(f"https://dav.example.com:{port}/")
    assert caught.value.reason == "certificate"


class _Handler(http.server.BaseHTTPRequestHandler):
    """Tells the Host header, redirects inside, drips, or keeps silent."""

    stopped = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/silence":
            self.stopped.wait(20)
        elif self.path == "/drip":
            self.send_response(200)
            self.end_headers()
            try:
                while not self.stopped.wait(0.05):
                    self.wfile.write(b"x")
                    self.wfile.flush()
            except OSError:
                return
        elif self.path == "/inside":
            self.send_response(302)
            self.send_header("Location", "https://inside.example.com/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            body = self.headers["Host"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def httpd() -> Iterator[str]:
    """A web server on loopback."""
    _Handler.stopped.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Handler.stopped.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@contextmanager
def _tls_server(folder: Path, names: list[str | None]) -> Iterator[int]:
    """A TLS server whose certificate nobody has signed; ``names`` collects what clients ask for (SNI)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dav.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("dav.example.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
