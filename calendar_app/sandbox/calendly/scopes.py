"""Calendly's authorization scopes, in its words, as far as the stand-in's endpoints need them.

Source: https://developer.calendly.com/scopes. A ``write`` scope includes the ``read`` scope of its domain.
"""

from __future__ import annotations

SCOPES = {
    "users:read": "View your name, email address and time zone",
    "organizations:read": "View your organization and its members",
    "event_types:read": "View your event types",
    "scheduled_events:read": "View your scheduled events and their invitees",
    "scheduled_events:write": "View and cancel your scheduled events",
    "availability:read": "View your busy times and availability schedules",
    "webhooks:read": "View webhook subscriptions",
    "webhooks:write": "View, create and delete webhook subscriptions",
}


def requested(scope: str) -> tuple[str, ...] | None:
    """The scopes of a request, in order; ``None`` where one does not exist or none was asked for."""
    names = tuple(dict.fromkeys(scope.split()))
    return names if names and all(name in SCOPES for name in names) else None


def opens(granted: tuple[str, ...], needed: str) -> bool:
    """Whether ``granted`` scopes let a call through that needs ``needed``."""
    return needed in granted or (needed.endswith(":read") and needed.replace(":read", ":write") in granted)
