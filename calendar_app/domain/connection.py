"""How a connection stands."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum


class ConnectionStatus(StrEnum):
    """Of a connection, as the API tells it. ``SYNCING`` is never stored: a calendar of it is being read."""

    CONNECTED = "connected"
    SYNCING = "syncing"
    ERROR = "error"
    NEEDS_RECONNECT = "needs_reconnect"
    DISCONNECTED = "disconnected"


USABLE = (ConnectionStatus.CONNECTED, ConnectionStatus.ERROR)
"""The provider may be asked: there is a grant that nobody ended, though it may not have worked lately."""


TESTING_LIFE = timedelta(days=7)
"""After which Google ends every grant of a project whose publishing status is “testing”
(https://developers.google.com/identity/protocols/oauth2#expiration)."""
_FOUND_OUT = timedelta(hours=12)


def lasted_a_week(began: datetime | None, ended: datetime | None) -> bool:
    """Whether a grant ended at that age. It is found out at a refresh, which may be hours after the end."""
    return began is not None and ended is not None and abs(ended - began - TESTING_LIFE) < _FOUND_OUT
