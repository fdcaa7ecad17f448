"""Google Meet conferences of events, as far as a client sees them: asked for, made some time later, and then to stay.

Source: https://developers.google.com/workspace/calendar/api/guides/create-events#conferencing and the reference of
``conferenceData``. A conference is part of the event's resource: ``createRequest`` as it was sent, with the status, and
once that is ``success`` the entry points beside it. Links lead to the sandbox: a code of Meet's own might be somebody's
meeting.
"""

from __future__ import annotations

import secrets
import string
from typing import Any

from calendar_app.sandbox.google.error import invalid, required
from calendar_app.sandbox.google.rules import MEET_FAILS, MEET_LATER, MEET_NEVER, MEET_REFUSED, NO_MEET
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

MEET = "hangoutsMeet"
_READS = 2
"""How often an event is read before a conference that takes its time stands there."""


def conference_kinds(rules: Rules) -> list[str]:
    """``allowedConferenceSolutionTypes`` of a calendar."""
    return [] if NO_MEET in rules else [MEET]


def after_write(asked: Json, before: Json, rules: Rules, public_url: str) -> Json:
    """The parts of an event's body about its conference after a write that says ``asked`` of it.

    A request with the id of the previous one is ignored. :raises GoogleError: 400.
    """
    kept: Json = {name: before[name] for name in ("conferenceData", "hangoutLink") if name in before}
    request = asked.get("createRequest")
    if not request:
        return kept
    kind = (request.get("conferenceSolutionKey") or {}).get("type", MEET)
    if not request.get("requestId"):
        raise required("Missing conference request ID.")
    if kind not in conference_kinds(rules) or MEET_REFUSED in rules:
        raise invalid("Invalid conference type value.")
    earlier = (before.get("conferenceData") or {}).get("createRequest") or {}
    if request["requestId"] == earlier.get("requestId"):
        return kept
    state = "failure" if MEET_FAILS in rules else "pending"
    wanted = {"requestId": request["requestId"], "conferenceSolutionKey": {"type": kind}}
    made = {"conferenceData": {"createRequest": {**wanted, "status": {"statusCode": state}}}}
    if state == "failure" or MEET_LATER in rules or MEET_NEVER in rules:
        return made
    return finished(made, public_url)


def is_pending(event: Json) -> bool:
    """Whether the event's conference is still being made."""
    request = (event.get("conferenceData") or {}).get("createRequest") or {}
    return bool((request.get("status") or {}).get("statusCode") == "pending")


def finished(event: Json, public_url: str) -> Json:
    """The event with its conference made."""
    letters = [secrets.choice(string.ascii_lowercase) for _ in range(10)]
    code = "-".join("".join(letters[first:last]) for first, last in ((0, 3), (3, 7), (7, 10)))
    link = f"{public_url}/sandbox?meet={code}"
    request = event["conferenceData"]["createRequest"]
    conference = {
        "createRequest": {**request, "status": {"statusCode": "success"}},
        "entryPoints": [{"entryPointType": "video", "uri": link, "label": code}],
        "conferenceSolution": {"key": request["conferenceSolutionKey"], "name": "Google Meet", "iconUri": ""},
        "conferenceId": code,
        "signature": secrets.token_urlsafe(16),
    }
    return {**event, "conferenceData": conference, "hangoutLink": link}


class Waiting:
    """Counts the readings of events whose conference is still being made, by calendar and event; in memory only."""

    def __init__(self) -> None:
        self._reads: dict[tuple[str, str], int] = {}

    def is_over(self, calendar_id: str, event_id: str, rules: Rules) -> bool:
        """Whether this reading finds it made."""
        if MEET_NEVER in rules:
            return False
        key = calendar_id, event_id
        self._reads[key] = self._reads.get(key, 0) + 1
        return self._reads[key] > _READS or MEET_LATER not in rules
