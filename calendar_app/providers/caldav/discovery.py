"""From what a person types to an account: RFC 6764 (finding the server) and RFC 5397 (finding the principal).

An e-mail address leads to a server that is known by name, else to what the domain's DNS says (SRV and TXT records of
``_caldavs._tcp``), else to ``https://domain/.well-known/caldav``. DNS answers can be forged, so a password goes without
asking only to hosts of the domain itself and to known servers (RFC 6764 §8); of any other the person is told, who can
type its address. The first call to any address carries no credentials: its challenge tells which scheme to use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import dns.exception
import dns.resolver
import httpx

from calendar_app.errors import (
    AuthExpired,
    CredentialsRejected,
    InvalidInput,
    InvalidRequest,
    ProviderUnavailable,
)
from calendar_app.providers.base import Account, Credentials, Opened
from calendar_app.providers.caldav import servers, xml
from calendar_app.providers.caldav.account import BASIC, DIGEST, Secret
from calendar_app.providers.caldav.dav import MAX_BYTES, Dav
from calendar_app.providers.guard import GuardedClient, guarded_client
from calendar_app.providers.vetted import code_of
from calendar_app.settings import Settings

WELL_KNOWN = "/.well-known/caldav"
DNS_SECONDS = 4.0
_EMAIL = re.compile(r"[^@\s/:]+@([^@\s/:]+\.[^@\s/:]+)")
_PRINCIPAL = f"{xml.DAV}current-user-principal"
_FIND = xml.document("D:propfind", xml.prop("D:current-user-principal"))
_HEADERS = {"depth": "0", "content-type": "application/xml; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Service:
    """A server that a domain's DNS names: host, port, and the path of its TXT record, if any."""

    host: str
    port: int = 443
    path: str = ""

    @property
    def url(self) -> str:
        port = "" if self.port == 443 else f":{self.port}"
        return f"https://{self.host}{port}{self.path or WELL_KNOWN}"


@dataclass(frozen=True, slots=True)
class _Door:
    """An address that behaves like a CalDAV server, and how it wants the password."""

    url: str
    scheme: str


def find_services(domain: str) -> list[Service]:
    """What the DNS says of a domain (RFC 6764 §3, §4), the most wanted first; nothing where it says nothing."""
    name = f"_caldavs._tcp.{domain}"
    try:
        records = sorted(
            dns.resolver.resolve(name, "SRV", lifetime=DNS_SECONDS),
            key=lambda one: (one.priority, -one.weight),
        )
    except (dns.exception.DNSException, OSError):
        return []
    path = _path(name)
    hosts = [(str(record.target).rstrip("."), record.port) for record in records]
    return [Service(host, port, path) for host, port in hosts if host]


def _path(name: str) -> str:
    try:
        texts = dns.resolver.resolve(name, "TXT", lifetime=DNS_SECONDS)
    except (dns.exception.DNSException, OSError):
        return ""
    for record in texts:
        text = b"".join(record.strings).decode("utf-8", "replace")
        if text.startswith("path=/"):
            return text.removeprefix("path=")
    return ""


class CalDavSignIn:
    """:class:`calendar_app.providers.base.CredentialClient` for CalDAV. ``transport`` and ``lookup`` are seams for
    tests."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.BaseTransport | None = None,
        lookup: Callable[[str], Sequence[Service]] = find_services,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._lookup = lookup

    def open(self, credentials: Credentials) -> Opened:
        """Find the server, prove the password, and read whose account it is.

        :raises CredentialsRejected: wrong user name or password. :raises InvalidInput: the address is no CalDAV server,
            or may not be called. :raises ProviderError: the server does not answer as it should.
        """
        username = credentials.username.strip() or _email(credentials.address)
        if not username or not credentials.password:
            raise InvalidInput(
                "Enter a user name and a password.", field="username" if not username else "password"
            )
        try:
            door = self._door(list(self._candidates(credentials.address.strip())))
            return self._enter(door, credentials, username)
        except InvalidRequest as error:
            raise InvalidInput(error.detail, field="address", code=error.reason or None) from None
        except ProviderUnavailable as error:
            if error.reason in _TYPED_WRONG:
                raise InvalidInput(error.detail, field="address", code=code_of(error.reason)) from None
            raise

    def _candidates(self, address: str) -> Iterator[str]:
        """Addresses to try, in order. :raises InvalidInput: the domain's server is somebody else's."""
        match = _EMAIL.fullmatch(address)
        if not match:
            yield from _of_url(address)
            return
        domain = match[1].lower()
        _check_kind(domain)
        if known := servers.by_domain(domain):
            yield known.url
            yield from _of_url(known.url)
            return
        for service in self._lookup(domain):
            _check_kind(service.host)
            if not _belongs(service.host, domain):
                raise InvalidInput(
                    f"The calendars of {domain} are at {service.host}, another host, to which your password was not "
                    f"sent. If that is right, enter https://{service.host} as the address.",
                    field="address",
                    code="redirect_refused",
                )
            yield service.url
            yield f"https://{service.host}:{service.port}/"
        yield f"https://{domain}{WELL_KNOWN}"

    def _door(self, candidates: Sequence[str]) -> _Door:
        """The first address that speaks CalDAV. :raises InvalidInput: none of them does; the first one's reason."""
        client = self._client(None)
        failure: InvalidInput | ProviderUnavailable | None = None
        for url in dict.fromkeys(candidates):
            try:
                return _probe(client, url)
            except (InvalidInput, ProviderUnavailable) as error:
                if getattr(error, "code", "") in _FINAL:
                    raise
                failure = failure or error
        raise failure or InvalidInput("Enter the address of a CalDAV server.", field="address")

    def _enter(self, door: _Door, credentials: Credentials, username: str) -> Opened:
        secret = Secret(door.url, username, credentials.password, door.scheme)
        dav = Dav(self._client(secret.auth()), door.url, attempts=2)
        host = urlsplit(door.url).hostname or ""
        try:
            answer = dav.multistatus("PROPFIND", door.url, _FIND)
            hrefs = answer.first().hrefs(_PRINCIPAL)
            if not hrefs:
                raise AuthExpired
            principal = xml.absolute(answer.url, hrefs[0])
            whose = dav.propfind(
                principal, "D:displayname", "C:calendar-home-set", "C:calendar-user-address-set"
            ).first()
        except AuthExpired:
            raise CredentialsRejected(
                f"{host} did not accept this user name and password. {servers.password_hint(host)}",
                field="password",
            ) from None
        if not whose.hrefs(f"{xml.CAL}calendar-home-set"):
            raise InvalidInput(
                f"{host} has no calendars for this account.", field="address", code="no_calendars"
            )
        owners = _addresses(whose, username, _email(credentials.address))
        email = next((one for one in owners if "@" in one), "")
        account = Account(principal, email or username, whose.text(f"{xml.DAV}displayname"))
        kept = Secret(principal, username, credentials.password, door.scheme, "\n".join(owners))
        return Opened(account, kept.dump())

    def _client(self, auth: httpx.Auth | None) -> GuardedClient:
        return guarded_client(
            self._settings,
            timeout=self._settings.http_timeout,
            max_bytes=MAX_BYTES,
            auth=auth,
            transport=self._transport,
        )


def _probe(client: GuardedClient, url: str) -> _Door:
    """Whether a CalDAV server answers at ``url``, asked without credentials."""
    response = client.request("PROPFIND", url, headers=_HEADERS, content=_FIND)
    final = xml.absolute(str(response.url), "")
    host, asked = urlsplit(final).hostname or "", urlsplit(url).hostname or ""
    _check_kind(host)
    if response.status_code == 401:
        scheme = _scheme(response)
        if scheme is None:
            raise InvalidInput(
                f"{host} wants to be signed in to in a way that Almanac does not know.", code="no_scheme"
            )
    elif response.status_code == 207 and _is_dav(response.content):
        scheme = BASIC
    elif response.status_code == 429 or response.status_code >= 500:
        raise ProviderUnavailable(f"{host} cannot answer right now.", reason=f"http_{response.status_code}")
    else:
        page = "text/html" in response.headers.get("content-type", "")
        what = "it answered with a web page" if page else f"it answered with status {response.status_code}"
        raise InvalidInput(
            f"{host} is no CalDAV server at this address: {what}.", field="address", code="not_caldav"
        )
    if not servers.same_server(url, final) and servers.by_host(host) is None:
        raise InvalidInput(
            f"{asked} sends us on to {host}, another host, to which your password was not sent. "
            f"If that is right, enter {final} as the address.",
            field="address",
            code="redirect_refused",
        )
    return _Door(final, scheme)


def _scheme(response: httpx.Response) -> str | None:
    """Basic where it is offered over TLS, since app passwords are made for it; Digest where it is not. Over TLS Basic
    also where nothing at all is offered, against RFC 9110 §15.5.2: Yahoo's way
    (https://github.com/python-caldav/caldav/issues/713)."""
    if "www-authenticate" not in response.headers and response.url.scheme == "https":
        return BASIC
    offered = {
        word.lower()
        for value in response.headers.get_list("www-authenticate")
        for word in re.findall(r"(?:^|,)\s*(Basic|Digest)\b", value, re.IGNORECASE)
    }
    if "digest" in offered and ("basic" not in offered or response.url.scheme != "https"):
        return DIGEST
    return BASIC if "basic" in offered else None


def _is_dav(body: bytes) -> bool:
    try:
        xml.multistatus(body, "")
    except xml.BadAnswer:
        return False
    return True


def _of_url(address: str) -> Iterator[str]:
    """The address as typed, then what RFC 6764 §5 and plain servers have at its host."""
    if "://" not in address:
        address = f"https://{address}"
    parts = urlsplit(address)
    _check_kind(parts.hostname or "")
    origin = f"{parts.scheme}://{parts.netloc}"
    if parts.path not in ("", "/"):
        yield address
    yield f"{origin}{WELL_KNOWN}"
    yield f"{origin}/"


def _check_kind(host: str) -> None:
    """:raises InvalidInput: such accounts are connected by a consent page, and have no password for CalDAV."""
    if title := servers.connected_elsewhere(host):
        raise InvalidInput(
            f"This is a calendar at {title}: choose {title} instead of CalDAV to connect it.",
            field="address",
            code=f"connect_{title.lower()}",
        )


def _belongs(host: str, domain: str) -> bool:
    """Whether a password for ``domain`` may go to ``host`` on the word of the DNS."""
    host = host.lower()
    return host == domain or host.endswith(f".{domain}") or servers.by_host(host) is not None


def _email(address: str) -> str:
    return address.strip() if _EMAIL.fullmatch(address.strip()) else ""


def _addresses(principal: xml.Member, username: str, typed: str) -> list[str]:
    """Every address of ``calendar-user-address-set`` (RFC 6638 §2.4.1), e-mail addresses without ``mailto:``, and those
    that the person typed."""
    told = [href.strip() for href in principal.hrefs(f"{xml.CAL}calendar-user-address-set")]
    told = [unquote(one[7:]) if one[:7].lower() == "mailto:" else one for one in told]
    mailboxes = [one for one in told if _email(one)]
    own = [one for one in (username, typed) if _email(one)]
    return [one for one in dict.fromkeys([*mailboxes, *own, *told]) if one and "\n" not in one]


_FINAL = ("redirect_refused", "address_refused", "connect_google", "connect_microsoft")
_TYPED_WRONG = ("dns", "certificate", "not_dav", "bad_body", "redirects", "too_large")
