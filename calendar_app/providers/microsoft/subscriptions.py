"""Subscriptions to Graph's change notifications, as they are asked for and answered.

*One per calendar.* "Duplicate subscriptions aren't allowed": the same ``changeType`` and ``resource`` are refused with
409 and "Subscription Id … already exists for the requested combination"
(https://learn.microsoft.com/graph/api/subscription-post-subscriptions; the text: microsoft-graph-docs-contrib, pull
request 8573). Some services say 400 ``ExtensionError`` with "Status Code: Conflict" instead (msgraph-sdk-go issue 596),
and some take duplicates (https://learn.microsoft.com/answers/questions/5600330). So a subscription is prolonged, never
opened beside an old one, and a refusal says which one stands in the way.

*Prolonged by PATCH.* That also answers ``reauthorizationRequired``: delivery may pause when the access token ends that
vouched for the subscription, and what happens in a pause is never told. ``/reauthorize`` besides is not called: within
ten minutes of a PATCH it may leave the subscription in a wrong state
(https://learn.microsoft.com/graph/change-notifications-lifecycle-events).
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote

from calendar_app.errors import InvalidRequest, PreconditionFailed, ProviderError
from calendar_app.providers.base import PushChannel
from calendar_app.providers.microsoft.graph import Graph, Json
from calendar_app.providers.microsoft.mapping import graph_time
from calendar_app.providers.microsoft.push import client_state

DEFAULT_RESOURCE = "/me/events"
"""The default calendar's events, as documented; ``/me/calendars/{id}/events`` works but is not."""
HANDSHAKE = "ValidationError"
"""Why Graph refuses when our address did not answer its check."""
CHANGES = "created,updated,deleted"
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def subscription_path(resource_id: str) -> str:
    return f"/subscriptions/{quote(resource_id, safe='')}"


def subscription(
    calendar_id: str, channel_id: str, token: str, address: str, until: datetime
) -> dict[str, Any]:
    """The body of ``POST /subscriptions``; lifecycle notifications come to the same address."""
    return {
        "changeType": CHANGES,
        "notificationUrl": address,
        "lifecycleNotificationUrl": address,
        "resource": f"/me/calendars/{calendar_id}/events",
        "expirationDateTime": graph_time(until),
        "clientState": client_state(channel_id, token),
    }


def granted(answer: Json, channel_id: str, asked: datetime) -> PushChannel:
    """The channel that an answer describes; ``asked`` is its end where the answer names none."""
    end = answer.get("expirationDateTime")
    until = datetime.fromisoformat(str(end)) if end else asked
    return PushChannel(channel_id, str(answer.get("id") or ""), until)


def standing_subscription(graph: Graph, error: ProviderError, wanted: Json) -> str:
    """The id of the subscription for which ``wanted`` was refused; empty where another thing was the matter.

    The refusal names it, or else the list of our subscriptions of this account shows it.
    """
    conflict = isinstance(error, PreconditionFailed) or (
        isinstance(error, InvalidRequest) and "status code: conflict" in error.detail.lower()
    )
    if not conflict:
        return ""
    if named := _ID.search(error.detail):
        return named[0]
    for page in graph.pages("/subscriptions", {}):
        for item in page:
            if _same(item, wanted):
                return str(item.get("id") or "")
    return ""


def _same(one: Json, other: Json) -> bool:
    resources = {str(each.get("resource") or "").strip("/").lower() for each in (one, other)}
    changes = {frozenset(str(each.get("changeType") or "").lower().split(",")) for each in (one, other)}
    return len(resources) == len(changes) == 1
