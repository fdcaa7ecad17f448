"""Accounts, their calendars, and the two resources that show a calendar: Calendar and CalendarListEntry.

Source: https://developers.google.com/workspace/calendar/api/v3/reference/calendarList and ``/calendars``.
Every calendar belongs to one account and is visible to that account only; sharing (ACLs) is not simulated, but the
account's role can be any of Google's, and ``none`` hides the calendar as if it were no longer shared.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from calendar_app.sandbox.google.error import GoogleError, invalid, not_found, required
from calendar_app.sandbox.google.palette import CALENDAR_COLORS
from calendar_app.sandbox.google.recurrence import zone_named
from calendar_app.sandbox.google.resource import CalendarRef
from calendar_app.sandbox.store import Store

Json = dict[str, Any]

DEFAULT_ZONE = "Europe/Berlin"
WRITERS = ("owner", "writer", "writerWithoutPrivateAccess")
ROLES = (*WRITERS, "reader", "freeBusyReader", "none")
"""``accessRole`` of a CalendarListEntry, and ``none``."""
_CALENDAR_FIELDS = ("summary", "description", "location", "timeZone")
_LIST_FIELDS = {
    "colorId": str,
    "backgroundColor": str,
    "foregroundColor": str,
    "selected": bool,
    "hidden": bool,
    "summaryOverride": str,
    "defaultReminders": list,
}


@dataclass(frozen=True, slots=True)
class Account:
    """A person at the stand-in provider; ``sub`` is the stable id that userinfo gives."""

    email: str
    sub: str
    name: str


@dataclass(frozen=True, slots=True)
class CalendarRow:
    """A calendar as stored; ``sync_epoch`` counts how often its sync tokens were made to expire."""

    id: str
    account: str
    sequence: int
    deleted: bool
    primary: bool
    sync_epoch: int
    body: Json

    @property
    def ref(self) -> CalendarRef:
        return CalendarRef(self.id, self.account, self.body["timeZone"], self.body["summary"], self.primary)

    @property
    def role(self) -> str:
        """The account's ``accessRole``, or ``none``."""
        return str(self.body.get("accessRole", "owner"))

    @property
    def etag(self) -> str:
        return f'"{self.sequence:016d}"'

    def resource(self, conferences: Sequence[str]) -> Json:
        """``calendar#calendar``, on which such ``conferences`` may be made."""
        fields = {name: self.body[name] for name in _CALENDAR_FIELDS if self.body.get(name)}
        return {
            "kind": "calendar#calendar",
            "etag": self.etag,
            "id": self.id,
            **fields,
            **self._common(conferences),
        }

    def entry(self, conferences: Sequence[str]) -> Json:
        """``calendar#calendarListEntry``; only the id where the calendar is gone."""
        start = {"kind": "calendar#calendarListEntry", "etag": self.etag, "id": self.id}
        if self.deleted:
            return {**start, "deleted": True}
        fields = {name: value for name, value in self.body.items() if value not in ("", None, False)}
        primary = {"primary": True} if self.primary else {}
        defaults = {"accessRole": "owner", "defaultReminders": []}
        return {**start, **defaults, **fields, **primary, **self._common(conferences)}

    def _common(self, conferences: Sequence[str]) -> Json:
        meet = {"conferenceProperties": {"allowedConferenceSolutionTypes": list(conferences)}}
        return meet if self.primary else {**meet, "dataOwner": self.account}


class Calendars:
    """Use of the account and calendar tables."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def accounts(self) -> list[Account]:
        return [Account(**row) for row in self.store.db.execute("SELECT * FROM account ORDER BY rowid")]

    def account(self, email: str) -> Account | None:
        row = self.store.db.execute("SELECT * FROM account WHERE email = ?", (email,)).fetchone()
        return Account(**row) if row else None

    def add_account(self, email: str, name: str, zone: str = DEFAULT_ZONE) -> Account:
        """A new account with its primary calendar; inside a transaction."""
        sub = "1" + "".join(secrets.choice("0123456789") for _ in range(20))
        self.store.db.execute("INSERT INTO account VALUES (?, ?, ?)", (email, sub, name))
        self._save(
            email,
            email,
            {"summary": email, "timeZone": zone, "colorId": "16", "selected": True},
            primary=True,
        )
        return Account(email, sub, name)

    def ensure_account(self, email: str) -> Account:
        """The account of ``email`` (lower case), made if nobody used it before."""
        if (known := self.account(email)) is not None:
            return known
        with self.store.writing():
            return self.add_account(email, email.partition("@")[0].replace(".", " ").title())

    def of(self, account: str, *, deleted: bool = False, unshared: bool = False) -> list[CalendarRow]:
        """The account's calendars, primary first, then as made; ``unshared`` adds those with the role ``none``."""
        rows = self.store.db.execute(
            "SELECT * FROM calendar WHERE account = ? AND deleted <= ? ORDER BY is_primary DESC, rowid",
            (account, deleted),
        )
        return [found for found in map(_row, rows) if unshared or found.role != "none"]

    def find(self, calendar_id: str) -> CalendarRow | None:
        row = self.store.db.execute(
            "SELECT * FROM calendar WHERE id = ? AND deleted = 0", (calendar_id,)
        ).fetchone()
        return _row(row) if row else None

    def get(self, account: str, calendar_id: str) -> CalendarRow:
        """:raises GoogleError: 404 where it is missing or another account's."""
        row = self.find(account if calendar_id == "primary" else calendar_id)
        if row is None or row.account != account or row.role == "none":
            raise not_found()
        return row

    def set_role(self, row: CalendarRow, role: str) -> None:
        """What the account may do with the calendar from now on."""
        with self.store.writing():
            self._save(row.id, row.account, {**row.body, "accessRole": role}, primary=row.primary)

    def insert(self, account: str, body: Json) -> CalendarRow:
        fields = {name: body[name] for name in _CALENDAR_FIELDS if body.get(name)}
        if not isinstance(fields.get("summary"), str):
            raise required("Missing summary.")
        fields.setdefault("timeZone", self.get(account, "primary").body["timeZone"])
        zone_named(fields["timeZone"])
        calendar_id = f"c_{secrets.token_hex(16)}@group.calendar.google.com"
        with self.store.writing():
            self._save(calendar_id, account, {"colorId": "7", "selected": True, **fields})
        return self.get(account, calendar_id)

    def change(self, row: CalendarRow, body: Json, *, replace: bool = False) -> CalendarRow:
        """Update (``replace``) or patch of the Calendar resource."""
        body = {name: body[name] for name in _CALENDAR_FIELDS if name in body}
        if not all(value is None or isinstance(value, str) for value in body.values()):
            raise invalid("Invalid value")
        if body.get("timeZone"):
            zone_named(body["timeZone"])
        kept = {name: value for name, value in row.body.items() if not (replace and name in _CALENDAR_FIELDS)}
        fields = {**kept, **body}
        fields["summary"] = fields.get("summary") or row.body["summary"]
        fields["timeZone"] = fields.get("timeZone") or row.body["timeZone"]
        return self._store_change(row, fields)

    def change_entry(self, row: CalendarRow, body: Json, *, rgb: bool) -> CalendarRow:
        """Patch of the CalendarListEntry: colour, visibility and the person's own name for it."""
        changes = {name: value for name, value in body.items() if name in _LIST_FIELDS and value is not None}
        if not all(isinstance(value, _LIST_FIELDS[name]) for name, value in changes.items()):
            raise invalid("Invalid value")
        if not rgb:
            changes.pop("backgroundColor", None)
            changes.pop("foregroundColor", None)
        if changes.get("colorId", "1") not in CALENDAR_COLORS:
            raise invalid("Invalid calendar color ID.")
        return self._store_change(row, {**row.body, **changes}, recolored="colorId" in changes)

    def delete(self, row: CalendarRow) -> None:
        if row.primary:
            raise GoogleError(400, "invalid", "Cannot delete the primary calendar.")
        with self.store.writing():
            self.store.db.execute("DELETE FROM event WHERE calendar = ?", (row.id,))
            self.store.db.execute("DELETE FROM ghost WHERE calendar = ?", (row.id,))
            self._save(row.id, row.account, row.body, deleted=True)
            self.store.touch(f"events:{row.id}")

    def expire_sync_tokens(self, calendar_id: str | None = None) -> None:
        """Makes every sync token given out so far answer 410; of one calendar, or of all."""
        with self.store.writing():
            self.store.db.execute(
                "UPDATE calendar SET sync_epoch = sync_epoch + 1 WHERE id = coalesce(?, id)", (calendar_id,)
            )

    def _store_change(self, row: CalendarRow, fields: Json, *, recolored: bool = False) -> CalendarRow:
        if recolored:
            fields |= dict(
                zip(("backgroundColor", "foregroundColor"), CALENDAR_COLORS[fields["colorId"]], strict=True)
            )
        with self.store.writing():
            self._save(row.id, row.account, fields, primary=row.primary)
        return self.get(row.account, row.id)

    def _save(
        self, calendar_id: str, account: str, body: Json, *, primary: bool = False, deleted: bool = False
    ) -> None:
        background, foreground = CALENDAR_COLORS[body["colorId"]]
        fields = {"backgroundColor": background, "foregroundColor": foreground, **body}
        self.store.db.execute(
            "INSERT INTO calendar (id, account, seq, deleted, is_primary, body) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, deleted = excluded.deleted, body = excluded.body",
            (
                calendar_id,
                account,
                self.store.next_sequence(),
                deleted,
                primary,
                orjson.dumps(fields).decode(),
            ),
        )
        self.store.touch(f"calendars:{account}")


def _row(row: Any) -> CalendarRow:
    return CalendarRow(
        row["id"],
        row["account"],
        row["seq"],
        bool(row["deleted"]),
        bool(row["is_primary"]),
        row["sync_epoch"],
        orjson.loads(row["body"]),
    )
