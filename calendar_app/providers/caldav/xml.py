"""WebDAV's XML: the requests we send, and multi-status answers (RFC 4918 §13) taken apart.

Answers come from servers that people named, so no document type, entity or external reference is accepted (defusedxml);
their size is bounded by the transport.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

DAV, CAL, CS, APPLE = (
    "{DAV:}",
    "{urn:ietf:params:xml:ns:caldav}",
    "{http://calendarserver.org/ns/}",
    "{http://apple.com/ns/ical/}",
)
_PREFIXES = {"D": "DAV:", "C": CAL[1:-1], "CS": CS[1:-1], "A": APPLE[1:-1]}
_NAMESPACES = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in _PREFIXES.items())


class BadAnswer(ValueError):
    """The body is no XML that we accept, or another document than was asked for."""


@dataclass(frozen=True, slots=True)
class Member:
    """One ``response``: the path as the server wrote it, its own status where it has one (else 200), the properties
    that were found."""

    href: str
    status: int
    props: Mapping[str, Element] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A property's text, or an empty string."""
        element = self.props.get(name)
        return "" if element is None else (element.text or "").strip()

    def hrefs(self, name: str) -> list[str]:
        """The ``href`` elements inside a property."""
        element = self.props.get(name)
        return (
            [] if element is None else [(e.text or "").strip() for e in element.iter(f"{DAV}href") if e.text]
        )


@dataclass(frozen=True, slots=True)
class MultiStatus:
    """A multi-status answer to a request for ``url``; ``sync_token`` as in RFC 6578 §6.4."""

    url: str
    members: tuple[Member, ...]
    sync_token: str = ""

    def first(self) -> Member:
        """The one that a request of depth 0 is about; one without properties where there is none."""
        return next((member for member in self.members if member.status == 200), Member("", 404))


def document(root: str, *parts: str) -> bytes:
    """A request's body: ``root`` is a prefixed name (``"D:propfind"``), ``parts`` are XML inside of it."""
    text = f'<?xml version="1.0" encoding="utf-8"?><{root} {_NAMESPACES}>{"".join(parts)}</{root}>'
    return text.encode()


def prop(*names: str) -> str:
    """``<D:prop>`` with these prefixed names."""
    return f"<D:prop>{''.join(f'<{name}/>' for name in names)}</D:prop>"


def text_element(name: str, text: str) -> str:
    """An element with a text, escaped."""
    return f"<{name}>{escape(text)}</{name}>"


def escaped(text: str) -> str:
    """Text for an element's content."""
    return escape(text)


def parse(body: bytes) -> Element:
    """:raises BadAnswer: it is no XML, or has a document type or entities."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, LookupError, ValueError):
        raise BadAnswer("The server sent an answer that cannot be read.") from None
    return root


def multistatus(body: bytes, url: str) -> MultiStatus:
    """:raises BadAnswer: the body is something else."""
    root = parse(body)
    if root.tag != f"{DAV}multistatus":
        raise BadAnswer("The server sent an answer that cannot be read.")
    token = root.find(f"{DAV}sync-token")
    members = tuple(member for response in root.iter(f"{DAV}response") for member in _members(response))
    return MultiStatus(url, members, (token.text or "").strip() if token is not None else "")


def preconditions(body: bytes) -> frozenset[str]:
    """The names inside a ``DAV:error`` (RFC 4918 §16), in Clark notation; none where the body is something else."""
    try:
        root = parse(body)
    except BadAnswer:
        return frozenset()
    return frozenset(child.tag for child in root) if root.tag == f"{DAV}error" else frozenset()


def children(element: Element | None) -> frozenset[str]:
    """The names of an element's children, at any depth."""
    return frozenset() if element is None else frozenset(child.tag for child in element.iter())


def absolute(base: str, href: str) -> str:
    """The address that an ``href`` of an answer from ``base`` means, default ports left out."""
    parts = urlsplit(urljoin(base, href.strip()))
    default = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    netloc = parts.netloc.removesuffix(default) if default else parts.netloc
    return parts._replace(netloc=netloc, fragment="").geturl()


def name_of(collection: str, href: str) -> str | None:
    """A member's name inside its collection, unescaped; ``None`` for the collection itself and what is not in it.

    Servers escape differently than they were asked (``@`` and ``%40``), so names are compared unescaped.
    """
    parts = urlsplit(href)
    raw = parts.path if parts.scheme else href.split("?", 1)[0]
    folder, _, last = raw.rpartition("/")
    own = unquote(urlsplit(collection).path).rstrip("/")
    return unquote(last) if last and unquote(folder) == own else None


def is_inside(collection: str, href: str) -> bool:
    """Whether it is the collection itself, or something in it."""
    path, own = (unquote(urlsplit(one).path).rstrip("/") for one in (href, collection))
    return path == own or path.startswith(f"{own}/")


def last_name(url: str) -> str:
    """The last part of an address's path, unescaped."""
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def member_url(collection: str, name: str) -> str:
    """The address of the member called ``name``."""
    return f"{collection.rstrip('/')}/{quote(name, safe='@:$!*,;=+()~')}"


def _members(response: Element) -> Iterator[Member]:
    """One for each href: RFC 4918 §14.24 allows several to share a status."""
    status = _status(response.find(f"{DAV}status"))
    props: dict[str, Element] = {}
    for propstat in response.iterfind(f"{DAV}propstat"):
        if _status(propstat.find(f"{DAV}status")) == 200:
            props.update(_props(propstat.iterfind(f"{DAV}prop/*")))
    for href in response.iterfind(f"{DAV}href"):
        yield Member((href.text or "").strip(), status, props)


def _props(elements: Iterable[Element]) -> dict[str, Element]:
    return {element.tag: element for element in elements}


def _status(element: Element | None) -> int:
    """``HTTP/1.1 404 Not Found`` as a number; 200 where it is missing."""
    parts = ((element.text if element is not None else "") or "").split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 200
