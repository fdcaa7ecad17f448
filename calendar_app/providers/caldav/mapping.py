"""CalDAV's properties and calendar resources (RFC 4791) as domain values; pure.

A resource holds one UID: a single event, or a series with its changed occurrences. ``remote_id`` is the name of the
resource for its single event or master, and that name with a part behind ``#`` for each changed occurrence (and for
events of further UIDs, which some servers let in).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from hashlib import sha256
from xml.etree.ElementTree import Element

from calendar_app.domain.event import CalendarEvent, EventStatus, is_write_key, part_lost, time_lost
from calendar_app.domain.ics import CalendarFileError, read_calendar
from calendar_app.domain.ics.freebusy import is_busy_time, read_freebusy
from calendar_app.domain.ics.lines import components
from calendar_app.domain.ics.zones import ZoneNames
from calendar_app.domain.recurrence.wallclock import instant_of
from calendar_app.domain.timespan import Span, merge
from calendar_app.domain.unread import Unread
from calendar_app.providers.base import AccessRole, RemoteCalendar
from calendar_app.providers.caldav import xml
from calendar_app.providers.caldav.resource import private_marks

log = logging.getLogger(__name__)

ZONE_PROPS = ("C:calendar-timezone", "C:calendar-timezone-id")
CALENDAR_PROPS = (
    "D:resourcetype",
    "D:displayname",
    "D:owner",
    "D:current-user-privilege-set",
    "C:supported-calendar-component-set",
    *ZONE_PROPS,
    "A:calendar-color",
    "A:calendar-order",
)
MAX_RESOURCE = 8 * 2**20
UNREADABLE = "The server’s file of it cannot be read. {}"
_ALL = {f"{xml.DAV}all"}
_WRITE = {f"{xml.DAV}write", f"{xml.DAV}write-content", f"{xml.DAV}bind", *_ALL}
_READ = {f"{xml.DAV}read", *_WRITE}
_COMPRESSED = re.compile(r"(?:--?|;)(?:gzip|br|deflate|zstd)\"$")
_PART = re.compile(r"#(?:unread|[0-9a-f]{8}|(?:[0-9a-f]{8}-)?\d{8}T\d{6}F?)$")


def calendars_from(answer: xml.MultiStatus, principal: str) -> list[tuple[int, RemoteCalendar]]:
    """The event calendars in a home set, each with its ``calendar-order`` (Apple's)."""
    found = []
    for member in answer.members:
        if member.status == 200 and _holds_events(member):
            order = member.text(f"{xml.APPLE}calendar-order")
            found.append(
                (int(order) if order.isdecimal() else 1_000, _calendar(answer.url, member, principal))
            )
    return found


def _holds_events(member: xml.Member) -> bool:
    """A calendar collection (RFC 4791 §4.2) that takes VEVENTs, or does not say what it takes (§5.2.3)."""
    if f"{xml.CAL}calendar" not in xml.children(member.props.get(f"{xml.DAV}resourcetype")):
        return False
    kinds = member.props.get(f"{xml.CAL}supported-calendar-component-set")
    return kinds is None or not len(kinds) or any(kind.get("name", "").upper() == "VEVENT" for kind in kinds)


def _calendar(base: str, member: xml.Member, principal: str) -> RemoteCalendar:
    url = xml.absolute(base, member.href)
    name = member.text(f"{xml.DAV}displayname") or (xml.last_name(url) or "Calendar")
    color = re.match(r"#[0-9a-fA-F]{6}", member.text(f"{xml.APPLE}calendar-color"))
    return RemoteCalendar(
        remote_id=url,
        name=name[:200],
        timezone=zone_of(member),
        access_role=_role(member, base, principal),
        color=color[0].lower() if color else "",
    )


def _role(member: xml.Member, base: str, principal: str) -> AccessRole:
    """RFC 3744 §5.4 and RFC 4791 §6.1.1. A server that says nothing of rights has no others' calendars either."""
    rights = member.props.get(f"{xml.DAV}current-user-privilege-set")
    owners = [xml.absolute(base, href).rstrip("/") for href in member.hrefs(f"{xml.DAV}owner")]
    own = not owners or principal.rstrip("/") in owners
    if rights is None:
        return AccessRole.OWNER if own else AccessRole.WRITER
    names = xml.children(rights)
    if names & _WRITE:
        return AccessRole.OWNER if own else AccessRole.WRITER
    return AccessRole.READER if names & _READ else AccessRole.FREEBUSY


def zone_of(member: xml.Member) -> str:
    """The IANA zone that a calendar names for dates and floating times, empty for none: ``calendar-timezone-id``
    (RFC 7809 §5.2), else ``calendar-timezone`` (RFC 4791 §5.2.2)."""
    named = ZoneNames({}).iana(member.text(f"{xml.CAL}calendar-timezone-id").strip())
    return named or zone_from(member.text(f"{xml.CAL}calendar-timezone")) or ""


def zone_from(text: str) -> str | None:
    """The IANA name of a ``calendar-timezone`` (RFC 4791 §5.2.2: a VCALENDAR with one VTIMEZONE)."""
    if not text:
        return None
    try:
        found = components(text[:65_536])
    except CalendarFileError:
        return None
    definitions = [part for outer in found for part in (outer, *outer.children) if part.name == "VTIMEZONE"]
    names = [part.value("TZID").strip() for part in definitions]
    zones = ZoneNames(dict(zip(names, definitions, strict=True)))
    return next((zone for name in names if (zone := zones.iana(name))), None)


def resource_name(remote_id: str) -> str:
    """The name of the resource that holds the event; our key's where no server has named it yet."""
    return f"{remote_id}.ics" if is_write_key(remote_id) else _PART.sub("", remote_id)


def part_of(remote_id: str) -> str:
    """What tells an event from the main one of its resource; empty for that one."""
    match = _PART.search(remote_id)
    return match[0][1:] if match else ""


def events_from(name: str, data: str | bytes, etag: str, owners: Collection[str]) -> list[CalendarEvent]:
    """The events of the resource called ``name`` that can be read; none where it holds tasks, say."""
    return [event for event in resource_from(name, data, etag, owners)[0] if not time_lost(event)]


def resource_from(
    name: str, data: str | bytes, etag: str, owners: Collection[str]
) -> tuple[list[CalendarEvent], tuple[Unread, ...]]:
    """The events of the resource called ``name``, and what of it is in none of them because it cannot be read.

    What cannot be read is an event without a time, too (:func:`time_lost`): the resource, or a part of it.
    """
    try:
        read = read_calendar(data, max_bytes=MAX_RESOURCE, owners=owners)
    except CalendarFileError as error:
        log.warning("a calendar resource cannot be read: %s", error)
        return [CalendarEvent(name, etag=etag, unread=(UNREADABLE.format(error),))], ()
    series = (
        event.master_id or event.remote_id for event in read.events if not is_busy_time(event.remote_id)
    )
    main = next(series, "")
    events = [_placed(event, name, main, etag) for event in read.events]
    lost = list(read.unreadable)
    if read.truncated:
        lost.append(CalendarEvent(name, unread=("Its end is missing.",)))
    if lost:
        whole = replace(lost[0], remote_id=name, etag=etag, ical_uid="", master_id=None)
        events.append(part_lost(whole) if events else whole)
    return events, read.unread


def _placed(event: CalendarEvent, name: str, first: str, etag: str) -> CalendarEvent:
    """The event under its id here; ``first`` is the reader's id of the resource's main event, empty where it has only
    busy times, none of which is."""
    series = event.master_id or event.remote_id
    part = "" if series == first else sha256(series.encode()).hexdigest()[:8]
    master = f"{name}#{part}" if part else name
    event = replace(event, etag=etag, private=private_marks(event))
    if event.original_start is None:
        return replace(event, remote_id=master)
    value = event.original_start.value
    stamp = f"{value:%Y%m%d}T{value:%H%M%S}{'F' if event.this_and_future else ''}"
    return replace(event, remote_id=f"{name}#{part}-{stamp}" if part else f"{name}#{stamp}", master_id=master)


def gone(name: str, parts: Iterable[str] = ()) -> list[CalendarEvent]:
    """What says in an incremental listing that a resource, or a part of it, is no more."""
    ids = [name, *(f"{name}#{part}" for part in parts)]
    return [CalendarEvent(remote_id=one, status=EventStatus.CANCELLED) for one in ids]


def plain_etag(value: str) -> str:
    """An entity tag as the server itself has it: without the mark of weakness and the suffix of a compression, which
    servers and proxies add on the way and do not know again in ``If-Match``
    (https://httpd.apache.org/docs/2.4/mod/mod_deflate.html#deflatealteretag, and ``--gzip`` of Jetty)."""
    value = value.strip()
    value = value[2:] if value[:2] in ("W/", "w/") else value
    return _COMPRESSED.sub('"', value)


def element_text(element: Element | None) -> str:
    """The whole text of an element."""
    return "" if element is None else "".join(element.itertext())


def busy_from(data: str | bytes) -> list[Span]:
    """The busy times of a VFREEBUSY (RFC 5545 §3.6.4); every FBTYPE but FREE counts.

    :raises ValueError: the answer has no VFREEBUSY, or times that cannot be read; that is no word of being free.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    parts = [
        part for outer in components(text) for part in (outer, *outer.children) if part.name == "VFREEBUSY"
    ]
    if not parts:
        raise ValueError("The answer has no busy times.")
    lists = [read_freebusy(part, ZoneNames({}).iana) for part in parts]
    if unclear := [sentence for one in lists for sentence in (*one.lost, *one.doubts)]:
        raise ValueError(unclear[0])
    return merge(_span(event) for one in lists for event in one.events)


def _span(event: CalendarEvent) -> Span:
    """When the event is; an answer's times are in UTC (RFC 4791 §7.10). :raises ValueError: they are dates."""
    if event.start is None or event.end is None or event.start.all_day:
        raise ValueError("A busy time has no time of day.")
    return Span(instant_of(event.start, "UTC"), instant_of(event.end, "UTC"))
