"""Accounts, event types, scheduled events and invitees of the stand-in, with Calendly's rules for their changes.

A scheduled event keeps its time for ever: rescheduling cancels it and makes another, and both invitees name each other
(https://developer.calendly.com/see-how-webhook-payloads-change-when-invitees-reschedule-events). Methods that change
something mark ``invitee.created:<uuid>`` or ``invitee.canceled:<uuid>``, which is what webhooks tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from calendar_app.sandbox.calendly.error import denied, not_found
from calendar_app.sandbox.stand_in import Listed
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

API = "https://api.calendly.com"
"""What resources are called, wherever the stand-in listens."""
SITE = "https://calendly.com"
DEFAULT_ZONE = "Europe/Berlin"
EVENT_TYPES = (("Intro call", 30, "#0069ff"), ("Working session", 60, "#17e885"))
NO_TRACKING = dict.fromkeys(
    ("utm_campaign", "utm_source", "utm_medium", "utm_content", "utm_term", "salesforce_uuid")
)


def stamp(moment: datetime) -> str:
    """``2026-11-21T09:00:00.000000Z``."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def uuid_of(uri: str) -> str:
    """The last part of a resource's URI."""
    return uri.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Account:
    """A user of Calendly; ``organization`` is a URI, ``role`` that of the membership, ``body`` the User resource."""

    uuid: str
    email: str
    organization: str
    role: str
    body: Json

    @property
    def uri(self) -> str:
        return f"{API}/users/{self.uuid}"

    @property
    def name(self) -> str:
        return str(self.body["name"])


class Bookings:
    """Use of the account, event type, event and invitee tables."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # --- accounts -----------------------------------------------------------------------------------------------------

    def accounts(self) -> list[Account]:
        rows = self.store.db.execute("SELECT * FROM account ORDER BY rowid").fetchall()
        return [_account(row) for row in rows]

    def account(self, uuid: str) -> Account | None:
        row = self.store.db.execute("SELECT * FROM account WHERE uuid = ?", (uuid,)).fetchone()
        return _account(row) if row else None

    def by_email(self, email: str) -> Account | None:
        row = self.store.db.execute("SELECT * FROM account WHERE email = ?", (email.lower(),)).fetchone()
        return _account(row) if row else None

    def ensure_account(
        self, email: str, name: str = "", *, organization: str = "", role: str = "owner"
    ) -> Account:
        """The account of ``email``, made with two event types and an organization of its own if need be."""
        found = self.by_email(email)
        if found is not None:
            return found
        uuid, now = str(uuid4()), stamp(self.store.now())
        organization = organization or f"{API}/organizations/{uuid4()}"
        slug = email.partition("@")[0].lower()
        body: Json = {
            "uri": f"{API}/users/{uuid}",
            "name": name or slug.replace(".", " ").title(),
            "slug": slug,
            "email": email.lower(),
            "scheduling_url": f"{SITE}/{slug}",
            "timezone": DEFAULT_ZONE,
            "avatar_url": None,
            "created_at": now,
            "updated_at": now,
            "current_organization": organization,
        }
        account = Account(uuid, email.lower(), organization, role, body)
        with self.store.writing():
            self.store.db.execute(
                "INSERT INTO account VALUES (?, ?, ?, ?, ?)",
                (uuid, account.email, organization, role, orjson.dumps(body).decode()),
            )
            for title, minutes, color in EVENT_TYPES:
                self._add_event_type(account, title, minutes, color, now)
        return account

    def event_types(self, account: str) -> list[Json]:
        rows = self.store.db.execute(
            "SELECT body FROM event_type WHERE account = ? ORDER BY rowid", (account,)
        )
        return [orjson.loads(row["body"]) for row in rows]

    def _add_event_type(self, account: Account, title: str, minutes: int, color: str, now: str) -> None:
        uuid, slug = str(uuid4()), title.lower().replace(" ", "-")
        body: Json = {
            "uri": f"{API}/event_types/{uuid}",
            "name": title,
            "active": True,
            "slug": slug,
            "scheduling_url": f"{account.body['scheduling_url']}/{slug}",
            "duration": minutes,
            "kind": "solo",
            "pooling_type": None,
            "type": "StandardEventType",
            "color": color,
            "created_at": now,
            "updated_at": now,
            "internal_note": None,
            "description_plain": f"{minutes} minutes with {account.name}",
            "description_html": f"<p>{minutes} minutes</p>",
            "profile": {"type": "User", "name": account.name, "owner": account.uri},
            "secret": False,
            "booking_method": "instant",
            "custom_questions": [],
            "deleted_at": None,
            "kind_description": "One-on-One",
            "admin_managed": False,
        }
        self.store.db.execute(
            "INSERT INTO event_type VALUES (?, ?, ?)", (uuid, account.uuid, orjson.dumps(body).decode())
        )

    # --- scheduled events ---------------------------------------------------------------------------------------------

    def event(self, uuid: str) -> tuple[str, Json]:
        """The event's account (uuid) and resource. :raises CalendlyError: 404."""
        row = self.store.db.execute("SELECT account, body FROM event WHERE uuid = ?", (uuid,)).fetchone()
        if row is None:
            raise not_found()
        return str(row["account"]), orjson.loads(row["body"])

    def invitees(self, event: str) -> list[Json]:
        rows = self.store.db.execute(
            "SELECT body FROM invitee WHERE event = ? ORDER BY created, rowid", (event,)
        )
        return [orjson.loads(row["body"]) for row in rows]

    def invitee(self, uuid: str) -> Json | None:
        row = self.store.db.execute("SELECT body FROM invitee WHERE uuid = ?", (uuid,)).fetchone()
        return orjson.loads(row["body"]) if row else None

    def book(
        self,
        account: Account,
        title: str,
        start: datetime,
        end: datetime,
        *,
        name: str = "Casey Customer",
        email: str = "casey.customer@example.net",
        location: Json | None = None,
    ) -> str:
        """A customer books; the event's uuid. :raises ValueError: it would end before it starts."""
        with self.store.writing():
            event, _invitee = self._insert(account, title, start, end, name, email, location)
        return event

    def cancel(self, event: str, *, by: str, reason: str = "", canceler_type: str = "host") -> Json:
        """The Cancellation. :raises CalendlyError: 404, 403 where it is over or cancelled already."""
        _, body = self.event(event)
        if body["status"] == "canceled":
            raise denied("Event is already canceled")
        if body["end_time"] <= stamp(self.store.now()):
            raise denied("Event in the past")
        cancellation = {"canceled_by": by, "reason": reason or None, "canceler_type": canceler_type}
        with self.store.writing():
            self._cancel(event, body, cancellation)
        return cancellation

    def reschedule(self, event: str, start: datetime) -> str:
        """The invitee picks another time: a new event, its uuid; the old one is cancelled.

        :raises CalendlyError: 404, 403 where it is cancelled.
        """
        owner, body = self.event(event)
        if body["status"] == "canceled":
            raise denied("Event is already canceled")
        account = self.account(owner)
        assert account is not None
        length = datetime.fromisoformat(body["end_time"]) - datetime.fromisoformat(body["start_time"])
        old = next(person for person in self.invitees(event) if person["status"] == "active")
        cancellation = {"canceled_by": old["name"], "reason": None, "canceler_type": "invitee"}
        with self.store.writing():
            uuid, invitee = self._insert(
                account, body["name"], start, start + length, old["name"], old["email"], body["location"], old
            )
            self._cancel(
                event, body, cancellation, new_invitee=f"{API}/scheduled_events/{uuid}/invitees/{invitee}"
            )
        return uuid

    def _insert(
        self,
        account: Account,
        title: str,
        start: datetime,
        end: datetime,
        name: str,
        email: str,
        location: Json | None,
        old: Json | None = None,
    ) -> tuple[str, str]:
        if not start < end:
            raise ValueError("An event ends after it starts.")
        uuid, now = str(uuid4()), self.store.now()
        types = self.event_types(account.uuid)
        kind = next((one for one in types if one["name"] == title), types[0])
        body: Json = {
            "uri": f"{API}/scheduled_events/{uuid}",
            "name": title,
            "status": "active",
            "start_time": stamp(start),
            "end_time": stamp(end),
            "event_type": kind["uri"],
            "location": location,
            "invitees_counter": {"total": 1, "active": 1, "limit": 1},
            "created_at": stamp(now),
            "updated_at": stamp(now),
            "event_memberships": [
                {"user": account.uri, "user_email": account.email, "user_name": account.name}
            ],
            "event_guests": [],
            "calendar_event": None,
        }
        self.store.next_sequence()
        self.store.db.execute(
            "INSERT INTO event VALUES (?, ?, 'active', ?, ?, ?)",
            (uuid, account.uuid, milliseconds(start), milliseconds(end), orjson.dumps(body).decode()),
        )
        return uuid, self._invite(uuid, name, email, now, old)

    def _invite(self, event: str, name: str, email: str, now: datetime, old: Json | None) -> str:
        uuid = str(uuid4())
        body: Json = {
            "uri": f"{API}/scheduled_events/{event}/invitees/{uuid}",
            "email": email,
            "first_name": None,
            "last_name": None,
            "name": name,
            "status": "active",
            "questions_and_answers": [],
            "timezone": DEFAULT_ZONE,
            "event": f"{API}/scheduled_events/{event}",
            "created_at": stamp(now),
            "updated_at": stamp(now),
            "tracking": NO_TRACKING,
            "text_reminder_number": None,
            "rescheduled": False,
            "old_invitee": old["uri"] if old else None,
            "new_invitee": None,
            "cancel_url": f"{SITE}/cancellations/{uuid}",
            "reschedule_url": f"{SITE}/reschedulings/{uuid}",
            "routing_form_submission": None,
            "payment": None,
            "no_show": None,
            "reconfirmation": None,
        }
        self.store.db.execute(
            "INSERT INTO invitee VALUES (?, ?, ?, ?)",
            (uuid, event, milliseconds(now), orjson.dumps(body).decode()),
        )
        self.store.touch(f"invitee.created:{uuid}")
        return uuid

    def _cancel(self, event: str, body: Json, cancellation: Json, *, new_invitee: str | None = None) -> None:
        now = stamp(self.store.now())
        body |= {"status": "canceled", "cancellation": cancellation, "updated_at": now}
        body["invitees_counter"] |= {"active": 0}
        self.store.next_sequence()
        self.store.db.execute(
            "UPDATE event SET status = 'canceled', body = ? WHERE uuid = ?",
            (orjson.dumps(body).decode(), event),
        )
        for person in self.invitees(event):
            if person["status"] == "active":
                person |= {"status": "canceled", "cancellation": cancellation, "updated_at": now}
                person |= {"rescheduled": new_invitee is not None, "new_invitee": new_invitee}
                uuid = uuid_of(person["uri"])
                self.store.db.execute(
                    "UPDATE invitee SET body = ? WHERE uuid = ?", (orjson.dumps(person).decode(), uuid)
                )
                self.store.touch(f"invitee.canceled:{uuid}")

    # --- what is asked of them ----------------------------------------------------------------------------------------

    def listed(self, accounts: list[str], since: int | None, until: int | None) -> list[Json]:
        """Events of the accounts that start within ``[since, until)`` (milliseconds), by start."""
        marks = ", ".join("?" * len(accounts))
        rows = self.store.db.execute(
            f"SELECT body FROM event WHERE account IN ({marks}) AND starts >= coalesce(?, starts) "  # noqa: S608
            "AND starts < coalesce(?, starts + 1) ORDER BY starts, uuid",
            (*accounts, since, until),
        )
        return [orjson.loads(row["body"]) for row in rows]

    def busy(self, account: str, since: int, until: int) -> list[Json]:
        """Active events that overlap ``[since, until)`` (milliseconds), by start."""
        rows = self.store.db.execute(
            "SELECT body FROM event WHERE account = ? AND status = 'active' AND starts < ? AND ends > ? "
            "ORDER BY starts, uuid",
            (account, until, since),
        )
        return [orjson.loads(row["body"]) for row in rows]

    def upcoming(self, account: str, listed: Listed) -> list[Json]:
        """The account's next active events."""
        now = self.store.now()
        start, end = now - timedelta(days=1), now + timedelta(days=listed.days)
        return self.busy(account, milliseconds(start), milliseconds(end))[: listed.limit]


def _account(row: Any) -> Account:
    return Account(row["uuid"], row["email"], row["organization"], row["role"], orjson.loads(row["body"]))
