"""``events.list`` and ``events.instances``: filters, expansion, pages, and sync-token chains.

Sources: https://developers.google.com/workspace/calendar/api/v3/reference/events/list and
https://developers.google.com/workspace/calendar/api/guides/sync. A listing is a snapshot: its first page fixes the
newest change it will show, later pages carry that bound in their token, and the ``nextSyncToken`` of the last page
points there. What changes meanwhile is absent from the pages and present in the next incremental answer.

An incremental answer contains every change, also of events outside the time window of the first listing (they may
have left it); the window only bounds how far series are expanded.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from calendar_app.sandbox.google.calendars import CalendarRow
from calendar_app.sandbox.google.error import full_sync_required, invalid
from calendar_app.sandbox.google.events import horizon_of
from calendar_app.sandbox.google.recurrence import Instance, Series, instant_of, written_in
from calendar_app.sandbox.google.resource import stub
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

DEFAULT_PAGE, LARGEST_PAGE = 250, 2500
TOKEN_LIFE_MS = 30 * 86_400_000
"""How long a sync token lives here; Google says only that tokens expire."""


def encode(content: Json) -> str:
    """An opaque token."""
    return urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def decode(token: str) -> Json | None:
    """What :func:`encode` made; ``None`` for anything else."""
    try:
        content = orjson.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, binascii.Error):
        return None
    return content if isinstance(content, dict) else None


@dataclass(frozen=True, slots=True)
class Query:
    """A listing as asked for. Instants are epoch seconds, ``updated_min`` milliseconds.

    ``since`` is the sync token's position, ``until`` the snapshot's bound, ``after`` the last row of the page before.
    ``series`` restricts to one series (``events.instances``), ``original`` to one instance key within it.
    """

    single: bool = False
    show_deleted: bool = False
    time_min: int | None = None
    time_max: int | None = None
    updated_min: int | None = None
    text: str = ""
    ical_uid: str = ""
    private: tuple[tuple[str, str], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    event_types: tuple[str, ...] = ()
    order: str = ""
    series: str = ""
    original: str = ""
    limit: int = DEFAULT_PAGE
    since: int | None = None
    until: int = 0
    after: tuple[int, str] | None = None

    def fingerprint(self) -> Json:
        """What must not change between the pages of one listing."""
        return {
            "w": [self.time_min, self.time_max, self.updated_min],
            "f": [self.text, self.ical_uid, self.private, self.shared, self.series, self.original],
            "o": [self.order, self.show_deleted],
            **self.shape(),
        }

    def shape(self) -> Json:
        """What must not change along a chain of sync tokens."""
        return {"s": self.single, "e": sorted(self.event_types)}

    @property
    def syncable(self) -> bool:
        """Whether Google gives a sync token for it: filters that hide changes, and other orders, exclude it."""
        filters = (self.text, self.ical_uid, self.private, self.shared, self.order, self.series)
        return not any(filters) and self.updated_min is None


def resume_page(query: Query, token: str) -> Query:
    """The query continued at ``token``.

    :raises GoogleError: 400 for a token of another listing.
    """
    content = decode(token)
    if content is None or content.get("q") != orjson.loads(orjson.dumps(query.fingerprint())):
        raise invalid("Invalid page token value.", "pageToken")
    key, event_id = content["a"]
    return replace(query, since=content["since"], until=content["u"], after=(key, event_id))


def resume_sync(query: Query, token: str, calendar: CalendarRow, now_ms: int) -> Query:
    """The query as an incremental one.

    :raises GoogleError: 410 for an expired or unknown token, 400 where the other parameters differ.
    """
    content = decode(token)
    if (
        content is None
        or content.get("c") != calendar.id
        or content.get("epoch") != calendar.sync_epoch
        or now_ms - content.get("t", 0) > TOKEN_LIFE_MS
    ):
        raise full_sync_required()
    if content["q"] != query.shape():
        raise invalid("The request parameters differ from those the sync token was made with.", "syncToken")
    time_min, time_max = content["w"]
    return replace(query, since=content["seq"], time_min=time_min, time_max=time_max, show_deleted=True)


@dataclass(frozen=True, slots=True)
class Item:
    """One result. ``key`` orders it; ``body`` is stored JSON or an instance made from its series."""

    key: int
    id: str
    body: str | Json


class Listing:
    """One page of one calendar's events. ``zone`` converts times in the answer; ``max_attendees`` shortens."""

    def __init__(self, store: Store, calendar: CalendarRow, query: Query) -> None:
        self.store, self.calendar = store, calendar
        self.query = query if query.until else replace(query, until=store.sequence())

    def page(self, *, zone: str = "", max_attendees: int = 0) -> Json:
        """``items``, and ``nextPageToken`` or (where Google gives one) ``nextSyncToken``."""
        query = self.query
        found: list[Item] = []
        for item in self._sorted() if query.single or query.series else self._stored():
            found.append(item)
            if len(found) > query.limit:
                break
        items = [self._rendered(item, zone, max_attendees) for item in found[: query.limit]]
        if len(found) > query.limit:
            last = found[query.limit - 1]
            token = {
                "q": query.fingerprint(),
                "a": [last.key, last.id],
                "u": query.until,
                "since": query.since,
            }
            return {"items": items, "nextPageToken": encode(token)}
        if not query.syncable:
            return {"items": items}
        sync = {"c": self.calendar.id, "epoch": self.calendar.sync_epoch, "t": self.store.now_ms()}
        sync |= {"q": query.shape(), "w": [query.time_min, query.time_max], "seq": query.until}
        return {"items": items, "nextSyncToken": encode(sync)}

    def _rendered(self, item: Item, zone: str, max_attendees: int) -> Any:
        incremental = self.query.since is not None
        if isinstance(item.body, str) and not (incremental or zone or max_attendees):
            return orjson.Fragment(item.body)
        body = orjson.loads(item.body) if isinstance(item.body, str) else item.body
        if incremental and body["status"] == "cancelled":
            return stub(body)
        return presented(body, self.calendar.body["timeZone"], zone, max_attendees)

    def _where(self) -> tuple[str, dict[str, Any]]:
        """The filters that SQL can decide, over ``event`` as ``e``."""
        query = self.query
        values: dict[str, Any] = {
            "calendar": self.calendar.id,
            "since": query.since or 0,
            "until": query.until,
        }
        parts = ["e.calendar = :calendar", "e.seq > :since", "e.seq <= :until"]
        if query.since is None and not query.show_deleted and query.updated_min is None:
            parts.append(
                "(e.status != 'cancelled' OR (e.series IS NOT NULL AND :single = 0 AND EXISTS (SELECT 1 FROM event m "
                "WHERE m.calendar = e.calendar AND m.id = e.series AND m.status != 'cancelled' AND m.recurring)))"
            )
            values["single"] = query.single
        if query.updated_min is not None:
            parts.append("e.updated >= :updated_min")
            values["updated_min"] = query.updated_min
        if query.since is None:
            parts.append(
                "(e.recurring OR (e.ends > coalesce(:low, e.ends - 1) AND e.starts < coalesce(:high, e.starts + 1)))"
            )
            values |= {"low": query.time_min, "high": query.time_max}
        if query.ical_uid:
            parts.append("e.ical_uid = :ical_uid")
            values["ical_uid"] = query.ical_uid
        if query.series:
            parts.append("(e.id = :series OR e.series = :series)")
            values["series"] = query.series
        for scope, wanted in (("private", query.private), ("shared", query.shared)):
            for number, (name, value) in enumerate(wanted):
                path = f"{scope}{number}"
                parts.append(
                    f"EXISTS (SELECT 1 FROM json_each(e.body, '$.extendedProperties.{scope}') p "  # noqa: S608
                    f"WHERE p.key = :{path}k AND p.value = :{path}v)"
                )
                values |= {f"{path}k": name, f"{path}v": value}
        if query.event_types:
            names = [f":type{number}" for number in range(len(query.event_types))]
            parts.append(f"json_extract(e.body, '$.eventType') IN ({', '.join(names)})")
            values |= dict(zip((name[1:] for name in names), query.event_types, strict=True))
        return " AND ".join(parts), values

    def _rows(self, columns: str, condition: str = "", order: str = "", **more: Any) -> Iterator[Any]:
        where, values = self._where()
        sql = f"SELECT {columns} FROM event e WHERE {where} {condition} {order}"  # noqa: S608  # constants only
        yield from self.store.db.execute(sql, values | more)

    def _stored(self) -> Iterator[Item]:
        """Singles, series and exceptions as they are, in the order of their last change."""
        query = self.query
        after = query.after[0] if query.after else 0
        for row in self._rows("e.*", "AND e.seq > :after", "ORDER BY e.seq", after=after):
            if query.text and not mentions(orjson.loads(row["body"]), query.text):
                continue
            if query.since is None and row["recurring"] and not self._happens_in_window(row):
                continue
            yield Item(row["seq"], row["id"], row["body"])

    def _happens_in_window(self, row: Any) -> bool:
        if self.query.time_min is None and self.query.time_max is None:
            return True
        return any(True for _ in self._instances(orjson.loads(row["body"])))

    def _instances(self, master: Json) -> Iterator[tuple[Series, Instance]]:
        series = Series(master, self.calendar.body["timeZone"])
        limit = self.query.time_max
        end = horizon_of(series, self.store.now()) if limit is None else limit
        for instance in series.between(self.query.time_min, end):
            yield series, instance

    def _sorted(self) -> Iterator[Item]:
        """Singles and instances: by start in a full listing, by change in an incremental one."""
        incremental = self.query.since is not None or self.query.order == "updated"
        items = [(key, event_id, body) for key, event_id, body in self._single_items(incremental)]
        items.sort(key=lambda item: item[:2])
        for key, event_id, body in items:
            if not event_id.endswith(self.query.original):
                continue
            if self.query.after is None or (key, event_id) > self.query.after:
                yield Item(key, event_id, self._body(event_id) if body is None else body)

    def _body(self, event_id: str) -> str:
        sql = "SELECT body FROM event WHERE calendar = ? AND id = ?"
        return str(self.store.db.execute(sql, (self.calendar.id, event_id)).fetchone()["body"])

    def _single_items(self, incremental: bool) -> Iterator[tuple[int, str, Any]]:
        query = self.query
        masters: list[Any] = []
        columns = "e.*" if query.text else "e.id, e.seq, e.starts, e.ends, e.recurring, e.series, e.status"
        for row in self._rows(columns):
            if row["recurring"]:
                masters.append(row)
            elif row["series"] is None and query.series:
                continue
            elif not query.text or mentions(orjson.loads(row["body"]), query.text):
                yield row["seq"] if incremental else row["starts"], row["id"], None
        for row in masters:
            if row["status"] != "cancelled":
                yield from self._virtual(row, incremental)
        if query.since is not None:
            yield from self._ghosts()

    def _virtual(self, row: Any, incremental: bool) -> Iterator[tuple[int, str, Json]]:
        """Instances nobody changed."""
        stored = self.store.db.execute(
            "SELECT id, body FROM event WHERE calendar = ? AND (series = ? OR id = ?)",
            (self.calendar.id, row["id"], row["id"]),
        ).fetchall()
        bodies = {each["id"]: each["body"] for each in stored}
        master = orjson.loads(bodies[row["id"]])
        if self.query.text and not mentions(master, self.query.text):
            return
        for series, instance in self._instances(master):
            if (event_id := f"{row['id']}_{instance.key}") not in bodies:
                yield row["seq"] if incremental else instance.start, event_id, series.body(instance)

    def _ghosts(self) -> Iterator[tuple[int, str, Json]]:
        rows = self.store.db.execute(
            "SELECT * FROM ghost g WHERE calendar = :calendar AND seq > :since AND seq <= :until AND NOT EXISTS "
            "(SELECT 1 FROM event e WHERE e.calendar = g.calendar AND e.id = g.id AND e.recurring = 0)",
            {"calendar": self.calendar.id, "since": self.query.since, "until": self.query.until},
        )
        for row in rows:
            gone = {
                "kind": "calendar#event",
                "etag": f'"{row["seq"]:016d}"',
                "id": row["id"],
                "status": "cancelled",
            }
            yield row["seq"], row["id"], gone


def mentions(event: Json, text: str) -> bool:
    """Free-text search: every word in the title, description, place, or the people's names and addresses."""
    people = [event.get("organizer", {}), *event.get("attendees", [])]
    fields = [event.get(name, "") for name in ("summary", "description", "location")]
    fields += [person.get(name, "") for person in people for name in ("displayName", "email")]
    haystack = " ".join(fields).lower()
    return all(word in haystack for word in text.lower().split())


def presented(event: Json, calendar_zone: str, zone: str = "", max_attendees: int = 0) -> Json:
    """The event with its times written in ``zone``, and only its owner among too many attendees."""
    event = dict(event)
    if zone:
        for name in ("start", "end", "originalStartTime"):
            if "dateTime" in event.get(name, {}):
                written = written_in(instant_of(event[name], calendar_zone), zone)
                event[name] = {**event[name], "dateTime": written}
    if 0 < max_attendees < len(event.get("attendees", ())):
        event["attendees"] = [person for person in event["attendees"] if person.get("self")]
        event["attendeesOmitted"] = True
    return event
