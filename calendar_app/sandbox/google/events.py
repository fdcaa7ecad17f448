"""Everything that changes an event, for the API, the page and the control interface alike.

Rules beyond the single resource (:mod:`.resource`): client-supplied ids and 409, ``If-Match`` and 412, deleted events
that stay readable and can come back, and the instances of a series. Changing or deleting an instance makes an
*exception* row under the instance's own id, with ``recurringEventId`` and ``originalStartTime``
(https://developers.google.com/workspace/calendar/api/guides/recurringevents).

A *ghost* is an id that a client which reads single events may hold and which is gone because its series changed;
incremental answers report it as cancelled.
"""

from __future__ import annotations

import re
import uuid
from base64 import b32hexencode
from datetime import datetime, timedelta
from typing import Any

import orjson

from calendar_app.sandbox.google import conferences
from calendar_app.sandbox.google.error import GoogleError, condition_not_met, invalid, not_found, required
from calendar_app.sandbox.google.guests import copies
from calendar_app.sandbox.google.recurrence import INSTANCE_ID, Series, instant_of
from calendar_app.sandbox.google.resource import (
    EVENT_ID,
    CalendarRef,
    merged,
    sealed,
    without_nulls,
    writable,
)
from calendar_app.sandbox.google.rules import HTML_DESCRIPTIONS, NO_INVITATIONS, NO_REVIVAL, PURGED_IDS
from calendar_app.sandbox.rules import Rules
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

_NO_MARKUP = re.compile(
    r"<(?!/?(?:a|b|br|div|em|i|li|ol|p|s|span|strong|u|ul)(?:\s[^<>]*)?/?>)[^<>]*>", re.IGNORECASE
)
"""What stands in angle brackets and is none of the elements that Google keeps."""
HORIZON = timedelta(days=731)
"""How far ahead of now an endless series is expanded where the request names no end; Google documents no number."""


def horizon_of(series: Series, now: datetime) -> int:
    """Where the expansion of an endless series stops: epoch seconds, exclusive."""
    return max(int(now.timestamp()), series.first) + int(HORIZON.total_seconds())


def new_event_id() -> str:
    """26 characters of base32hex, as Google's own ids."""
    return b32hexencode(uuid.uuid4().bytes).decode().rstrip("=").lower()


class Events:
    """Use of the event table; every method is one transaction."""

    def __init__(self, store: Store, public_url: str, rules: Rules) -> None:
        self.store, self.public_url, self.rules = store, public_url, rules
        self._waiting = conferences.Waiting()

    def get(self, calendar: CalendarRef, event_id: str) -> Json:
        """The stored event, or an instance by its rule.

        :raises GoogleError: 404.
        """
        found, stored = self._load(calendar, event_id)
        if found["status"] == "cancelled" and PURGED_IDS in self.rules:
            raise not_found()
        if conferences.is_pending(found) and self._waiting.is_over(calendar.id, event_id, self.rules):
            with self.store.writing():
                return self._save(
                    calendar, conferences.finished(found, self.public_url), found, stored=stored
                )
        return found

    def insert(self, calendar: CalendarRef, body: object, *, conference: bool = False) -> Json:
        """``conference``: what the body says of one counts.

        :raises GoogleError: 400, or 409 where the id was ever used on this calendar (deleted events count).
        """
        event = self._with_conference(without_nulls(writable(body)), {}, conference)
        event_id = event.setdefault("id", new_event_id())
        if not EVENT_ID.match(event_id):
            raise invalid("Invalid resource id value.")
        with self.store.writing():
            if self._row(calendar, event_id) is not None:
                raise GoogleError(409, "duplicate", "The requested identifier already exists.")
            self._check_guests(calendar, event, {})
            return self._save(calendar, event, None)

    def insert_many(self, calendar: CalendarRef, bodies: list[Json]) -> int:
        """Many events in one transaction, so with one notification; for benchmarks and the seed."""
        with self.store.writing():
            for body in bodies:
                self._save(calendar, {"id": new_event_id(), **body}, None)
        return len(bodies)

    def import_(self, calendar: CalendarRef, body: object) -> Json:
        """A private copy of an event known by ``iCalUID``; importing it again updates that copy."""
        event = without_nulls(writable(body))
        if not event.get("iCalUID"):
            raise required("Missing iCalUID.")
        row = self.store.db.execute(
            "SELECT id FROM event WHERE calendar = ? AND ical_uid = ? AND series IS NULL",
            (calendar.id, event["iCalUID"]),
        ).fetchone()
        if row is None:
            return self.insert(
                calendar, {"id": new_event_id(), **{k: v for k, v in event.items() if k != "id"}}
            )
        return self.update(calendar, row["id"], {"status": "confirmed", **event})

    def update(
        self,
        calendar: CalendarRef,
        event_id: str,
        body: object,
        if_match: str | None = None,
        *,
        conference: bool = False,
    ) -> Json:
        """Replaces every writable field. A deleted event comes back if ``status`` says so."""
        body = without_nulls(writable(body))
        return self._change(calendar, event_id, body, if_match, replace=True, conference=conference)

    def patch(
        self,
        calendar: CalendarRef,
        event_id: str,
        body: object,
        if_match: str | None = None,
        *,
        conference: bool = False,
    ) -> Json:
        body = writable(body)
        return self._change(calendar, event_id, body, if_match, replace=False, conference=conference)

    def _with_conference(self, body: Json, before: Json, conference: bool) -> Json:
        """The body with the conference that the event has after the write; ``null`` takes it away."""
        asked = body.pop("conferenceData", {}) if conference else {}
        body.pop("conferenceData", None)
        if asked is None:
            return body | ({"conferenceData": None, "hangoutLink": None} if before else {})
        return body | conferences.after_write(asked, before, self.rules, self.public_url)

    def delete(self, calendar: CalendarRef, event_id: str, if_match: str | None = None) -> None:
        """:raises GoogleError: 404; 410 where it is deleted already; 412."""
        with self.store.writing():
            before, stored = self._load(calendar, event_id)
            _match(before, if_match)
            if before["status"] == "cancelled":
                raise GoogleError(410, "deleted", "Resource has been deleted")
            self._save(calendar, {**before, "status": "cancelled"}, before, stored=stored)

    def move(self, source: CalendarRef, event_id: str, target: CalendarRef) -> Json:
        """Gives the event, with its exceptions, to another calendar; the old one keeps a cancelled remainder."""
        with self.store.writing():
            before, stored = self._load(source, event_id)
            if "recurringEventId" in before:
                raise invalid("Cannot change the organizer of an instance.")
            if before["status"] == "cancelled":
                raise not_found()
            if source.id == target.id:
                return before
            there = self._row(target, event_id)
            if there is not None and orjson.loads(there["body"])["status"] != "cancelled":
                raise GoogleError(409, "duplicate", "The requested identifier already exists.")
            exceptions = [orjson.loads(row["body"]) for row in self._exceptions(source, event_id)]
            self._save(source, {**before, "status": "cancelled"}, before, stored=stored)
            moved = self._arrive(target, before)
            for exception in exceptions:
                self._arrive(target, exception)
            return moved

    def _arrive(self, calendar: CalendarRef, event: Json) -> Json:
        mine = {name: value for name, value in event.items() if name != "organizer"}
        return self._save(calendar, dict(mine), {**mine, "status": "cancelled"})

    def _change(
        self,
        calendar: CalendarRef,
        event_id: str,
        body: Json,
        if_match: str | None,
        *,
        replace: bool,
        conference: bool,
    ) -> Json:
        with self.store.writing():
            before, stored = self._load(calendar, event_id)
            if before["status"] == "cancelled" and PURGED_IDS in self.rules:
                raise not_found()
            if before["status"] == "cancelled" and NO_REVIVAL in self.rules:
                raise GoogleError(403, "forbidden", "Forbidden")
            _match(before, if_match)
            self._check_guests(calendar, body, before)
            body = self._with_conference(body, before, conference)
            body = {name: value for name, value in body.items() if name not in ("id", "iCalUID", "eventType")}
            asked = body.get("sequence")
            if asked is not None and asked < before["sequence"]:
                raise invalid(
                    "Invalid sequence value. The specified sequence number is below the current sequence number of the "
                    "resource. Re-fetch the resource and use its sequence number on the following request."
                )
            if replace:
                kept = ("id", "iCalUID", "eventType", "recurringEventId", "originalStartTime")
                deleted = {"status": "cancelled"} if before["status"] == "cancelled" else {}
                event = {name: before[name] for name in kept if name in before} | deleted | body
            else:
                beside = {
                    name: before[name] for name in before if name not in ("conferenceData", "hangoutLink")
                }
                event = merged(beside, body)
            return self._save(calendar, event, before, stored=stored)

    def _check_guests(self, calendar: CalendarRef, body: Json, before: Json) -> None:
        """:raises GoogleError: 403 where ``body`` invites somebody new from outside, and no more may be invited."""
        if NO_INVITATIONS not in self.rules:
            return
        home = calendar.account.partition("@")[2]
        invited = {str(person.get("email", "")).lower() for person in before.get("attendees") or ()}
        asked = {str(person.get("email", "")).lower() for person in body.get("attendees") or ()}
        if any(not email.endswith(f"@{home}") for email in asked - invited):
            raise GoogleError(403, "quotaExceeded", "Calendar usage limits exceeded.", domain="usageLimits")

    def _row(self, calendar: CalendarRef, event_id: str) -> Any:
        return self.store.db.execute(
            "SELECT body FROM event WHERE calendar = ? AND id = ?", (calendar.id, event_id)
        ).fetchone()

    def _exceptions(self, calendar: CalendarRef, series_id: str) -> list[Any]:
        return self.store.db.execute(
            "SELECT id, status, original, body FROM event WHERE calendar = ? AND series = ? ORDER BY seq",
            (calendar.id, series_id),
        ).fetchall()

    def _load(self, calendar: CalendarRef, event_id: str) -> tuple[Json, bool]:
        """The event, and whether it has a row (an untouched instance has none)."""
        if (row := self._row(calendar, event_id)) is not None:
            return orjson.loads(row["body"]), True
        match = INSTANCE_ID.match(event_id)
        master = self._row(calendar, match["series"]) if match else None
        if match is None or master is None:
            raise not_found()
        body = orjson.loads(master["body"])
        if "recurrence" not in body:
            raise not_found()
        series = Series(body, calendar.zone)
        if (instance := series.at(match["key"])) is None:
            raise not_found()
        return series.body(instance), False

    def _save(self, calendar: CalendarRef, event: Json, before: Json | None, *, stored: bool = True) -> Json:
        if event.get("recurringEventId"):
            event.pop("recurrence", None)
        if event.get("description") and HTML_DESCRIPTIONS in self.rules:
            event = {**event, "description": _NO_MARKUP.sub("", event["description"])}
        sequence, now = self.store.next_sequence(), self.store.now()
        result = sealed(
            event, calendar, before=before, sequence=sequence, now=now, public_url=self.public_url
        )
        original = None
        if series := result.get("recurringEventId"):
            original = result["id"].removeprefix(f"{series}_")
        self.store.db.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (calendar, id) DO UPDATE SET "
            "seq = excluded.seq, status = excluded.status, updated = excluded.updated, starts = excluded.starts, "
            "ends = excluded.ends, recurring = excluded.recurring, body = excluded.body",
            (
                calendar.id,
                result["id"],
                sequence,
                result["status"],
                int(now.timestamp() * 1000),
                instant_of(result["start"], calendar.zone),
                instant_of(result["end"], calendar.zone),
                "recurrence" in result,
                series,
                original,
                result["iCalUID"],
                orjson.dumps(result).decode(),
            ),
        )
        self.store.touch(f"events:{calendar.id}")
        if before is not None and stored and ("recurrence" in before or "recurrence" in result):
            self._series_changed(calendar, before, result)
        for target, copy in copies(self.store, calendar, before, result):
            there = self._row(target, copy["id"])
            if there is not None or copy["status"] != "cancelled":
                self._save(target, dict(copy), copy, stored=False)
        return result

    def _series_changed(self, calendar: CalendarRef, before: Json, after: Json) -> None:
        """Reports instances that no longer exist, and cancels exceptions that lost their place in the rule.

        A series that comes back reports its cancelled exceptions again: who listed meanwhile has not seen them.
        """
        if all(before.get(name) == after.get(name) for name in ("start", "end", "recurrence", "status")):
            return
        alive = after["status"] != "cancelled"
        held, left = self._single_ids(calendar, before), self._single_ids(calendar, after) if alive else set()
        for gone in sorted(held - left):
            self.store.db.execute(
                "INSERT OR REPLACE INTO ghost VALUES (?, ?, ?)",
                (calendar.id, gone, self.store.next_sequence()),
            )
        self.store.db.executemany(
            "DELETE FROM ghost WHERE calendar = ? AND id = ?", [(calendar.id, event_id) for event_id in left]
        )
        series = Series(after, calendar.zone) if alive and "recurrence" in after else None
        back = series is not None and ("recurrence" not in before or before["status"] == "cancelled")
        for row in self._exceptions(calendar, after["id"]):
            lost = row["status"] != "cancelled" and (series is None or series.at(row["original"]) is None)
            if lost or back:
                exception = orjson.loads(row["body"])
                self._save(calendar, {**exception, "status": "cancelled"}, exception)

    def _single_ids(self, calendar: CalendarRef, event: Json) -> set[str]:
        """The ids under which a reader of single events sees ``event`` while it stands."""
        if "recurrence" not in event:
            return {event["id"]}
        series = Series(event, calendar.zone)
        horizon = horizon_of(series, self.store.now())
        return {f"{event['id']}_{instance.key}" for instance in series.between(None, horizon)}


def _match(event: Json, if_match: str | None) -> None:
    if (
        if_match
        and if_match.strip() != "*"
        and event["etag"] not in {tag.strip() for tag in if_match.split(",")}
    ):
        raise condition_not_met()
