"""People: sign-up, sign-in, sessions, API tokens, roles."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis
from sqlmodel import col, select

from calendar_app.db.session import reading
from calendar_app.db.tables import (
    ApiToken,
    AuditEntry,
    AuthSession,
    EventType,
    EventTypeHost,
    Person,
    Schedule,
)
from calendar_app.domain.schedule import Schedule as Hours
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound, NotSignedIn, TooManyRequests
from calendar_app.services.accounts import authentication, passwords
from calendar_app.services.common import permissions, rate_limits
from calendar_app.services.common.permissions import Role
from tests.support.databases import Database
from tests.support.people import CHEAP, PASSWORD


def _sign_up(email: str = "Ada@Example.com", **changes: str) -> authentication.SignedIn:
    fields = {
        "name": "Ada",
        "email": email,
        "password": PASSWORD,
        "workspace_name": "Ada & Söhne",
        "timezone": "Europe/Berlin",
    }
    return authentication.sign_up(**(fields | changes))


@pytest.mark.parametrize("field", ["name", "workspace_name"])
@pytest.mark.parametrize("text", ["A\x00da", "A\x07da", "\ud800", "x" * 121])
def test_names_are_clean_text(database: Database, field: str, text: str) -> None:
    """What would break letters, calendar files or PostgreSQL is refused at sign-up, and names its field."""
    with pytest.raises(InvalidInput) as refused:
        _sign_up(**{field: text})
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["localtime", "Factory", "posixrules", "europe/berlin", "../UTC"])
def test_a_time_zone_means_the_same_everywhere(name: str) -> None:
    """Names by which only this machine knows a zone are unknown."""
    with pytest.raises(InvalidInput):
        authentication.zone(name)


def test_signing_up_makes_an_owner_who_can_be_booked(database: Database) -> None:
    """A newcomer has a workspace, the owner's role, valid working hours and one public event type that they host."""
    identity = _sign_up().identity
    (workspace,) = identity.workspaces
    assert (identity.email, workspace.role, workspace.slug) == ("ada@example.com", Role.OWNER, "ada-sohne")
    with reading() as session:
        schedule = session.exec(select(Schedule)).one()
        hours = Hours.from_json({"weekly": schedule.weekly}, schedule.timezone)
        assert str(hours.weekly[0][0]) == "09:00–17:00"
        event_type = session.exec(select(EventType)).one()
        assert (event_type.slug, event_type.is_public, event_type.workspace_id) == (
            "intro",
            True,
            workspace.id,
        )
        assert session.exec(select(EventTypeHost)).one().person_id == identity.person_id
        actions = session.exec(select(AuditEntry.action).order_by(col(AuditEntry.id))).all()
        assert actions == ["workspace.created", "person.signed_in"]


@pytest.fixture
def full_cost() -> Iterator[None]:
    """Passwords are hashed as the product hashes them; elsewhere in tests it is made cheap."""
    passwords.use_cost(**passwords.COST)
    yield
    passwords.use_cost(**CHEAP)


def test_the_password_is_kept_as_argon2id(database: Database, full_cost: None) -> None:
    """Neither the password nor the session's secret stands in the database; a guess costs what OWASP asks for."""
    signed_in = _sign_up()
    with reading() as session:
        kept = session.exec(select(Person)).one().password_hash
        row = session.exec(select(AuthSession)).one()
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert signed_in.token not in row.model_dump_json()
    assert len(signed_in.token) >= 43


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "not an address"}, "invalid_email"),
        ({"password": "eleven char"}, "weak_password"),
        ({"password": "x" * 201}, "weak_password"),
        ({"timezone": "Mars/Olympus"}, "unknown_timezone"),
        ({"name": "  "}, "invalid_input"),
        ({"name": "x" * 121}, "invalid_input"),
    ],
)
def test_unusable_fields_are_refused(database: Database, change: dict[str, str], code: str) -> None:
    """Bad input is named, and nothing is written."""
    with pytest.raises(InvalidInput) as refused:
        _sign_up(**change)
    assert refused.value.code == code
    with reading() as session:
        assert session.exec(select(Person)).first() is None


def test_an_address_signs_up_once(database: Database) -> None:
    """The same address in other letters is the same person."""
    _sign_up()
    with pytest.raises(Conflict) as refused:
        _sign_up("ADA@example.com", workspace_name="Another")
    assert refused.value.code == "email_taken"


def test_workspaces_of_the_same_name_get_addresses_of_their_own(database: Database) -> None:
    """A taken slug is given a random ending."""
    first, second = _sign_up(), _sign_up("grace@example.com")
    assert second.identity.workspaces[0].slug.startswith(first.identity.workspaces[0].slug + "-")


def test_signing_in_and_out(database: Database) -> None:
    """A session identifies its person until it is ended; ending one leaves the others."""
    first = _sign_up()
    second = authentication.sign_in(" ADA@example.com ", PASSWORD, user_agent="Firefox")
    assert first.token != second.token
    found = authentication.identify(second.token)
    assert found is not None
    assert found.person_id == first.identity.person_id
    authentication.sign_out(second.token)
    assert authentication.identify(second.token) is None
    assert authentication.identify(first.token) is not None
    assert authentication.identify("no such token") is None


@pytest.mark.parametrize(
    ("email", "password"), [("ada@example.com", "wrong password"), ("eve@example.com", PASSWORD)]
)
def test_wrong_credentials_say_the_same_whichever_is_wrong(
    database: Database, email: str, password: str
) -> None:
    """An unknown address and a wrong password cannot be told apart by the answer."""
    _sign_up()
    with pytest.raises(NotSignedIn) as refused:
        authentication.sign_in(email, password)
    assert refused.value.code == "invalid_credentials"


def test_an_unknown_address_takes_as_long_as_a_wrong_password(database: Database) -> None:
    """Both paths do the work of one Argon2id verification."""
    _sign_up()

    def took(email: str) -> float:
        started = time.process_time()
        with pytest.raises(NotSignedIn):
            authentication.sign_in(email, "wrong password", client=email)
        return time.process_time() - started

    took("warm@example.com")
    known, unknown = (
        min(took("ada@example.com") for _ in range(3)),
        min(took("eve@example.com") for _ in range(3)),
    )
    assert 0.5 < unknown / known < 2


def test_sessions_end_after_thirty_days_or_a_week_of_silence(database: Database) -> None:
    """A cookie that outlives its session is worth nothing, and one that nobody uses ends earlier."""
    token, now = _sign_up().token, datetime.now(UTC)
    for day in range(1, 30):
        assert authentication.identify(token, now=now + timedelta(days=day)) is not None
    assert authentication.identify(token, now=now + timedelta(days=30, minutes=1)) is None
    token = _sign_up("eve@example.com").token
    assert authentication.identify(token, now=now + timedelta(days=6, hours=23)) is not None
    late = now + timedelta(days=6, hours=23) + timedelta(days=7, minutes=1)
    assert authentication.identify(token, now=late) is None
    assert authentication.living([authentication.digest(token)], now=late) == {}


def test_sessions_are_listed_and_revoked(database: Database) -> None:
    """People see where they are signed in and end a session from elsewhere; other people's are not theirs to end."""
    first = _sign_up()
    second = authentication.sign_in("ada@example.com", PASSWORD, user_agent="Old phone")
    sessions = authentication.list_sessions(first.identity)
    assert {view.user_agent for view in sessions} == {"", "Old phone"}
    assert [view.current for view in sessions if view.id == first.identity.session_id] == [True]
    stranger = _sign_up("eve@example.com").identity
    with pytest.raises(NotFound):
        authentication.revoke_session(stranger, second.identity.session_id)
    authentication.revoke_session(first.identity, second.identity.session_id)
    assert authentication.identify(second.token) is None


def test_api_tokens_identify_their_person(database: Database) -> None:
    """A bearer token works until it expires, and is no session cookie."""
    _sign_up()
    token, life = authentication.issue_api_token("ada@example.com", PASSWORD)
    found = authentication.identify_bearer(token)
    assert found is not None
    assert found.email == "ada@example.com"
    assert authentication.identify(token) is None
    assert authentication.identify_bearer(token, now=datetime.now(UTC) + timedelta(seconds=life + 60)) is None
    with reading() as session:
        row = session.exec(select(ApiToken)).one()
    assert row.last_used_at is not None
    assert token not in row.model_dump_json()


def test_guessing_is_limited_per_address(database: Database, redis_server: Redis) -> None:
    """After ten failures one client waits, though it now knows the password; another client does not."""
    _sign_up()
    for _ in range(10):
        with pytest.raises(NotSignedIn):
            authentication.sign_in("ada@example.com", "wrong password", client="10.0.0.1")
    with pytest.raises(TooManyRequests) as refused:
        authentication.sign_in("Ada@example.com", PASSWORD, client="10.0.0.1")
    assert 0 < refused.value.retry_after <= 15 * 60
    assert authentication.sign_in("ada@example.com", PASSWORD, client="10.0.0.2").token


def test_a_client_that_tries_many_addresses_is_limited(
    database: Database, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit per client counts every sign-in, whatever the address."""
    monkeypatch.setattr(authentication, "PER_CLIENT", "3/minute")
    for number in range(3):
        with pytest.raises(NotSignedIn):
            authentication.sign_in(f"person{number}@example.com", PASSWORD, client="10.0.0.1")
    with pytest.raises(TooManyRequests):
        authentication.sign_in("person4@example.com", PASSWORD, client="10.0.0.1")


@pytest.mark.parametrize("with_redis", [True, False])
def test_limits_hold_with_and_without_redis(
    with_redis: bool, configure: Callable[..., object], request: pytest.FixtureRequest
) -> None:
    """A dead Redis makes limits count per process; it does not lift them."""
    configure()
    if with_redis:
        request.getfixturevalue("redis_server")
    bucket = f"test-{with_redis}"
    for _ in range(2):
        rate_limits.check(bucket, "somebody", "2/minute")
    rate_limits.check(bucket, "somebody else", "2/minute")
    with pytest.raises(TooManyRequests, match="try again in"):
        rate_limits.check(bucket, "somebody", "2/minute")
    with pytest.raises(TooManyRequests):
        rate_limits.peek(bucket, "somebody", "2/minute")


def test_an_identity_acts_only_in_its_own_workspaces(database: Database) -> None:
    """A workspace is chosen by slug or id; another one is not found."""
    ada, eve = _sign_up().identity, _sign_up("eve@example.com", workspace_name="Evil").identity
    mine = ada.workspaces[0]
    assert ada.actor().workspace_id == ada.actor(mine.slug).workspace_id == ada.actor(mine.id).workspace_id
    with pytest.raises(NotFound):
        ada.actor(eve.workspaces[0].slug)


def test_roles_are_ordered() -> None:
    """Customer < staff < manager < admin < owner, though the words sort otherwise."""
    assert sorted(Role, key=lambda role: role.rank) == list(Role)
    assert Role.STAFF < Role.MANAGER < Role.ADMIN < Role.OWNER
    assert Role.OWNER > Role.CUSTOMER
    assert Role.STAFF >= Role.STAFF
    assert Role.STAFF <= Role.STAFF


def test_too_little_role_is_refused(database: Database) -> None:
    """`Actor.require` names the role that is needed."""
    actor = _sign_up().identity.actor()
    actor.require(Role.OWNER)
    with pytest.raises(Forbidden, match="staff"):
        permissions.Actor("p", "w", Role.CUSTOMER, "c@example.com", "C", "UTC").require(Role.STAFF)
