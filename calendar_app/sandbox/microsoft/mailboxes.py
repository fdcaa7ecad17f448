"""Mailboxes and their calendars: ``/me``, ``/me/mailboxSettings``, ``/me/calendars``.

Source: https://learn.microsoft.com/graph/api/resources/user, .../mailboxsettings, .../calendar.
"""

from __future__ import annotations

import base64
import sqlite3
import uuid
from dataclasses import dataclass
from typing import Any

from calendar_app.sandbox.microsoft import ids
from calendar_app.sandbox.microsoft.error import GraphError, not_found
from calendar_app.sandbox.microsoft.zones import windows_name
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

DEFAULT_ZONE = "Europe/Berlin"
TENANT_ID = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
_PERSONAL = frozenset({"outlook.com", "hotmail.com", "live.com"})
COLORS = {
    # calendarColor and the hexColor that Outlook shows for it.
    "auto": "",
    "lightBlue": "#3a78c3",
    "lightGreen": "#57a15a",
    "lightOrange": "#e3722a",
    "lightGray": "#69797e",
    "lightYellow": "#c19c00",
    "lightTeal": "#00838f",
    "lightPink": "#c239b3",
    "lightBrown": "#8e562e",
    "lightRed": "#d13438",
}


def is_personal(email: str) -> bool:
    """Whether it is the address of a personal account: it has no organization, and less of Exchange."""
    return email.rpartition("@")[2].lower() in _PERSONAL


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A person with a mailbox; ``zone`` is an IANA name."""

    email: str
    id: str
    name: str
    zone: str

    def user(self) -> Json:
        """What ``/me`` answers by default."""
        given, _, family = self.name.partition(" ")
        return {
            "businessPhones": [],
            "displayName": self.name,
            "givenName": given,
            "jobTitle": None,
            "mail": self.email,
            "mobilePhone": None,
            "officeLocation": None,
            "preferredLanguage": "en-US",
            "surname": family or None,
            "userPrincipalName": self.email,
            "id": self.id,
        }

    def working_hours(self) -> Json:
        return {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": {"name": windows_name(self.zone)},
        }

    def settings(self) -> Json:
        """What ``/me/mailboxSettings`` answers."""
        return {
            "timeZone": windows_name(self.zone),
            "dateFormat": "yyyy-MM-dd",
            "timeFormat": "HH:mm",
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
            "workingHours": self.working_hours(),
            "userPurpose": "user",
        }


_TAKEN = "taken from "


@dataclass(frozen=True, slots=True)
class Calendar:
    """One calendar of a mailbox; ``epoch`` grows when its delta tokens are made void."""

    id: str
    mailbox: str
    seq: int
    name: str
    color: str
    is_default: bool
    can_edit: bool
    owner_name: str
    owner_email: str
    epoch: int

    def resource(self) -> Json:
        """The calendar as Graph returns it."""
        teams = not is_personal(self.owner_email)
        online: Json = {"allowedOnlineMeetingProviders": ["teamsForBusiness"] if teams else []}
        return {
            "id": ids.shown(self.id),
            "name": self.name,
            "color": self.color,
            "hexColor": COLORS[self.color],
            "isDefaultCalendar": self.is_default,
            "changeKey": base64.b64encode(f"c{self.seq:015d}".encode()).decode(),
            "canShare": self.can_edit,
            "canViewPrivateItems": self.can_edit,
            "canEdit": self.can_edit,
            **online,
            "defaultOnlineMeetingProvider": "teamsForBusiness" if teams else "unknown",
            "isTallyingResponses": self.is_default,
            "isRemovable": not self.is_default,
            "owner": {"name": self.owner_name, "address": self.owner_email},
        }


class Mailboxes:
    """Use of the mailbox and calendar tables."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def all(self) -> list[Mailbox]:
        rows = self.store.db.execute("SELECT * FROM mailbox ORDER BY rowid")
        return [Mailbox(*row) for row in rows]

    def find(self, email: str) -> Mailbox | None:
        row = self.store.db.execute("SELECT * FROM mailbox WHERE email = ?", (email.lower(),)).fetchone()
        return Mailbox(*row) if row else None

    def get(self, email: str) -> Mailbox:
        """:raises GraphError: 404."""
        found = self.find(email)
        if found is None:
            raise GraphError(
                404, "ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it."
            )
        return found

    def ensure(self, email: str, name: str = "", zone: str = DEFAULT_ZONE) -> Mailbox:
        """The mailbox of that address, made with an empty default calendar if need be."""
        if found := self.find(email):
            return found
        name = name or email.partition("@")[0].replace(".", " ").title()
        made = Mailbox(email.lower(), str(uuid.uuid4()), name, zone)
        with self.store.writing():
            self.store.db.execute(
                "INSERT INTO mailbox VALUES (?, ?, ?, ?)", (made.email, made.id, made.name, made.zone)
            )
            self._insert_calendar(made, "Calendar", "auto", True)
        return made

    def unshared(self, email: str) -> list[Calendar]:
        """The calendars that were taken out of the mailbox (:meth:`set_role`)."""
        return self.calendars(_TAKEN + email)

    def calendars(self, email: str) -> list[Calendar]:
        """The mailbox's calendars, the default one first."""
        rows = self.store.db.execute(
            "SELECT * FROM calendar WHERE mailbox = ? ORDER BY is_default DESC, seq", (email,)
        )
        return [_calendar(row) for row in rows]

    def calendar(self, email: str, shown_id: str) -> Calendar:
        """:raises GraphError: 400, 404."""
        found = self.calendar_by_own_id(ids.own(shown_id))
        if found is None or found.mailbox != email:
            raise not_found()
        return found

    def calendar_by_own_id(self, own_id: str) -> Calendar | None:
        row = self.store.db.execute("SELECT * FROM calendar WHERE id = ?", (own_id,)).fetchone()
        return _calendar(row) if row else None

    def default_calendar(self, email: str) -> Calendar:
        return self.calendars(email)[0]

    def add_calendar(
        self, mailbox: Mailbox, name: str, color: str = "auto", *, can_edit: bool = True
    ) -> Calendar:
        """Makes a further calendar."""
        with self.store.writing():
            own_id = self._insert_calendar(mailbox, name, color, False, can_edit)
        made = self.calendar_by_own_id(own_id)
        assert made is not None
        return made

    def set_role(self, calendar: Calendar, role: str) -> None:
        """What the mailbox may do with its calendar; ``none`` takes it out of the mailbox until it is given back."""
        mailbox = calendar.mailbox.removeprefix(_TAKEN)
        with self.store.writing():
            self.store.db.execute(
                "UPDATE calendar SET can_edit = ?, mailbox = ?, seq = ? WHERE id = ?",
                (
                    role == "owner",
                    _TAKEN + mailbox if role == "none" else mailbox,
                    self.store.next_sequence(),
                    calendar.id,
                ),
            )

    def expire_sync_tokens(self, own_id: str | None = None) -> None:
        """Makes the delta tokens of one calendar, or of all, answer 410."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE calendar SET epoch = epoch + 1 WHERE id = coalesce(?, id)", (own_id,)
            )

    def _insert_calendar(
        self, mailbox: Mailbox, name: str, color: str, is_default: bool, can_edit: bool = True
    ) -> str:
        own_id = ids.new_id()
        self.store.db.execute(
            "INSERT INTO calendar VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                own_id,
                mailbox.email,
                self.store.next_sequence(),
                name,
                color,
                is_default,
                can_edit,
                mailbox.name,
                mailbox.email,
            ),
        )
        return own_id


def _calendar(row: sqlite3.Row) -> Calendar:
    fields = dict(row) | {"is_default": bool(row["is_default"]), "can_edit": bool(row["can_edit"])}
    return Calendar(**fields)
