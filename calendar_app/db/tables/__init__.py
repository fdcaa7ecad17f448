"""Every table; a newcomer meets them in this order: people, connections, mirror, scheduling, bookings, outbound,
webhooks, bookkeeping.

All datetimes are aware UTC. The hot interval tables, ``occurrence`` and ``host_reservation``, hold *instants* (epoch
seconds, see :mod:`calendar_app.domain.timespan`), which is what the engine computes with. Rows never leave
``services``: pages and the API get small dataclasses.
"""

from __future__ import annotations

from calendar_app.db.tables.bookings import (
    Booking,
    BookingHost,
    CustomerOrder,
    Hold,
    HostReservation,
    OrderLine,
)
from calendar_app.db.tables.bookkeeping import (
    AuditEntry,
    DriftRun,
    EnteredSetting,
    IdempotencyRecord,
    Installation,
    SetupCode,
)
from calendar_app.db.tables.connections import Calendar, Channel, Connection, OAuthAttempt
from calendar_app.db.tables.mirror import Event, Occurrence, PlacedEvent
from calendar_app.db.tables.outbound import CalendarWrite, Deviation, Disconnection, Mail
from calendar_app.db.tables.people import (
    ApiToken,
    AuthSession,
    CustomerSession,
    Feed,
    Invitation,
    Membership,
    Person,
    Workspace,
    WorkspaceLogo,
)
from calendar_app.db.tables.scheduling import BookingLink, EventType, EventTypeHost, Schedule
from calendar_app.db.tables.sign_in import EmailProof, RecoveryCode, SecondFactor, SignInStep
from calendar_app.db.tables.webhooks import WebhookDelivery, WebhookMessage, WebhookSubscription

__all__ = [
    "ApiToken",
    "AuditEntry",
    "AuthSession",
    "Booking",
    "BookingHost",
    "BookingLink",
    "Calendar",
    "CalendarWrite",
    "Channel",
    "Connection",
    "CustomerOrder",
    "CustomerSession",
    "Deviation",
    "Disconnection",
    "DriftRun",
    "EmailProof",
    "EnteredSetting",
    "Event",
    "EventType",
    "EventTypeHost",
    "Feed",
    "Hold",
    "HostReservation",
    "IdempotencyRecord",
    "Installation",
    "Invitation",
    "Mail",
    "Membership",
    "OAuthAttempt",
    "Occurrence",
    "OrderLine",
    "Person",
    "PlacedEvent",
    "RecoveryCode",
    "Schedule",
    "SecondFactor",
    "SetupCode",
    "SignInStep",
    "WebhookDelivery",
    "WebhookMessage",
    "WebhookSubscription",
    "Workspace",
    "WorkspaceLogo",
]
