"""What workers do. Each function takes an id at most and hands it to a service: the truth is in the database, so every
job may run twice, late, or not at all until a sweeper queues it again.

Jobs are queued by path (:mod:`calendar_app.queues`); renaming one orphans those that wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from calendar_app.services.booking_emails.writer import BookingWriter
from calendar_app.services.bookings import holds, transitions
from calendar_app.services.calendar_mirror import mirror
from calendar_app.services.calendar_sync import (
    calendar_listing,
    push_channels,
    unchanged_calendars,
    viewed_calendars,
)
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.calendar_sync import run as sync_run
from calendar_app.services.calendar_writes import outbox as write_outbox
from calendar_app.services.common import idempotency
from calendar_app.services.common.viewers import Seen
from calendar_app.services.connection_lifecycle import disconnect_job
from calendar_app.services.connection_lifecycle import expiry as connection_expiry
from calendar_app.services.connections import tokens as connection_tokens
from calendar_app.services.external_changes import drift_report as drift
from calendar_app.services.external_changes import resolve as external_change_resolve
from calendar_app.services.mail import outbox as mail_outbox
from calendar_app.services.operations import clean_up as spent_rows
from calendar_app.services.operations import retention
from calendar_app.services.webhooks import sending as webhook_sending

log = logging.getLogger(__name__)


def sync_calendar(calendar_id: str) -> str:
    """Read a calendar; one that was listed in full also gets its push channel."""
    result = sync_requests.sync_calendar(calendar_id)
    if result.full and result.outcome is sync_run.Outcome.DONE:
        push_channels.ensure(calendar_id)
        drift.check_after_restore(calendar_id)
    return result.outcome


def look_for_changes(connection_id: str) -> int:
    """Ask about all calendars of an account that are due to be polled; how many of them have not changed."""
    return unchanged_calendars.look(connection_id)


def read_for_viewers(what: str, id_: str) -> int:
    """Somebody looks at calendars: read those that nobody vouches for; how many."""
    return viewed_calendars.read(Seen(what), id_)


def push(channel_id: str, number: int, signal: str) -> None:
    """A provider said that a calendar changed, or that its channel ends."""
    push_channels.pushed(channel_id, number, signal)


def list_calendars(connection_id: str) -> int:
    """See whether an account's calendars are there and may be written; how many that receive bookings may not."""
    return len(calendar_listing.list_again(connection_id))


def open_channel(calendar_id: str) -> bool:
    """Open or replace a calendar's push channel."""
    return push_channels.ensure(calendar_id)


def apply_write(write_id: str) -> str:
    """Bring one calendar up to what a booking wants of it."""
    return write_outbox.apply(write_id)


def settle_deviation(deviation_id: str) -> str:
    """Look into what a sync saw of one of our events."""
    return external_change_resolve.examine(deviation_id)


def check_drift(connection_id: str, begun: int, number: int) -> int:
    """Hold one connection's calendars against the bookings that are written there."""
    return drift.check_connection(connection_id, begun, number)


def drift_report() -> int:
    """Queue a look at what every connection really holds."""
    return drift.check_all()


def carry_on_disconnection(disconnection_id: str) -> str:
    """Move or cancel the bookings of an account that is being disconnected, and end its grant."""
    return disconnect_job.carry_on(disconnection_id)


def send_mail(mail_id: str) -> str:
    """Send one letter."""
    return mail_outbox.deliver(mail_id, BookingWriter())


def send_webhooks(subscription_id: str) -> int:
    """Tell another program what happened; how many messages were tried."""
    return webhook_sending.send_due(subscription_id)


def sweep() -> None:
    """Queue again what is due by the database's word."""
    _each(
        sync_requests.sweep,
        write_outbox.sweep,
        mail_outbox.sweep,
        external_change_resolve.sweep,
        disconnect_job.sweep,
        calendar_listing.sweep,
        webhook_sending.sweep,
    )


def poll_calendars() -> int:
    """Queue calendars that are due to be read by plan."""
    return sync_requests.poll()


def refresh_tokens() -> int:
    """Refresh access tokens before they end."""
    return connection_tokens.refresh_due()


def tell_ending_grants() -> int:
    """Tell the owners of accounts whose grant ends within a day."""
    return connection_expiry.tell_ending()


def renew_channels() -> int:
    """Queue calendars whose push channel is missing or ends soon."""
    return push_channels.renew()


def expire_holds() -> None:
    """Give back held time, and close bookings whose time has passed."""
    _each(holds.expire, transitions.complete_past)


def extend_window() -> None:
    """Move every mirror's window to today."""
    mirror.extend_all_windows()


def clean_up() -> None:
    """Delete what nobody needs any more."""
    _each(
        push_channels.forget,
        idempotency.forget,
        spent_rows.forget_expired,
        retention.trim,
        connection_expiry.clean_up,
    )


def _each(*works: Callable[[], object]) -> None:
    """Do all of them; the first failure is raised when all are done."""
    failures: list[Exception] = []
    for work in works:
        try:
            work()
        except Exception as error:
            log.exception("a periodic job failed in part")
            failures.append(error)
    if failures:
        raise failures[0]
