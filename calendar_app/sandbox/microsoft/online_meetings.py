"""Teams meetings of events: made when an event asks for one, joined at a link of their own, and ended by a write that
leaves their block out of the body.

Source: https://learn.microsoft.com/graph/outlook-calendar-online-meetings, and
https://learn.microsoft.com/graph/api/event-update ("body property and online meetings"). Once a meeting stands neither
``isOnlineMeeting`` nor ``onlineMeetingProvider`` can be changed; what the page leaves open is ignored here.
"""

from __future__ import annotations

from typing import Any

from calendar_app.sandbox.microsoft.error import GraphError
from calendar_app.sandbox.microsoft.rewriting import has_block, join_link, with_block
from calendar_app.sandbox.microsoft.rules import TEAMS_FAILS, TEAMS_LATER, TEAMS_NEVER, TEAMS_REFUSED
from calendar_app.sandbox.rules import Rules

Json = dict[str, Any]

JOIN, READS = "join", "reads"
"""What the body of an event tells besides: where its meeting is joined, and how many readings find it still being
made (``-1``: all of them)."""
_LATER = 2
_NONE: Json = {"isOnlineMeeting": False, "onlineMeetingProvider": "unknown", JOIN: "", READS: 0}


def after_write(
    before: Json | None, after: Json, meeting: str, *, asked: bool, allowed: bool, rules: Rules
) -> Json:
    """The event's body after a write: with the meeting that it ``asked`` for, that stands, or without one that ended.

    ``meeting``: a name for a new one. ``allowed``: the calendar has Teams. A write that both ends a meeting and asks
    for one gets a new one (microsoftgraph/microsoft-graph-docs issue 18896). :raises GraphError: 400.
    """
    if before is not None and before["isOnlineMeeting"]:
        kept = {name: before.get(name, _NONE[name]) for name in _NONE}
        if not has_block(before["body"]) or has_block(after["body"]):
            return after | kept
    if not asked:
        return after | _NONE
    if TEAMS_REFUSED in rules:
        raise GraphError(400, "ErrorInvalidRequest", "The online meeting provider is not supported.")
    if (
        not allowed
        or TEAMS_FAILS in rules
        or after["onlineMeetingProvider"] not in ("teamsForBusiness", "unknown")
    ):
        return after | _NONE
    made = after | {
        "isOnlineMeeting": True,
        "onlineMeetingProvider": "teamsForBusiness",
        JOIN: join_link(meeting),
        READS: -1 if TEAMS_NEVER in rules else _LATER if TEAMS_LATER in rules else 0,
    }
    return made if made[READS] else with_block(made)


def after_read(body: Json) -> Json | None:
    """The event's body after one more reading, while its meeting is still being made; ``None``: nothing changes."""
    if not body["isOnlineMeeting"] or body.get(READS, 0) <= 0:
        return None
    left = {**body, READS: body[READS] - 1}
    return left if left[READS] else with_block(left)


def join_information(body: Json) -> Json | None:
    """``onlineMeeting`` of an event: null without a meeting, and until one is made."""
    if not body["isOnlineMeeting"] or body.get(READS, 0):
        return None
    return {"joinUrl": body.get(JOIN) or join_link("sandbox")}
