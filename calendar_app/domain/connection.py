"""How a connection stands."""

from __future__ import annotations

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
