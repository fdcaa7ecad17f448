"""Delegated permissions the stand-in knows, in Microsoft's words, and which of them open what.

Source: https://learn.microsoft.com/graph/permissions-reference.
"""

from __future__ import annotations

_GRAPH = "https://graph.microsoft.com/"

OFFLINE = "offline_access"
KNOWN = {
    "openid": "Sign you in",
    "profile": "View your basic profile",
    "email": "View your email address",
    OFFLINE: "Maintain access to data you have given it access to",
    "User.Read": "Sign you in and read your profile",
    "Calendars.ReadBasic": "Read basic details of your calendars",
    "Calendars.Read": "Read your calendars",
    "Calendars.ReadWrite": "Have full access to your calendars",
    "Calendars.Read.Shared": "Read calendars you can access",
    "Calendars.ReadWrite.Shared": "Read and write to calendars you can access",
    "MailboxSettings.Read": "Read your mailbox settings",
    "MailboxSettings.ReadWrite": "Read and write your mailbox settings",
}
IDENTITY = frozenset({"openid", "profile", "email", OFFLINE})
_BY_LOWER = {name.lower(): name for name in KNOWN}

PROFILE = frozenset({"User.Read"})
SETTINGS = frozenset({"MailboxSettings.Read", "MailboxSettings.ReadWrite"})
WRITE = frozenset({"Calendars.ReadWrite", "Calendars.ReadWrite.Shared"})
READ = WRITE | {"Calendars.Read", "Calendars.Read.Shared"}
LIST = READ | {"Calendars.ReadBasic"}


def canonical(text: str) -> tuple[str, ...] | None:
    """The requested scopes by their short names, in order; ``None`` where one does not exist."""
    asked = [name.removeprefix(_GRAPH).lower() for name in text.split()]
    if not asked or not all(name in _BY_LOWER for name in asked):
        return None
    return tuple(dict.fromkeys(_BY_LOWER[name] for name in asked))


def answered(scopes: tuple[str, ...]) -> str:
    """The ``scope`` of a token answer: Graph's permissions by their full names, without ``offline_access``."""
    names = (name if name in IDENTITY else _GRAPH + name for name in scopes if name != OFFLINE)
    return " ".join(names)
