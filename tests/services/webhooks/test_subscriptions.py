"""Who may say what is told where, and which addresses are taken."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlmodel import col, select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, WebhookSubscription
from calendar_app.domain.webhook import SUBSCRIBABLE
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.operations import key_rotation
from calendar_app.services.webhooks import deliveries, subscriptions
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.told import Told

Configure = Callable[..., Settings]
URL = "https://hooks.example/almanac"


@pytest.fixture
def owner(database: Database) -> Actor:
    return factories.team().actor


def _colleague(of: Actor, role: Role) -> Actor:
    somebody = factories.person()
    return Actor(somebody.id, of.workspace_id, role, somebody.email, "X", "UTC")


def test_the_secret_is_told_once(owner: Actor) -> None:
    """It is in the answer that makes it and nowhere else, encrypted in the database, and under the newest key after a
    rotation of keys."""
    made = subscriptions.create(owner, URL, ["booking.created"], "CRM")
    assert made.secret.startswith("whsec_")
    (listed,) = subscriptions.list_subscriptions(owner)
    assert (listed.secret, listed.description, listed.events) == ("", "CRM", ("booking.created",))
    assert subscriptions.get(owner, made.id).secret == ""
    with reading() as session:
        raw = session.connection().exec_driver_sql("SELECT secret FROM webhook_subscription").scalar_one()
    assert made.secret not in raw
    assert "webhook_subscription.secret" in {one.column for one in key_rotation.rotate()}


def test_events_are_kept_in_their_order_and_once(owner: Actor) -> None:
    """Unknown events, none at all, and the one that only a test sends are refused by their field."""
    made = subscriptions.create(owner, URL, ["order.confirmed", "booking.created", "booking.created"])
    assert made.events == ("booking.created", "order.confirmed")
    for wrong in ([], ["booking.creatd"], ["webhook.test"]):
        with pytest.raises(InvalidInput) as refused:
            subscriptions.change(owner, made.id, events=wrong)
        assert refused.value.field == "events"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "https://127.0.0.1/",
        "https://10.1.2.3/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/hook",
        "https://2130706433/",
        "https://user:password@hooks.example/",
        "ftp://hooks.example/",
        "javascript:alert(1)",
        "hooks.example",
        "https://",
        "",
        "https://hooks.example/" + "x" * 2_000,
    ],
)
def test_addresses_that_may_not_be_called_are_refused(owner: Actor, url: str) -> None:
    """When they are typed, by the field's name, for a new subscription and a changed one."""
    made = subscriptions.create(owner, URL, ["booking.created"])
    for attempt in (
        lambda: subscriptions.create(owner, url, ["booking.created"]),
        lambda: subscriptions.change(owner, made.id, url=url),
    ):
        with pytest.raises(InvalidInput) as refused:
            attempt()
        assert refused.value.field == "url"
    assert [one.url for one in subscriptions.list_subscriptions(owner)] == [URL]


def test_only_managers_and_above(owner: Actor) -> None:
    """Staff and customers neither see nor change them."""
    made = subscriptions.create(_colleague(owner, Role.MANAGER), URL, ["booking.created"])
    for role in (Role.STAFF, Role.CUSTOMER):
        actor = _colleague(owner, role)
        for attempt in _everything(actor, made.id):
            with pytest.raises(Forbidden):
                attempt()


def test_another_workspaces_are_not_there(told: Told) -> None:
    """Whatever is asked of them: they are not found, and nothing changes."""
    told.record("a")
    told.send(datetime.now(UTC))
    (delivery,) = told.deliveries()
    stranger = factories.team().actor
    for attempt in _everything(stranger, told.subscription.id, delivery.id):
        with pytest.raises(NotFound):
            attempt()
    own = subscriptions.create(stranger, URL, ["booking.created"])
    for attempt in (
        lambda: deliveries.get(stranger, own.id, delivery.id),
        lambda: deliveries.replay(stranger, own.id, delivery.id),
    ):
        with pytest.raises(NotFound):
            attempt()
    assert (told.row().state, told.states(), len(told.receiver.got)) == ("active", ["delivered"], 1)
    assert subscriptions.list_subscriptions(stranger) == [subscriptions.get(stranger, own.id)]


def _everything(actor: Actor, webhook: str, delivery: str = "none") -> list[Callable[[], object]]:
    return [
        lambda: subscriptions.get(actor, webhook),
        lambda: subscriptions.change(actor, webhook, description="x"),
        lambda: subscriptions.rotate_secret(actor, webhook),
        lambda: subscriptions.delete(actor, webhook),
        lambda: deliveries.list_deliveries(actor, webhook),
        lambda: deliveries.get(actor, webhook, delivery),
        lambda: deliveries.replay(actor, webhook, delivery),
        lambda: deliveries.replay_since(actor, webhook, datetime(2020, 1, 1, tzinfo=UTC)),
        lambda: deliveries.send_test(actor, webhook),
    ]


def test_there_is_an_end_to_them(owner: Actor) -> None:
    """A workspace has twenty at most."""
    for _ in range(subscriptions.MOST):
        subscriptions.create(owner, URL, ["booking.created"])
    with pytest.raises(Conflict):
        subscriptions.create(owner, URL, ["booking.created"])


def test_switching_on_again_forgets_what_was_held_against_it(told: Told) -> None:
    """From any state that stopped it; other states than active and paused are nobody's to choose."""
    with transaction() as session:
        row = session.get_one(WebhookSubscription, told.subscription.id)
        row.state, row.reason, row.failures = "disabled", "It answered 500.", 40
        row.failing_since = row.told_at = row.next_attempt_at = datetime.now(UTC)
        session.add(row)
    for wrong in ("ended", "disabled", "on"):
        with pytest.raises(InvalidInput) as refused:
            subscriptions.change(told.owner, told.subscription.id, state=wrong)
        assert refused.value.field == "state"
    on = subscriptions.change(told.owner, told.subscription.id, state="active")
    assert (on.state, on.reason, on.failing_since, on.next_attempt_at) == ("active", "", None, None)
    told.record("a")
    assert told.send(datetime.now(UTC)) == 1


def test_what_people_do_is_in_the_audit_trail(told: Told) -> None:
    """Made, changed, rotated, tested, replayed and deleted, by whom, and without the secret."""
    key = told.subscription.id
    subscriptions.change(told.owner, key, description="CRM", events=[SUBSCRIBABLE[0]])
    secret = subscriptions.rotate_secret(told.owner, key).secret
    deliveries.send_test(told.owner, key)
    deliveries.replay_since(told.owner, key, datetime(2020, 1, 1, tzinfo=UTC))
    subscriptions.delete(told.owner, key)
    with reading() as session:
        query = select(AuditEntry).where(AuditEntry.subject_id == key).order_by(col(AuditEntry.id))
        entries = session.exec(query).all()
    assert sorted(entry.action.removeprefix("webhook.") for entry in entries) == sorted(
        ["created", "changed", "secret_rotated", "tested", "replayed", "deleted"]
    )
    assert {entry.actor for entry in entries} == {told.owner.email}
    assert secret not in str([entry.detail for entry in entries])
