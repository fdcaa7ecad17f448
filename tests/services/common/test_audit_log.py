"""The audit trail: who is named as having acted, and that entries are only ever added."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path

import pytest

import calendar_app
from calendar_app.errors import NotSignedIn
from calendar_app.services.accounts import account_security, authentication
from calendar_app.services.bookings import reschedule as booking_reschedule
from calendar_app.services.bookings import transitions
from calendar_app.services.common import audit_log
from calendar_app.services.common.audit_log import AuditView
from calendar_app.services.external_changes import drift_report
from calendar_app.services.orders import commands as order_commands
from calendar_app.services.orders.commands import NewLine
from tests.services.external_changes.test_resolve import look, move, rule, written
from tests.support.fake_provider import FakeProvider
from tests.support.people import PASSWORD
from tests.support.scheduling import GUEST, ZONE, Place, carry_out

pytestmark = pytest.mark.usefixtures("database")


def trail(place: Place) -> dict[str, AuditView]:
    """The newest entry of each action."""
    return {entry.action: entry for entry in reversed(audit_log.list_entries(place.owner, limit=200).items)}


def test_customers_are_named_as_customers(place: Place) -> None:
    """Booking, moving, cancelling and ordering by links are the customer's doing, not the system's."""
    made = place.book(place.at(9))
    token = made.manage_url.rsplit("/", 1)[-1]
    booking_reschedule.reschedule_by_token(token, place.at(11))
    transitions.cancel_by_token(token)
    order_commands.create([NewLine(place.event_type.id, place.at(9))], ZONE, *GUEST)
    found = trail(place)
    for action in ("booking.created", "booking.rescheduled", "booking.cancelled", "order.created"):
        assert (found[action].actor, found[action].actor_kind) == ("customer", "customer"), action


def test_the_clock_is_the_system_and_an_events_change_the_providers(fake: FakeProvider, place: Place) -> None:
    """What time brings about is the system's; a booking that follows its event was moved at the provider."""
    made = written(place)
    rule(place, moves="reschedule")
    move(fake, place, made, made.start + timedelta(hours=1))
    look(place)
    assert trail(place)["booking.rescheduled"].actor_kind == "provider"
    transitions.complete_past(made.end + timedelta(days=1))
    assert trail(place)["booking.completed"].actor_kind == "system"


def test_api_tokens_are_in_the_trail_and_named(place: Place) -> None:
    """One made with the password and one made in the settings, each ended, each named where it acts."""
    signed_in = authentication.sign_up("Tia", "tia@example.com", PASSWORD, "", "Europe/Berlin")
    tia = signed_in.identity.actor()
    secret, _ = authentication.issue_api_token("tia@example.com", PASSWORD)
    made = audit_log.list_entries(tia).items[0]
    assert (made.action, made.actor, made.actor_kind) == ("token.created", "tia@example.com", "person")
    holder = authentication.identify_bearer(secret)
    assert holder is not None
    other = account_security.create_token(holder, "Reports", ["write"], 5)
    account_security.revoke_token(holder, other.token.id)
    ended, begun, *_ = audit_log.list_entries(tia).items
    assert [(one.action, one.actor_kind, one.token) for one in (ended, begun)] == [
        ("token.revoked", "token", authentication.UNNAMED),
        ("token.created", "token", authentication.UNNAMED),
    ]
    reporter = authentication.identify_bearer(
        account_security.create_token(holder, "Reports", ["write"], 5).secret
    )
    assert reporter is not None
    assert reporter.actor().token == "Reports"


def test_a_revoked_browser_is_in_the_trail(place: Place) -> None:
    """Who ended whose session, with the browser it was."""
    identity = authentication.sign_up("Tia", "tia@example.com", PASSWORD, "", "Europe/Berlin").identity
    other = authentication.sign_in("tia@example.com", PASSWORD, user_agent="Firefox on a phone").identity
    authentication.revoke_session(identity, other.session_id)
    entry = audit_log.list_entries(identity.actor()).items[0]
    assert (entry.action, entry.actor, entry.detail["browser"]) == (
        "session.ended",
        "tia@example.com",
        "Firefox on a phone",
    )


def test_signing_in_and_out_is_in_the_trail(place: Place) -> None:
    """Each sign-in and sign-out, with the browser it was; a failed one and a second sign-out leave no entry."""
    began = authentication.sign_up(
        "Tia", "tia@example.com", PASSWORD, "", "Europe/Berlin", user_agent="Firefox"
    )
    with pytest.raises(NotSignedIn):
        authentication.sign_in("tia@example.com", "not the password", user_agent="Somebody")
    again = authentication.sign_in("tia@example.com", PASSWORD, user_agent="Firefox on a phone")
    for _twice in range(2):
        authentication.sign_out(again.token)
    actor = began.identity.actor()
    entries = [
        (entry.action, entry.actor, entry.subject_id, entry.detail["browser"])
        for entry in audit_log.list_entries(actor, subject_type="session").items
    ]
    tia, phone = "tia@example.com", again.identity.session_id
    assert entries == [
        ("person.signed_out", tia, phone, "Firefox on a phone"),
        ("person.signed_in", tia, phone, "Firefox on a phone"),
        ("person.signed_in", tia, began.identity.session_id, "Firefox"),
    ]


def test_a_drift_run_leaves_the_trail_alone(place: Place) -> None:
    """However often it runs: the report counts what it looked at, and no entry is added, changed or deleted."""
    place.book(place.at(9))
    carry_out()
    before = audit_log.list_entries(place.owner, limit=200)
    for hours in (1, 2):
        now = place.at(8) - timedelta(days=1) + timedelta(hours=hours)
        drift_report.check_connection(place.calendars[0].connection_id, now=now)
    assert drift_report.report(place.owner).checked == 1
    assert audit_log.list_entries(place.owner, limit=200) == before


def _names_entries(path: Path) -> bool:
    """Whether the module's code names the table of entries."""
    tree = ast.parse(path.read_text())
    return any(isinstance(node, ast.Name) and node.id == "AuditEntry" for node in ast.walk(tree))


def test_nothing_decides_by_the_trail() -> None:
    """Entries are read where they are shown, written in one place, and deleted by the retention period only."""
    services = Path(calendar_app.__file__).parent / "services"
    users = {path.stem for path in services.glob("*.py") if _names_entries(path)}
    assert users <= {"audit", "booking_views", "retention"}
