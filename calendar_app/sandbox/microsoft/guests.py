"""Copies of a meeting in its attendees' mailboxes.

When an event is sent, the server sends invitations to all the attendees
(https://learn.microsoft.com/graph/api/calendar-post-events), and Graph has no parameter that says otherwise. In a
mailbox the invitation stands in the calendar at once, tentatively, before anybody has answered it. Only whole events
are copied here, and an answer does not come back to the organizer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from calendar_app.sandbox.microsoft.mailboxes import Mailboxes
from calendar_app.sandbox.microsoft.resource import Json, Stored

ORGANIZER, MEETING = "organizer", "meeting"
"""What the body of a copy tells besides: whose meeting it is, and the id of the organizer's event."""


def copies(mailboxes: Mailboxes, before: Stored | None, after: Stored) -> Iterator[Stored]:
    """What has to stand in attendees' default calendars after a change of an organizer's event."""
    if ORGANIZER in after.body or after.series:
        return
    calendar = mailboxes.calendar_by_own_id(after.calendar)
    assert calendar is not None
    organizer = mailboxes.get(calendar.mailbox)
    invited = _addresses(after.body) if after.status == "live" else set()
    for email in sorted(invited | _addresses(before.body if before else {})):
        mailbox = mailboxes.find(email)
        if mailbox is None or email == organizer.email:
            continue
        own_id = hashlib.sha256(f"{after.id} {email}".encode()).hexdigest()[:20]
        body = after.body | {
            ORGANIZER: {"name": organizer.name, "address": organizer.email},
            MEETING: after.id,
            "transactionId": None,
            "showAs": "tentative",
            "categories": [],
            "singleValueExtendedProperties": [],
        }
        status = "live" if email in invited else "deleted"
        target = mailboxes.default_calendar(email)
        yield replace(after, id=own_id, calendar=target.id, status=status, body=body)


def _addresses(body: Json) -> set[str]:
    return {
        str(person.get("emailAddress", {}).get("address", "")).lower()
        for person in body.get("attendees") or ()
    }
