"""The events of the mailboxes: written, read, and laid out in a calendar view.

Source: https://learn.microsoft.com/graph/api/calendar-post-events, .../event-update, .../event-delete,
.../calendar-list-calendarview. All changes draw from the store's update sequence, which makes change keys.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from calendar_app.sandbox.microsoft import ids, online_meetings
from calendar_app.sandbox.microsoft.error import (
    GraphError,
    changed_meanwhile,
    denied,
    invalid_property,
    not_found,
)
from calendar_app.sandbox.microsoft.event import bounds, merged, writable
from calendar_app.sandbox.microsoft.guests import copies
from calendar_app.sandbox.microsoft.mailboxes import Calendar, Mailbox, Mailboxes, is_personal
from calendar_app.sandbox.microsoft.recurrence import Occurrence, Series
from calendar_app.sandbox.microsoft.resource import Stored, etag
from calendar_app.sandbox.microsoft.zones import zone_named
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

_PLACING = ("start", "end", "recurrence", "isAllDay")


class Events:
    """Use of the event table. Methods that name a mailbox see its events only."""

    def __init__(self, store: Store, mailboxes: Mailboxes, rules: Rules) -> None:
        self.store, self.mailboxes, self.rules = store, mailboxes, rules

    def insert(self, calendar: Calendar, given: object) -> Stored:
        """Makes an event; with a ``transactionId`` that an event of the mailbox has, gives that event.

        :raises GraphError: 400, 403.
        """
        return self.insert_many(calendar, [given])[0]

    def insert_many(self, calendar: Calendar, bodies: list[Any]) -> list[Stored]:
        """The same for many, in one change."""
        if not calendar.can_edit:
            raise denied()
        mailbox = self.mailboxes.get(calendar.mailbox)
        made = []
        with self.store.writing():
            for given in bodies:
                body = merged(None, writable(given))
                earlier = self._by_transaction(mailbox.email, body.get("transactionId"))
                made.append(earlier or self._insert(calendar, mailbox, body))
        return made

    def _by_transaction(self, email: str, transaction: str | None) -> Stored | None:
        if not transaction:
            return None
        row = self.store.db.execute(
            "SELECT event.* FROM event JOIN calendar ON calendar.id = event.calendar "
            "WHERE txn = ? AND status = 'live' AND mailbox = ?",
            (transaction, email),
        ).fetchone()
        return _stored(row) if row else None

    def _insert(self, calendar: Calendar, mailbox: Mailbox, body: Json) -> Stored:
        now = self.store.now_ms()
        body = self._with_meeting(mailbox.email, None, body, body)
        starts, ends = bounds(body, mailbox.zone)
        kind = "master" if body["recurrence"] is not None else "single"
        event = Stored(ids.new_id(), calendar.id, 0, kind, "live", None, None, starts, ends, now, now, body)
        return self._save(event, "created")

    def get(self, email: str, shown_id: str) -> Stored:
        """A single event, master, occurrence or exception.

        :raises GraphError: 400, 404.
        """
        own = ids.own(shown_id)
        found = self._row(own)
        if found is None and "." in own:
            master = self._row(own.partition(".")[0])
            if master is not None and master.status == "live" and master.kind == "master":
                occurrence = self._series(master).occurrence(own.partition(".")[2])
                found = self._occurrence(master, occurrence) if occurrence else None
        calendar = self.mailboxes.calendar_by_own_id(found.calendar) if found else None
        if found is None or calendar is None or found.status != "live" or calendar.mailbox != email:
            raise not_found()
        return self._whole(found)

    def read(self, event: Stored) -> Stored:
        """The event as it is after somebody has read it: its meeting may have been made by then."""
        body = online_meetings.after_read(event.body) if event.kind in ("single", "master") else None
        if body is None:
            return event
        self.touch(event, body)
        return self._row(event.id) or event

    def patch(self, email: str, shown_id: str, given: object, if_match: str | None = None) -> Stored:
        """Changes an event; an occurrence becomes an exception of its series.

        :raises GraphError: 400, 403, 404, 412.
        """
        change = writable(given)
        with self.store.writing():
            before = self._for_writing(email, shown_id, if_match)
            if change.get("transactionId", before.body.get("transactionId")) != before.body.get(
                "transactionId"
            ):
                raise GraphError(
                    400, "ErrorInvalidPropertySet", "The transactionId of an event cannot be changed."
                )
            if before.kind in ("occurrence", "exception"):
                return self._patch_occurrence(email, before, change)
            return self._patch_whole(email, before, change)

    def _patch_whole(self, email: str, before: Stored, change: Json) -> Stored:
        body = self._with_meeting(email, before.body, merged(before.body, change), change)
        starts, ends = bounds(body, self.mailboxes.get(email).zone)
        if before.kind == "master" and any(body[name] != before.body[name] for name in _PLACING):
            self._forget_exceptions(before.id)
        kind = "master" if body["recurrence"] is not None else "single"
        return self._save(replace(before, kind=kind, starts=starts, ends=ends, body=body), "updated")

    def _with_meeting(self, email: str, before: Json | None, after: Json, change: Json) -> Json:
        """``after`` with the Teams meeting that the event has once ``change`` is written."""
        return online_meetings.after_write(
            before,
            after,
            uuid.uuid4().hex,
            asked=bool(change.get("isOnlineMeeting")),
            allowed=not is_personal(email),
            rules=self.rules,
        )

    def _patch_occurrence(self, email: str, before: Stored, change: Json) -> Stored:
        if change.get("recurrence") is not None:
            raise invalid_property("The recurrence of an occurrence cannot be changed; change its series.")
        body = merged(before.body | {"recurrence": None}, change)
        starts, ends = bounds(body, self.mailboxes.get(email).zone)
        self._check_between_neighbours(before, starts, ends)
        overrides = {name: value for name, value in change.items() if name != "recurrence"}
        if earlier := self.store.db.execute("SELECT body FROM event WHERE id = ?", (before.id,)).fetchone():
            overrides = orjson.loads(earlier["body"]) | overrides
        overrides |= {"start": body["start"], "end": body["end"], "isAllDay": body["isAllDay"]}
        overrides["singleValueExtendedProperties"] = body["singleValueExtendedProperties"]
        event = replace(before, kind="exception", status="live", starts=starts, ends=ends, body=overrides)
        saved = self._whole(self._save(event, "updated"))
        self._stir(str(event.series))
        return saved

    def _check_between_neighbours(self, event: Stored, starts: int, ends: int) -> None:
        """As in Outlook, an occurrence cannot reach the day of the one before or after it."""
        master = self._master_of(event)
        series = self._series(master)
        day = datetime.fromtimestamp(starts, series.zone).date()
        before, after = series.neighbours(event.id.partition(".")[2])
        if (before and day <= before.wall.date()) or (
            after and (day >= after.wall.date() or ends > after.start)
        ):
            raise GraphError(
                400,
                "ErrorOccurrenceCrossingBoundary",
                "Modified occurrence is crossing or overlapping adjacent occurrence.",
            )

    def delete(self, email: str, shown_id: str, if_match: str | None = None) -> None:
        """Takes away an event, a series, or one occurrence of a series.

        :raises GraphError: 400, 403, 404, 412.
        """
        with self.store.writing():
            event = self._for_writing(email, shown_id, if_match)
            if event.kind == "master":
                self._forget_exceptions(event.id)
            kind = "exception" if event.series else event.kind
            self._save(replace(event, kind=kind, status="deleted"), "deleted")
            if event.series:
                self._stir(event.series)

    def call_off(self, email: str, shown_id: str) -> None:
        """The organizer cancels a single meeting or a series: it stays, free and marked, until the invited remove it.

        :raises GraphError: 400, 403, 404.
        """
        with self.store.writing():
            event = self._for_writing(email, shown_id, None)
            if event.series:
                raise invalid_property("Only a whole series can be called off here.")
            marks = {"isCancelled": True, "showAs": "free", "subject": f"Canceled: {event.body['subject']}"}
            self._save(replace(event, body=event.body | marks), "updated")

    def listed(self, calendar: Calendar) -> Iterator[Stored]:
        """Single events and masters, oldest first."""
        rows = self.store.db.execute(
            "SELECT * FROM event WHERE calendar = ? AND status = 'live' AND series IS NULL ORDER BY starts, id",
            (calendar.id,),
        )
        return (_stored(row) for row in rows)

    def view(self, calendar: Calendar, start: int, end: int) -> list[Stored]:
        """Single events, occurrences and exceptions that touch ``[start, end)``, in order."""
        rows = self.store.db.execute(
            "SELECT * FROM event WHERE calendar = ? AND status = 'live' AND (kind = 'master' OR "
            "(starts < ? AND (ends > ? OR (ends = starts AND starts >= ?))))",
            (calendar.id, end, start, start),
        )
        found: list[Stored] = []
        for row in rows:
            event = _stored(row)
            if event.kind == "master":
                found += self.occurrences(event, start, end)
            else:
                found.append(self._whole(event))
        return sorted(found, key=lambda event: (event.starts, event.id))

    def instances(self, master: Stored, start: int, end: int) -> list[Stored]:
        """Occurrences and exceptions of one series that touch ``[start, end)``, in order."""
        changed = [self._whole(event) for event in self._exceptions(master.id) if event.status == "live"]
        inside = [event for event in changed if event.starts < end and event.ends > start]
        return sorted(inside + self.occurrences(master, start, end), key=lambda event: event.starts)

    def occurrences(self, master: Stored, start: int, end: int) -> list[Stored]:
        """The occurrences that nobody changed."""
        changed = {event.id for event in self._exceptions(master.id)}
        found = (self._occurrence(master, one) for one in self._series(master).between(start, end))
        return [event for event in found if event.id not in changed]

    def changed_since(self, calendar: Calendar, after: int, until: int, limit: int) -> list[Stored]:
        """Single events and masters with a change in ``(after, until]``, deleted ones too, in the order of changes."""
        rows = self.store.db.execute(
            "SELECT * FROM event WHERE calendar = ? AND seq > ? AND seq <= ? AND series IS NULL ORDER BY seq LIMIT ?",
            (calendar.id, after, until, limit),
        )
        return [_stored(row) for row in rows]

    def touch(self, event: Stored, body: Json | None = None) -> None:
        """Give the event another version, and maybe another body, as Exchange does by itself."""
        with self.store.writing():
            self._save(replace(event, body=body or event.body), "updated")

    def etag_of(self, own_id: str) -> str:
        """The ETag of a stored event, deleted or not."""
        found = self._row(own_id)
        return etag(found) if found else ""

    def _for_writing(self, email: str, shown_id: str, if_match: str | None) -> Stored:
        event = self.get(email, shown_id)
        calendar = self.mailboxes.calendar_by_own_id(event.calendar)
        if calendar is None or not calendar.can_edit:
            raise denied()
        named = {tag.strip() for tag in (if_match or "*").split(",")}
        if not named & {"*", etag(event), f'"{event.change_key}"', event.change_key}:
            raise changed_meanwhile()
        return event

    def _row(self, own: str) -> Stored | None:
        row = self.store.db.execute("SELECT * FROM event WHERE id = ?", (own,)).fetchone()
        return _stored(row) if row else None

    def _master_of(self, event: Stored) -> Stored:
        master = self._row(event.series or "")
        assert master is not None
        return master

    def _whole(self, event: Stored) -> Stored:
        """An exception with what it takes from its master."""
        if event.kind != "exception":
            return event
        body = self._master_of(event).body | event.body | {"recurrence": None}
        return replace(event, body=body)

    def _exceptions(self, master: str) -> list[Stored]:
        return [
            _stored(row) for row in self.store.db.execute("SELECT * FROM event WHERE series = ?", (master,))
        ]

    def _series(self, master: Stored) -> Series:
        calendar = self.mailboxes.calendar_by_own_id(master.calendar)
        assert calendar is not None
        return Series(master.body, self.mailboxes.get(calendar.mailbox).zone)

    def _occurrence(self, master: Stored, one: Occurrence) -> Stored:
        sides = {}
        for name, at in (("start", one.start), ("end", one.end)):
            zone = master.body[name]["timeZone"]
            if master.body["isAllDay"]:
                first = datetime.fromisoformat(master.body["start"]["dateTime"])
                wall = one.wall + (datetime.fromisoformat(master.body[name]["dateTime"]) - first)
            else:
                wall = datetime.fromtimestamp(at, zone_named(zone)).replace(tzinfo=None)
            sides[name] = {"dateTime": wall.isoformat(), "timeZone": zone}
        return replace(
            master,
            id=f"{master.id}.{one.key}",
            kind="occurrence",
            series=master.id,
            original=one.start,
            starts=one.start,
            ends=one.end,
            body=master.body | sides | {"recurrence": None, "transactionId": None},
        )

    def _forget_exceptions(self, master: str) -> None:
        """What was different in a series that moves, or goes, is not any more."""
        self.store.db.execute("DELETE FROM event WHERE series = ?", (master,))

    def _stir(self, master: str) -> None:
        """A change of an occurrence is a change of its series, as Exchange keeps both in one item."""
        self.store.db.execute(
            "UPDATE event SET seq = ?, changed = ? WHERE id = ?",
            (self.store.next_sequence(), self.store.now_ms(), master),
        )

    def _save(self, event: Stored, change: str) -> Stored:
        """Stores the event, and what follows from it in the calendars of its attendees."""
        before = self._row(event.id)
        saved = self._store(event, change)
        for copy in copies(self.mailboxes, before, saved):
            there = self._row(copy.id)
            if there is not None or copy.status == "live":
                self._store(copy, change if there else "created")
        return saved

    def _store(self, event: Stored, change: str) -> Stored:
        event = replace(event, seq=self.store.next_sequence(), changed=self.store.now_ms())
        self.store.db.execute(
            "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event.id,
                event.calendar,
                event.seq,
                event.kind,
                event.status,
                event.series,
                event.original,
                event.starts,
                event.ends,
                event.body.get("transactionId"),
                event.created,
                event.changed,
                orjson.dumps(event.body).decode(),
            ),
        )
        # Subscriptions hear of a series as one item, as at Exchange.
        self.store.touch(
            f"{event.calendar} {event.series or event.id} {'updated' if event.series else change}"
        )
        return event


def _stored(row: sqlite3.Row) -> Stored:
    fields = {name: row[name] for name in Stored.__dataclass_fields__ if name != "body"}
    return Stored(body=orjson.loads(row["body"]), **fields)
