"""What some CalDAV servers answer that Radicale never does: listings cut short, and weak entity tags."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree  # the answers are our own Radicale's

from starlette.responses import Response

from calendar_app.sandbox.fault_operations import PARTIAL, presented_token

MOST_KEPT = 100
_DAV = "{DAV:}"
_GETETAG = re.compile(rb"<((?:[\w.-]+:)?getetag)>(?=[^<])")


class Truncation:
    """Answers to ``sync-collection`` in parts (RFC 6578 §3.6): half of the members now, the rest for a token.

    The rest is kept as it was, with the token that it came with, so that nothing is lost that changes meanwhile. It may
    be asked for again, as a client does that got no answer.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._kept: dict[str, bytes] = {}

    def rest(self, body: bytes) -> bytes | None:
        """What the token in a request's body stands for; ``None`` where that is Radicale's to say."""
        return self._kept.get(presented_token(body))

    def halved(self, content: bytes) -> bytes:
        """A multi-status in two; the whole where it has no two members."""
        root = ElementTree.fromstring(content)  # noqa: S314  # our own Radicale's
        members = root.findall(f"{_DAV}response")
        token = root.find(f"{_DAV}sync-token")
        if len(members) < 2 or token is None:
            return content
        half = len(members) // 2
        home = (members[0].findtext(f"{_DAV}href") or "").rpartition("/")[0] + "/"
        rest = ElementTree.fromstring(content)  # noqa: S314  # the same
        for member in rest.findall(f"{_DAV}response")[:half]:
            rest.remove(member)
        for member in members[half:]:
            root.remove(member)
        root.insert(half, _limit(home))
        token.text = f"{PARTIAL}{next(self._numbers)}"
        self._kept[token.text] = ElementTree.tostring(rest)
        while len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return ElementTree.tostring(root)


def _limit(home: str) -> ElementTree.Element:
    """The calendar's own response: 507 with the precondition that was not met."""
    response = ElementTree.Element(f"{_DAV}response")
    ElementTree.SubElement(response, f"{_DAV}href").text = home
    ElementTree.SubElement(response, f"{_DAV}status").text = "HTTP/1.1 507 Insufficient Storage"
    error = ElementTree.SubElement(response, f"{_DAV}error")
    ElementTree.SubElement(error, f"{_DAV}number-of-matches-within-limits")
    return response


def weak_tags(response: Response) -> Response:
    """The same answer with weak entity tags, in its header and in its body."""
    if tag := response.headers.get("etag", ""):
        response.headers["etag"] = tag if tag.startswith("W/") else f"W/{tag}"
    response.body = _GETETAG.sub(rb"<\1>W/", bytes(response.body))
    if "content-length" in response.headers:
        response.headers["content-length"] = str(len(response.body))
    return response
