"""Listing a calendar: everything, or what changed since a cursor.

Where the server has ``sync-collection`` (RFC 6578) the cursor is its token, and one REPORT tells what changed; the
events themselves are asked for in the same request, which many servers grant, and fetched by ``calendar-multiget``
where they are not. Elsewhere the cursor holds the collection's ``getctag`` and a short hash of every entity tag; as
long as the ctag stays, one PROPFIND is all. Both cursors also hold which resources have several events, because a
server only names the resource when one of them goes.

A server may refuse sync-collection although it lists it (405, 415, 418, 500 and 501 were seen): entity tags are then
compared, and the cursor that this gives is what remembers it.

A calendar that was removed and made again under the same address is another one, which a token or ctag need not tell:
many servers count from one again (sabre/dav), and take whatever number they are sent (DAViCal). So beside a cursor that
is a mere count the last resources that came are remembered, and one of them that the server does not name is asked for
with each reading: where it is gone, or another, everything is listed. Of an empty calendar it is asked whether it was
empty. Tokens with a random part (Radicale, xandikos, Cyrus, Apple's) are of one calendar and need no such question.

A first listing is always of the whole calendar, whatever time it is wanted from: what servers make of a time range is
where they differ most, above all for recurring events, and an event that one leaves out is a double booking.
"""

from __future__ import annotations

import base64
import logging
import re
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import orjson

from calendar_app.domain.event import CalendarEvent, time_lost
from calendar_app.domain.unread import Unread
from calendar_app.errors import (
    EventNotFound,
    InvalidRequest,
    PermissionDenied,
    PreconditionFailed,
    ProviderError,
    ProviderUnavailable,
    SyncTokenInvalid,
)
from calendar_app.providers.base import EventPage
from calendar_app.providers.caldav import mapping, xml
from calendar_app.providers.caldav.dav import Dav

log = logging.getLogger(__name__)

BATCH = 100
"""Resources that one ``calendar-multiget`` names."""
MAX_CURSOR = 32 * 2**20
_DATA = f"{xml.CAL}calendar-data"
_ETAG = f"{xml.DAV}getetag"
CTAG = f"{xml.CS}getctag"
_VERSION = "1:"


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a calendar was read: ``token``, or ``ctag`` with ``etags`` (hashes by name). ``parts``: what each
    resource with several events holds beside its main one. ``plain``: the server gives no events in such a report. With
    a token, ``etags`` has the few resources by which the calendar is told from another."""

    token: str = ""
    plain: bool = False
    ctag: str = ""
    etags: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, list[str]] = field(default_factory=dict)

    def dump(self) -> str:
        """The cursor as text; :meth:`load` reads it again."""
        text = orjson.dumps([self.token, self.plain, self.ctag, dict(self.etags), dict(self.parts)])
        return _VERSION + base64.b64encode(zlib.compress(text)).decode()

    @classmethod
    def load(cls, text: str) -> Cursor:
        """:raises SyncTokenInvalid: it is none of ours."""
        try:
            inflate = zlib.decompressobj()
            raw = inflate.decompress(base64.b64decode(text.removeprefix(_VERSION), validate=True), MAX_CURSOR)
            token, plain, ctag, etags, parts = orjson.loads(raw)
        except (ValueError, zlib.error):
            raise SyncTokenInvalid(reason="cursor") from None
        if not text.startswith(_VERSION):
            raise SyncTokenInvalid(reason="cursor")
        return cls(token, plain, ctag, etags, parts)


class Listing:
    """One listing of the calendar at ``url``; ``owners`` are the addresses whose answers to invitations count."""

    def __init__(self, dav: Dav, url: str, owners: Collection[str]) -> None:
        self._dav = dav
        self._url = url
        self._owners = owners
        self._parts: dict[str, list[str]] = {}
        self._unread: list[Unread] = []
        self._delta = False
        self._zone: str | None = None
        self._samples: dict[str, str] = {}
        self._named: set[str] = set()

    def pages(self, cursor: str | None) -> Iterator[EventPage]:
        """Every event, or the changes since ``cursor``.

        :raises SyncTokenInvalid: the cursor is too old. :raises EventNotFound: there is no such calendar.
        """
        known = Cursor.load(cursor) if cursor else Cursor()
        self._parts = {name: list(parts) for name, parts in known.parts.items()}
        self._delta = cursor is not None
        if known.token:
            return self._by_token(known)
        if not self._delta and self._syncs():
            return self._everything()
        return self._by_etags(known)

    def _everything(self) -> Iterator[EventPage]:
        """A first listing by token, or by entity tags where the server refuses it."""
        pages = self._by_token(Cursor())
        try:
            first = next(pages)
        except ProviderError as error:
            if not _is_refused(error):
                raise
            log.info("sync-collection is refused, entity tags are compared", extra={"reason": error.reason})
            yield from self._by_etags(Cursor())
            return
        yield first
        yield from pages

    def _syncs(self) -> bool:
        """Whether the server says that it has sync-collection for this calendar; also notes the calendar's zone."""
        wanted = ("D:supported-report-set", "D:sync-token", *mapping.ZONE_PROPS)
        answer = self._dav.propfind(self._url, *wanted).first()
        self._zone = mapping.zone_of(answer)
        reports = xml.children(answer.props.get(f"{xml.DAV}supported-report-set"))
        return f"{xml.DAV}sync-collection" in reports

    def _by_token(self, known: Cursor) -> Iterator[EventPage]:
        """RFC 6578 §3.6: a truncated answer is continued from the token that came with it."""
        token, plain, with_data = known.token, known.plain, not known.plain
        self._samples = dict(known.etags)
        while True:
            try:
                answer = self._dav.report(self._url, _sync_request(token, with_data=with_data), depth="0")
            except ProviderError as error:
                if token and error.reason in (*_VAGUE, *_NO_REPORT):
                    raise SyncTokenInvalid(reason=error.reason) from None
                refused = isinstance(error, InvalidRequest | PermissionDenied) and error.reason in _VAGUE
                if not with_data or not (refused or error.reason in _TOO_MUCH):
                    if token and token == known.token and error.reason == "http_500":
                        raise SyncTokenInvalid(reason=error.reason) from None
                    raise
                with_data, plain = False, refused
                continue
            if not answer.sync_token:
                raise ProviderUnavailable("The server’s list of events ended early.", reason="no_token")
            own = [member for member in answer.members if self._name(answer, member) is None]
            truncated = any(member.status == 507 for member in own)
            if truncated and answer.sync_token == token:
                raise ProviderUnavailable("The server’s list of events does not end.", reason="no_progress")
            if is_a_count(known.token) and _goes_back(known.token, answer.sync_token):
                raise SyncTokenInvalid(reason="token_restarted")
            token = answer.sync_token
            yield from self._changes(answer)
            self._delta = True  # what a later part of the answer takes back may have stood in an earlier one
            if not truncated:
                if known.token and is_a_count(known.token):
                    self._check_same(known.etags)
                etags = dict(list(self._samples.items())[-_SAMPLES:]) if is_a_count(token) else {}
                end = Cursor(token, plain, etags=etags, parts=self._parts).dump()
                yield EventPage((), end, timezone=self._zone, unread=tuple(self._unread))
                return

    def _check_same(self, samples: Mapping[str, str]) -> None:
        """Whether what the cursor remembers of the calendar stands there still, as far as the server did not name it.

        :raises SyncTokenInvalid: it is another calendar.
        """
        left = [name for name in samples if name not in self._named]
        try:
            if left:
                found = self._dav.propfind(xml.member_url(self._url, left[-1]), "D:getetag").first()
                etags = samples[left[-1]], _short(found.text(_ETAG))
                same = found.status == 200 and ("" in etags or etags[0] == etags[1])
            elif samples:
                return
            else:
                listed = self._dav.propfind(self._url, "D:getetag", "D:resourcetype", depth="1")
                same = {self._file(listed, member) for member in listed.members} <= {None, *self._named}
        except EventNotFound:
            same = False
        except (InvalidRequest, PermissionDenied) as error:
            log.info("a calendar cannot be told from another one", extra={"reason": error.reason})
            return
        if not same:
            raise SyncTokenInvalid(reason="another_calendar")

    def _by_etags(self, known: Cursor) -> Iterator[EventPage]:
        """Compare entity tags. The ctag is read first, so that what changes meanwhile is seen the next time."""
        ctag = self._dav.propfind(self._url, "CS:getctag").first().text(CTAG)
        if self._delta and ctag and ctag == known.ctag:
            if is_a_count(ctag):
                self._check_same(known.etags)
            yield EventPage((), known.dump())
            return
        listed = self._dav.propfind(self._url, "D:getetag", "D:resourcetype", depth="1")
        present = {name: member for member in listed.members if (name := self._file(listed, member))}
        missing = [name for name in known.etags if name not in present]
        yield EventPage(tuple(event for name in missing for event in self._gone(name)))
        etags = {name: _short(member.text(_ETAG)) for name, member in present.items()}
        changed = [
            m for name, m in present.items() if not etags[name] or etags[name] != known.etags.get(name)
        ]
        yield from self._fetched([member.href for member in changed])
        end = Cursor(ctag=ctag, etags=etags, parts=self._parts).dump()
        yield EventPage((), end, timezone=self._zone, unread=tuple(self._unread))

    def _name(self, answer: xml.MultiStatus, member: xml.Member) -> str | None:
        """The name of a member, ``None`` for the calendar itself and for folders in it.

        :raises ProviderUnavailable: the server names something that is not in the calendar: what it says is then not
            understood, and must not pass for an empty calendar.
        """
        for place in (self._url, answer.url):
            name = xml.name_of(place, member.href)
            if name is not None or xml.is_inside(place, member.href):
                return name
        raise ProviderUnavailable(
            "The server lists this calendar under another address.", reason="other_place"
        )

    def _file(self, answer: xml.MultiStatus, member: xml.Member) -> str | None:
        """The name of a member that is a resource and no collection."""
        if member.status != 200 or f"{xml.DAV}collection" in xml.children(
            member.props.get(f"{xml.DAV}resourcetype")
        ):
            return None
        return self._name(answer, member)

    def _changes(self, answer: xml.MultiStatus) -> Iterator[EventPage]:
        """One answer of ``sync-collection``; what it lacks is fetched."""
        events: list[CalendarEvent] = []
        hrefs: list[str] = []
        for member in answer.members:
            name = self._name(answer, member)
            if name is None:
                continue
            self._named.add(name)
            if member.status in (404, 410):
                events += self._gone(name)
            elif _DATA in member.props:
                events += self._read(name, member)
            elif member.status == 200:
                hrefs.append(member.href)
        yield EventPage(tuple(events))
        yield from self._fetched(hrefs)

    def _fetched(self, hrefs: Sequence[str]) -> Iterator[EventPage]:
        for first in range(0, len(hrefs), BATCH):
            yield EventPage(tuple(self._multiget(hrefs[first : first + BATCH])))

    def _multiget(self, hrefs: Sequence[str]) -> Iterator[CalendarEvent]:
        """``calendar-multiget`` (RFC 4791 §7.9); an answer that is too large is asked for in halves, and what a server
        leaves out of it one by one."""
        body = xml.document(
            "C:calendar-multiget",
            xml.prop("D:getetag", "C:calendar-data"),
            *(xml.text_element("D:href", href) for href in hrefs),
        )
        try:
            answer = self._dav.report(self._url, body)
        except ProviderError as error:
            if _is_refused(error) and not isinstance(error, EventNotFound):
                for href in hrefs:
                    yield from self._got(xml.last_name(href), href)
                return
            if error.reason != "too_large" or len(hrefs) == 1:
                raise
            middle = len(hrefs) // 2
            yield from self._multiget(hrefs[:middle])
            yield from self._multiget(hrefs[middle:])
            return
        members = {xml.last_name(member.href): member for member in answer.members}
        for href in hrefs:
            name = xml.last_name(href)
            member = members.get(name)
            if member is not None and _DATA in member.props:
                yield from self._read(name, member)
            else:  # also what the server says is not there: some say so of what they have just listed
                yield from self._got(name, href)

    def _got(self, name: str, href: str) -> Iterator[CalendarEvent]:
        try:
            response = self._dav.request("GET", xml.absolute(self._url, href))
        except EventNotFound:
            yield from self._gone(name)
            return
        self._samples[name] = ""  # its header's may be written otherwise than the property
        yield from self._sorted(name, response.content, response.headers.get("etag", ""))

    def _read(self, name: str, member: xml.Member) -> list[CalendarEvent]:
        self._samples.pop(name, None)
        self._samples[name] = _short(member.text(_ETAG))
        return self._sorted(name, mapping.element_text(member.props[_DATA]), member.text(_ETAG))

    def _sorted(self, name: str, data: str | bytes, etag: str) -> list[CalendarEvent]:
        """A resource's events, and in an incremental listing those that it no longer has."""
        events, unread = mapping.resource_from(name, data, mapping.plain_etag(etag), self._owners)
        self._unread += unread
        parts = {mapping.part_of(event.remote_id) for event in events}
        before = self._parts.pop(name, [])
        if any(map(time_lost, events)):
            parts.update(before)  # which of them are still in it cannot be read
        lost = [part for part in before if part not in parts]
        if more := sorted(parts - {""}):
            self._parts[name] = more
        if not self._delta:
            return events
        removed = mapping.gone(name, lost)
        return [*(removed[1:] if "" in parts else removed), *events]

    def _gone(self, name: str) -> list[CalendarEvent]:
        parts = self._parts.pop(name, [])
        self._samples.pop(name, None)
        return mapping.gone(name, parts) if self._delta else []


def _sync_request(token: str, *, with_data: bool) -> bytes:
    names = ("D:getetag", "C:calendar-data") if with_data else ("D:getetag",)
    return xml.document(
        "D:sync-collection",
        xml.text_element("D:sync-token", token),
        "<D:sync-level>1</D:sync-level>",
        xml.prop(*names),
    )


_VAGUE = ("http_400", "http_403", "http_409", "http_410", "http_412")
"""With a token, what servers answer that no longer know it and do not say so; without, that events are not given."""
_TOO_MUCH = ("too_large", "timeout", "http_500", "http_501", "http_503", "http_504")


_NO_REPORT = ("http_405", "http_415", "http_418", "http_501")
"""What servers answer that do not do a report, whatever they say of themselves."""


def _is_refused(error: ProviderError) -> bool:
    """Whether a report was refused, not the account and not for now: another way has to be gone."""
    if isinstance(
        error, InvalidRequest | PermissionDenied | EventNotFound | PreconditionFailed | SyncTokenInvalid
    ):
        return error.reason != "other_host"
    return error.reason in ("http_500", "http_501")


def is_a_count(token: str) -> bool:
    """Whether another calendar could have the same token: it has no part that looks random."""
    return not any(
        len(part) >= _RANDOM and any(map(str.isdecimal, part)) and not part.isdecimal()
        for part in re.split(r"[^0-9A-Za-z]+", token.replace("-", ""))
    )


def _goes_back(before: str, after: str) -> bool:
    """Whether both tokens end in a number, and the later one in a smaller one."""
    first, second = (re.fullmatch(r"(.*?)(\d{1,18})", token) for token in (before, after))
    return bool(first and second and first[1] == second[1] and int(second[2]) < int(first[2]))


_RANDOM = 20
"""Letters and digits in a row, as no count and no time has them in a token."""
_SAMPLES = 5


def _short(etag: str) -> str:
    """An entity tag in 12 characters, so that a cursor of 10,000 resources stays small; empty for none."""
    plain = mapping.plain_etag(etag)
    return base64.b64encode(sha256(plain.encode()).digest()[:9]).decode() if plain else ""
