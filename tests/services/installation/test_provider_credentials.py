"""Client ids and secrets that operators enter: kept encrypted, used at once, and never shown again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text
from sqlmodel import select

from calendar_app.db import entered
from calendar_app.db.session import reading
from calendar_app.db.tables import AuditEntry, Connection, EnteredSetting
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound, ProviderNotConfigured
from calendar_app.providers import registry
from calendar_app.services.common import installation
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.connections import queries
from calendar_app.services.installation import provider_credentials
from calendar_app.services.operations import key_rotation
from calendar_app.settings import Settings, current_settings
from tests.support import factories
from tests.support.databases import Database

GIVEN = {"client_id": "id-1", "client_secret": "hush-1", "tenant": "contoso.com", "webhook_key": "sign-1"}
NOW = datetime(2030, 5, 8, 12, tzinfo=UTC)


@pytest.fixture
def operator(database: Database) -> Actor:
    """In development every owner is one."""
    return factories.team().actor


def one(actor: Actor, key: str) -> provider_credentials.ProviderCredentials:
    """What the page shows of a provider."""
    (found,) = [view for view in provider_credentials.list_all(actor) if view.key == key]
    return found


@pytest.mark.parametrize("provider", ["google", "microsoft", "calendly"])
def test_what_is_entered_is_used_at_once(operator: Actor, provider: str) -> None:
    """The provider is configured without a restart; the page learns that there is a secret, not which."""
    with pytest.raises(ProviderNotConfigured):
        registry.oauth_client(provider)
    view = provider_credentials.save(operator, provider, GIVEN)
    assert (view.client_id, view.has_secret, view.fixed) == ("id-1", True, False)
    assert "hush-1" not in repr(view)
    assert view.redirect_uri.endswith(f"/api/v1/connections/{provider}/callback")
    assert registry.kind(provider).configured
    url = registry.oauth_client(provider).authorization_url(
        state="s", code_verifier="v" * 64, redirect_uri=view.redirect_uri
    )
    assert "client_id=id-1" in url
    assert ("contoso.com" in url) is (provider == "microsoft")
    assert {kind.key for kind in queries.providers() if kind.configured} >= {provider}
    provider_credentials.remove(operator, provider)
    assert not registry.kind(provider).configured


def test_everything_is_encrypted_and_rotated(operator: Actor, configure: Callable[..., Settings]) -> None:
    """Neither id nor secret stands in the database in clear; a new key takes all of them."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    configure(ENCRYPTION_KEYS=old)
    provider_credentials.save(operator, "calendly", GIVEN)
    with reading() as session:
        raw = " ".join(str(row) for row in session.execute(text("SELECT value FROM entered_setting")))
    assert not any(value in raw for value in GIVEN.values())
    configure(ENCRYPTION_KEYS=f"{new},{old}")
    assert {count.column: count.rotated for count in key_rotation.rotate()}["entered_setting.value"] == 3
    configure(ENCRYPTION_KEYS=new)
    assert current_settings().calendly_client_secret.get_secret_value() == "hush-1"


def test_an_empty_secret_keeps_the_old_one(operator: Actor) -> None:
    """As long as it belongs to the same client; another client needs its own."""
    provider_credentials.save(operator, "calendly", GIVEN)
    provider_credentials.save(operator, "calendly", {"client_id": "id-1"})
    assert current_settings().calendly_client_secret.get_secret_value() == "hush-1"
    with pytest.raises(InvalidInput) as refused:
        provider_credentials.save(operator, "calendly", {"client_id": "id-2"})
    assert refused.value.field == "client_secret"
    provider_credentials.save(operator, "calendly", {"client_id": "id-2", "client_secret": "hush-2"})
    assert current_settings().calendly_webhook_key.get_secret_value() == ""


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"client_id": ""}, "client_id"),
        ({"client_id": "with blank"}, "client_id"),
        ({"client_secret": "a\u0000b"}, "client_secret"),
        ({"client_secret": "x" * 501}, "client_secret"),
        ({"tenant": "a/b"}, "tenant"),
    ],
)
def test_unusable_values(operator: Actor, changes: dict[str, str], field: str) -> None:
    """Each is named by its field, and nothing is kept."""
    with pytest.raises(InvalidInput) as refused:
        provider_credentials.save(operator, "microsoft", GIVEN | changes)
    assert refused.value.field == field
    assert not one(operator, "microsoft").has_secret


def test_the_environment_wins(operator: Actor, configure: Callable[..., Settings]) -> None:
    """Its id is never joined with an entered secret, the page says so, and nothing can be entered."""
    provider_credentials.save(operator, "google", GIVEN)
    configure(GOOGLE_CLIENT_ID="from-environment")
    view = one(operator, "google")
    assert (view.fixed, view.client_id, view.has_secret) == (True, "from-environment", False)
    with pytest.raises(Conflict, match="GOOGLE_CLIENT_ID"):
        provider_credentials.save(operator, "google", GIVEN)
    configure(GOOGLE_CLIENT_ID="")
    assert one(operator, "google").client_id == "id-1"


def test_another_process_takes_it_up(operator: Actor, configure: Callable[..., Settings]) -> None:
    """A process that read before reads again within seconds."""
    assert not registry.kind("google").configured
    with reading() as session:  # what another process wrote: nothing here was told
        session.add(EnteredSetting(name="GOOGLE_CLIENT_ID", value="id-9"))
        session.add(EnteredSetting(name="GOOGLE_CLIENT_SECRET", value="hush-9"))
        session.commit()
    assert not registry.kind("google").configured
    entered.forget()  # as when KEPT_S have passed
    assert registry.kind("google").configured


def test_a_lost_key_leaves_it_unset(operator: Actor, configure: Callable[..., Settings]) -> None:
    """Nothing fails; the provider is not configured, and the doctor tells of the key."""
    provider_credentials.save(operator, "google", GIVEN)
    configure(ENCRYPTION_KEYS=Fernet.generate_key().decode())
    assert not registry.kind("google").configured


def test_only_operators(database: Database, configure: Callable[..., Settings]) -> None:
    """Not the owner of a workspace in production, and nobody for a provider that has no credentials."""
    owner = factories.team().actor
    with pytest.raises(NotFound):
        provider_credentials.save(owner, "caldav", GIVEN)
    configure(ALMANAC_ENV="production", BASE_URL="https://cal.example.com")
    staff = factories.team(role=Role.ADMIN).actor
    for actor in (owner, staff):
        for attempt in (
            provider_credentials.list_all,
            lambda actor: provider_credentials.save(actor, "google", GIVEN),
            lambda actor: provider_credentials.remove(actor, "google"),
            lambda actor: provider_credentials.set_google_testing(actor, True),
        ):
            with pytest.raises(Forbidden):
                attempt(actor)


def test_the_audit_trail_knows_it(operator: Actor) -> None:
    """Who entered something, and nothing of what."""
    provider_credentials.save(operator, "google", GIVEN)
    with reading() as session:
        (entry,) = session.exec(select(AuditEntry)).all()
    assert (entry.action, entry.subject_id, entry.actor) == (
        "installation.credentials_entered",
        "google",
        operator.email,
    )
    assert entry.detail == {}


def test_a_copy_loses_it(operator: Actor) -> None:
    """A staging system does not go on as the real one's client, and keeps its operator."""
    provider_credentials.save(operator, "google", GIVEN)
    installation.after_restore(as_copy=True)
    entered.forget()
    assert not registry.kind("google").configured


def ends(connection: Connection) -> datetime | None:
    """When a grant is known to end."""
    with reading() as session:
        return session.get_one(Connection, connection.id).grant_ends_at


def test_a_project_in_testing(operator: Actor) -> None:
    """Grants of Google's that are younger than a week end at that age; without the switch nothing is known again."""
    young = factories.team(provider="google", granted_at=NOW - timedelta(days=2)).connection
    old = factories.team(provider="google", granted_at=NOW - timedelta(days=20)).connection
    unknown = factories.team(provider="google").connection
    other = factories.team(provider="microsoft", granted_at=NOW - timedelta(days=2)).connection
    told = factories.team(
        provider="google", granted_at=NOW - timedelta(days=2), grant_ends_at=NOW + timedelta(days=90)
    ).connection
    assert provider_credentials.set_google_testing(operator, True, now=NOW).in_testing
    assert current_settings().google_in_testing
    assert ends(young) == NOW + timedelta(days=5)
    assert [ends(one) for one in (old, unknown, other)] == [None, None, None]
    assert not provider_credentials.set_google_testing(operator, False, now=NOW).in_testing
    assert ends(young) is None
    assert ends(told) == NOW + timedelta(days=90)
