"""``getSchedule``: when people are taken, by their default calendars.

Source: https://learn.microsoft.com/graph/api/calendar-getschedule. Digits of an availability view: 0 free (or working
elsewhere), 1 tentative, 2 busy, 3 out of office, 4 working elsewhere.
"""

from __future__ import annotations

from typing import Any

from calendar_app.sandbox.microsoft.error import GraphError, bad_request, unreadable_body
from calendar_app.sandbox.microsoft.events import Events
from calendar_app.sandbox.microsoft.mailboxes import Mailbox, Mailboxes
from calendar_app.sandbox.microsoft.resource import Stored, Wishes, side
from calendar_app.sandbox.microsoft.zones import instant_of, wall_clock

Json = dict[str, Any]

MOST_SCHEDULES = 20
LONGEST_S = 62 * 86_400
_DIGITS = {"free": 0, "workingElsewhere": 4, "tentative": 1, "busy": 2, "oof": 3, "unknown": 0}
_RANK = (0, 4, 1, 2, 3)


class Schedules:
    def __init__(self, mailboxes: Mailboxes, events: Events) -> None:
        self.mailboxes, self.events = mailboxes, events

    def answer(self, asker: str, body: object, wishes: Wishes) -> list[Json]:
        """One ``scheduleInformation`` per address; an unknown one has ``error``.

        :raises GraphError: 400.
        """
        if not isinstance(body, dict):
            raise unreadable_body("The body must be one JSON object.")
        given = {name.lower(): value for name, value in body.items()}
        if unknown := set(given) - {"schedules", "starttime", "endtime", "availabilityviewinterval"}:
            raise bad_request(
                f"The parameter '{min(unknown)}' is not a parameter of the action 'getSchedule'."
            )
        schedules, step = given.get("schedules"), given.get("availabilityviewinterval") or 30
        if (
            not isinstance(schedules, list)
            or not schedules
            or not all(isinstance(one, str) for one in schedules)
        ):
            raise bad_request("The value of parameter 'Schedules' is invalid.", "ErrorInvalidParameter")
        if len(schedules) > MOST_SCHEDULES:
            raise bad_request(
                f"At most {MOST_SCHEDULES} schedules can be asked for.", "ErrorInvalidParameter"
            )
        if not isinstance(step, int) or not 5 <= step <= 1440:
            raise bad_request(
                "The merged free/busy interval value is invalid.", "ErrorInvalidMergedFreeBusyInterval"
            )
        start, end = (_instant(given.get(name), name) for name in ("starttime", "endtime"))
        if not 0 < end - start <= LONGEST_S or end - start < step * 60:
            raise bad_request(
                "The requested time duration specified for FreeBusyViewOptions.TimeWindow is invalid.",
                "ErrorInvalidTimeInterval",
            )
        return [self._one(asker, address, start, end, step * 60, wishes) for address in schedules]

    def _one(self, asker: str, address: str, start: int, end: int, step: int, wishes: Wishes) -> Json:
        mailbox = self.mailboxes.find(address)
        if mailbox is None:
            message = f"Unable to resolve e-mail address or user identifier {address} to an Active Directory object."
            error = {"message": message, "responseCode": "ErrorMailRecipientNotFound"}
            return {"scheduleId": address, "error": error}
        found = self.events.view(self.mailboxes.default_calendar(mailbox.email), start, end)
        taken = [event for event in found if not event.body.get("isCancelled")]
        return {
            "scheduleId": address,
            "availabilityView": _view(taken, start, end, step),
            "scheduleItems": [self._item(event, mailbox, asker, wishes) for event in taken],
            "workingHours": mailbox.working_hours(),
        }

    def _item(self, event: Stored, mailbox: Mailbox, asker: str, wishes: Wishes) -> Json:
        private = event.body["sensitivity"] in ("private", "confidential")
        item: Json = {
            "isPrivate": private,
            "status": event.body["showAs"],
            "start": side(event, "start", wishes.zone),
            "end": side(event, "end", wishes.zone),
        }
        if mailbox.email == asker:
            item |= {"subject": event.body["subject"]}
            item |= {"location": (event.body["location"] or {}).get("displayName", "")}
        return item


def _view(events: list[Stored], start: int, end: int, step: int) -> str:
    digits = []
    for begin in range(start, end, step):
        inside = [event for event in events if event.starts < min(begin + step, end) and event.ends > begin]
        digits.append(max((_DIGITS[event.body["showAs"]] for event in inside), key=_RANK.index, default=0))
    return "".join(map(str, digits))


def _instant(value: object, name: str) -> int:
    if value is None:
        raise GraphError(400, "ErrorInvalidParameter", f"The parameter '{name}' is required.")
    wall, zone = wall_clock(value, name)
    return instant_of({"dateTime": wall.isoformat(), "timeZone": zone})
