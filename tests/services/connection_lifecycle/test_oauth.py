"""Connecting by OAuth: every way it goes right, and every way it must not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from redis import Redis
from rq import Queue
from sqlalchemy import text
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import AuditEntry, Calendar, Connection, Membership, OAuthAttempt
from calendar_app.db.tables.connections import WITH_TOKENS
from calendar_app.errors import (
    AlmanacError,
    Conflict,
    ConsentDenied,
    Forbidden,
    GrantRevoked,
    InvalidRequest,
    NotFound,
    ProviderNotConfigured,
    ProviderUnavailable,
    StateInvalid,
)
from calendar_app.providers.base import AccessRole
from calendar_app.services.calendar_sync import push_channels
from calendar_app.services.calendar_sync import requests as sync_requests
from calendar_app.services.common.permissions import Role
from calendar_app.services.connection_lifecycle import disconnect as connection_disconnect
from calendar_app.services.connection_lifecycle import oauth as connection_oauth
from calendar_app.services.connections import queries as connection_queries
from calendar_app.services.connections import tokens as connection_tokens
from tests.support import factories
from tests.support.databases import Database
from tests.support.fake_provider import ALL_SCOPES, FakeProvider

BROWSER = "session-1"


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    vendor = FakeProvider()
    with vendor.installed():
        yield vendor


@pytest.fixture
def actor(database: Database) -> factories.Actor:
    person, workspace = factories.person(), factories.workspace()
    factories.membership(person, workspace)
    return factories.actor(person, workspace)


def _finish(answer: dict[str, str], **changes: object) -> connection_oauth.ConnectResult:
    return connection_oauth.finish(**({"bindings": [BROWSER], "provider": "fake"} | answer | changes))  # type: ignore[arg-type]


def _connect(
    fake: FakeProvider, actor: factories.Actor, email: str = "ada@example.com"
) -> connection_oauth.ConnectResult:
    account = fake.accounts.get(f"id-of-{email}") or fake.account(email, calendars=("main", "team"))
    return _finish(fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account))


def _stored() -> list[Connection]:
    with reading() as session:
        return list(session.exec(select(Connection).options(*WITH_TOKENS)))


def test_the_authorization_request_is_what_rfc_9700_wants(actor: factories.Actor, fake: FakeProvider) -> None:
    """PKCE S256, a long state, the exact redirect address; no secret stands in the database in clear."""
    url = connection_oauth.start(actor, "fake", binding=BROWSER, next_path="/settings/calendars?tab=1")
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    assert len(query["state"]) >= 43
    assert query["redirect_uri"] == "http://localhost:3000/api/v1/connections/fake/callback"
    with reading() as session:
        row = session.exec(select(OAuthAttempt)).one()
        stored = str(session.connection().execute(text("SELECT * FROM oauth_attempt")).one())
    assert row.next_path == "/settings/calendars?tab=1"
    assert timedelta(minutes=9) < row.expires_at - datetime.now(UTC) <= timedelta(minutes=10)
    assert len(row.code_verifier) >= 43
    for secret in (query["state"], row.code_verifier, BROWSER):
        assert secret not in stored


def test_an_account_is_connected(actor: factories.Actor, fake: FakeProvider) -> None:
    """Tokens are kept encrypted, calendars listed, the first sync asked for, and the audit trail says who did it."""
    result = _connect(fake, actor)
    assert (result.connection.account_email, result.connection.status) == ("ada@example.com", "syncing")
    assert result.next_path == "/settings/calendars"
    assert result.message == "Fake account ada@example.com is connected; 2 calendars found."
    main, team = result.calendars
    assert (main.is_primary, main.receives_bookings, main.checks_conflicts) == (True, True, True)
    assert (team.is_primary, team.receives_bookings, team.checks_conflicts) == (False, False, True)
    (row,) = _stored()
    with reading() as session:
        raw = session.connection().execute(text("SELECT access_token, refresh_token FROM connection")).one()
        rows = session.exec(select(Calendar)).all()
        entry = session.exec(select(AuditEntry)).one()
    assert row.access_token
    assert row.refresh_token
    assert not {row.access_token, row.refresh_token} & set(raw)
    assert all(calendar.sync_requested_at is not None for calendar in rows)
    assert (entry.action, entry.actor) == ("connection.connected", actor.email)


def test_read_only_calendars_are_not_made_to_take_bookings(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """The first writable calendar receives bookings when the primary one cannot, which still blocks time; foreign
    ones do not."""
    account = fake.account("ada@example.com", calendars=())
    account.add_calendar("a", is_primary=True, access_role=AccessRole.READER)
    account.add_calendar("b", access_role=AccessRole.WRITER)
    result = _finish(fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account))
    found = {view.name: (view.receives_bookings, view.checks_conflicts) for view in result.calendars}
    assert found == {"a": (False, True), "b": (True, False)}


def test_a_second_account_leaves_the_first_ones_bookings_alone(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Only one calendar of a person receives bookings until the person says otherwise."""
    _connect(fake, actor)
    second = _connect(fake, actor, "ada@work.example.com")
    assert not any(view.receives_bookings for view in second.calendars)
    assert len(_stored()) == 2


def test_a_state_is_used_once(actor: factories.Actor, fake: FakeProvider) -> None:
    """A callback that arrives again is refused before the provider is asked anything."""
    answer = fake.allow(
        connection_oauth.start(actor, "fake", binding=BROWSER), fake.account("ada@example.com")
    )
    _finish(answer)
    calls = len(fake.calls)
    with pytest.raises(StateInvalid):
        _finish(answer)
    assert len(fake.calls) == calls
    assert len(_stored()) == 1


def test_a_state_is_used_once_in_parallel_too(actor: factories.Actor, fake: FakeProvider) -> None:
    """Eight callbacks at once exchange one code."""
    answer = fake.allow(
        connection_oauth.start(actor, "fake", binding=BROWSER), fake.account("ada@example.com")
    )

    def attempt(_: int) -> bool:
        try:
            _finish(answer)
        except StateInvalid:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
    assert fake.count("exchange") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"state": None},
        {"state": ""},
        {"state": "made-up"},
        {"bindings": []},
        {"bindings": ["another session"]},
        {"provider": "google"},
        {"now": datetime.now(UTC) + timedelta(days=1)},
    ],
    ids=["missing", "empty", "made up", "no session", "another session", "another provider", "too late"],
)
def test_a_bad_state_is_refused_before_the_code_is_exchanged(
    actor: factories.Actor, fake: FakeProvider, changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the provider and nothing is written; the rightful browser can still finish, if in time."""
    answer = fake.allow(
        connection_oauth.start(actor, "fake", binding=BROWSER), fake.account("ada@example.com")
    )
    with fake_google(), pytest.raises(StateInvalid):
        _finish(answer, **changes)
    assert fake.calls == []
    assert _stored() == []
    assert _finish(answer).connection.account_email == "ada@example.com"


def fake_google() -> object:
    """Something configured under the key of another provider."""
    return FakeProvider("google").installed()


def test_an_answer_from_another_issuer_is_refused(actor: factories.Actor, fake: FakeProvider) -> None:
    """RFC 9207: `iss` of another authorization server ends the attempt; the right one passes."""
    account = fake.account("ada@example.com")
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account)
    with pytest.raises(StateInvalid):
        _finish(answer, issuer="https://login.evil.example")
    assert fake.calls == []
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account)
    assert _finish(answer, issuer="https://fake.example").calendars


def test_pkce_is_enforced(actor: factories.Actor, fake: FakeProvider) -> None:
    """A code from another attempt does not fit this attempt's verifier (code injection)."""
    account = fake.account("ada@example.com")
    stolen = fake.allow(connection_oauth.start(actor, "fake", binding="victim"), account)["code"]
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account)
    with pytest.raises(StateInvalid, match="did not accept"):
        _finish(answer | {"code": stolen})
    assert _stored() == []


def test_a_code_that_a_policy_refuses_says_so(actor: factories.Actor, fake: FakeProvider) -> None:
    """The provider gave a reason with its refusal of the code: that is told, not that the attempt was too old."""
    account = fake.account("ada@example.com")
    fake.fail("exchange", GrantRevoked(reason="blocked_by_policy"))
    with pytest.raises(ConsentDenied) as caught:
        _finish(fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account))
    assert caught.value.code == "blocked_by_policy"


def test_denied_consent_is_said(actor: factories.Actor, fake: FakeProvider) -> None:
    """Pressing "Deny" writes nothing and says what happened."""
    with pytest.raises(ConsentDenied, match="not connected"):
        _finish(fake.deny(connection_oauth.start(actor, "fake", binding=BROWSER)))
    assert fake.calls == []
    assert _stored() == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [("temporarily_unavailable", ProviderUnavailable), ("invalid_scope", ProviderNotConfigured)],
)
def test_other_refusals_name_who_can_help(
    actor: factories.Actor, fake: FakeProvider, error: str, raised: type[AlmanacError]
) -> None:
    """The provider's trouble passes, the operator's has to be mended."""
    answer = fake.deny(connection_oauth.start(actor, "fake", binding=BROWSER))
    with pytest.raises(raised):
        _finish(answer | {"error": error})


def test_a_missing_code_is_refused(actor: factories.Actor, fake: FakeProvider) -> None:
    """A state alone connects nothing."""
    answer = fake.deny(connection_oauth.start(actor, "fake", binding=BROWSER))
    with pytest.raises(StateInvalid):
        _finish({"state": answer["state"]})


def test_a_wrong_client_secret_is_the_operators_fault(actor: factories.Actor, fake: FakeProvider) -> None:
    """The person learns that they cannot mend it; nothing is written."""
    answer = fake.allow(
        connection_oauth.start(actor, "fake", binding=BROWSER), fake.account("ada@example.com")
    )
    fake.fail("exchange", InvalidRequest("Fake does not accept the client secret.", reason="invalid_client"))
    with pytest.raises(ProviderNotConfigured) as refused:
        _finish(answer)
    assert (refused.value.code, refused.value.status) == ("provider_misconfigured", 503)
    assert _stored() == []


@pytest.mark.parametrize("call", ["exchange", "account", "list_calendars"])
def test_an_outage_writes_nothing(actor: factories.Actor, fake: FakeProvider, call: str) -> None:
    """Whichever call meets it; a grant that was already given is returned, once it is known whose it is."""
    account = fake.account("ada@example.com")
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account)
    fake.fail(call, ProviderUnavailable())
    with pytest.raises(ProviderUnavailable):
        _finish(answer)
    assert _stored() == []
    assert fake.live_grants(account) == 0


def test_a_required_permission_that_was_ticked_off(actor: factories.Actor, fake: FakeProvider) -> None:
    """The connection is refused, the sentence names what is missing, and the useless grant is revoked."""
    account = fake.account("ada@example.com")
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account, scopes=["profile"])
    with pytest.raises(ConsentDenied, match="read your events and write bookings") as refused:
        _finish(answer)
    assert refused.value.code == "scope_missing"
    assert fake.live_grants(account) == 0
    assert _stored() == []


def test_an_optional_permission_that_was_ticked_off(actor: factories.Actor, fake: FakeProvider) -> None:
    """The connection stands, stores what was given, and says which feature is lost."""
    account = fake.account("ada@example.com")
    answer = fake.allow(
        connection_oauth.start(actor, "fake", binding=BROWSER), account, scopes=["profile", "calendar"]
    )
    result = _finish(answer)
    assert result.missing_features == ("check a time once more before a booking is confirmed",)
    assert result.missing_features[0] in result.message
    assert result.connection.missing_features == result.missing_features
    assert _stored()[0].scopes == ["profile", "calendar"]


def test_a_useless_grant_is_not_revoked_under_a_connection_that_lives(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Revoking ends every grant of the account, so a failed second attempt leaves a working connection alone."""
    _connect(fake, actor)
    account = fake.accounts["id-of-ada@example.com"]
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account, scopes=["profile"])
    with pytest.raises(ConsentDenied):
        _finish(answer)
    assert fake.count("revoke") == 0
    assert _stored()[0].status == "connected"


@pytest.mark.parametrize("call", ["scopes", "account", "list_calendars"])
@pytest.mark.parametrize("known", [True, False])
def test_a_connect_that_fails_half_way_ends_nobody_elses_grant(
    actor: factories.Actor, fake: FakeProvider, call: str, known: bool
) -> None:
    """Two workspaces use one account; the second one's connecting fails, and the provider may not even say whose
    account it is. The first one's grant, which a revocation would end too, goes on to work."""
    first = _connect(fake, actor)
    other = factories.team().actor
    account = fake.accounts["id-of-ada@example.com"]
    scopes = ["profile"] if call == "scopes" else ALL_SCOPES
    answer = fake.allow(connection_oauth.start(other, "fake", binding=BROWSER), account, scopes=scopes)
    if call != "scopes":
        fake.fail(call, ProviderUnavailable())
    if not known:
        heard = [None] if call == "list_calendars" else []
        fake.fail("account", *heard, ProviderUnavailable(), ProviderUnavailable())
    with pytest.raises((ProviderUnavailable, ConsentDenied)):
        _finish(answer)
    assert fake.count("revoke") == 0
    assert connection_tokens.call(first.connection.id, lambda api: api.list_calendars())


def test_a_useless_grant_of_nobody_knows_whom_is_left_alone(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Nobody is connected as far as we know, yet the grant may be shared with an installation's other part."""
    account = fake.account("ada@example.com")
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account, scopes=["profile"])
    fake.fail("account", ProviderUnavailable())
    with pytest.raises(ConsentDenied):
        _finish(answer)
    assert fake.count("revoke") == 0


def test_a_useless_grant_of_another_account_is_revoked(actor: factories.Actor, fake: FakeProvider) -> None:
    """The same person has connected another account, which stays alive; the refused one has no access left."""
    _connect(fake, actor)
    other = fake.account("second@example.com")
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), other, scopes=["profile"])
    with pytest.raises(ConsentDenied):
        _finish(answer)
    assert fake.live_grants(other) == 0
    assert fake.live_grants(fake.accounts["id-of-ada@example.com"]) == 1


@pytest.mark.parametrize("how", ["revoked", "disconnected"])
def test_push_works_again_as_soon_as_the_account_is_connected(
    actor: factories.Actor, fake: FakeProvider, redis_server: Redis, how: str
) -> None:
    """A grant that ends takes its channels with it, and the status says so; connected again, each calendar that was
    read before gets a new channel at once, whether or not its reading is a full one."""
    first = _connect(fake, actor)
    calendar_id = first.calendars[0].id
    sync_requests.sync_calendar(calendar_id)
    assert push_channels.ensure(calendar_id)
    assert sync_requests.status(actor)[0].push
    account = fake.accounts["id-of-ada@example.com"]
    if how == "revoked":
        fake.revoke_grants(account)
        fake.channels.clear()
        with pytest.raises(GrantRevoked):
            connection_tokens.call(first.connection.id, lambda api: api.list_calendars())
        assert not sync_requests.status(actor)[0].push
    else:
        connection_disconnect.disconnect(actor, first.connection.id)
    assert fake.channels == {}
    redis_server.flushall()
    answer = fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account)
    _finish(answer)
    jobs = Queue("default", connection=redis_server).jobs
    assert (jobs[0].func_name, jobs[0].args) == ("calendar_app.worker.jobs.open_channel", (calendar_id,))
    assert push_channels.ensure(calendar_id)
    assert len(fake.channels) == 1
    assert sync_requests.status(actor)[0].push


def test_a_grant_of_limited_time_is_told(actor: factories.Actor, fake: FakeProvider) -> None:
    """The provider says when it ends; a refresh that says nothing of it changes nothing, a new grant without an end
    takes it back."""
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    fake.grant_ends_at = ends
    made = _connect(fake, actor).connection
    assert made.grant_ends_at == ends
    fake.grant_ends_at, fake.rotate = None, False
    connection_tokens.refresh(made.id)
    assert connection_queries.get_connection(actor, made.id).grant_ends_at == ends
    account = fake.accounts["id-of-ada@example.com"]
    _finish(fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account))
    assert connection_queries.get_connection(actor, made.id).grant_ends_at is None


def test_reconnecting_keeps_the_connection_and_its_calendars(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Same row, same calendars, same choices, new tokens; the error is gone."""
    first = _connect(fake, actor)
    with transaction() as session:
        row = session.get_one(Connection, first.connection.id)
        row.status, row.last_error, row.last_error_code = (
            "needs_reconnect",
            "Connect it again.",
            "needs_reconnect",
        )
        calendar = session.get_one(Calendar, first.calendars[1].id)
        calendar.checks_conflicts = False
    old = _stored()[0].refresh_token
    url = connection_oauth.start(actor, "fake", binding=BROWSER, connection_id=first.connection.id)
    assert parse_qs(urlsplit(url).query)["login_hint"] == ["ada@example.com"]
    again = _finish(fake.allow(url, fake.accounts["id-of-ada@example.com"]))
    assert again.connection.id == first.connection.id
    assert again.connection.last_error == ""
    assert [view.id for view in again.calendars] == [view.id for view in first.calendars]
    assert again.calendars[1].checks_conflicts is False
    (row,) = _stored()
    assert row.status == "connected"
    assert row.refresh_token != old


def test_connecting_the_same_account_again_is_reconnecting(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Without saying so either, and also after a disconnection, the account keeps its row."""
    first = _connect(fake, actor)
    connection_disconnect.disconnect(actor, first.connection.id)
    again = _connect(fake, actor)
    assert again.connection.id == first.connection.id
    assert _stored()[0].disconnected_at is None


def test_reconnecting_with_another_account_is_refused(actor: factories.Actor, fake: FakeProvider) -> None:
    """Both addresses are named, and nothing changes."""
    first = _connect(fake, actor)
    before = _stored()
    url = connection_oauth.start(actor, "fake", binding=BROWSER, connection_id=first.connection.id)
    with pytest.raises(Conflict, match=r"eve@example\.com.*ada@example\.com") as refused:
        _finish(fake.allow(url, fake.account("eve@example.com")))
    assert refused.value.code == "wrong_account"
    assert [row.model_dump() for row in _stored()] == [row.model_dump() for row in before]


def test_an_account_of_the_same_name_is_told_apart_in_words(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Where both addresses are the same, naming them would say nothing: the sentence says what differs."""
    first = _connect(fake, actor)
    with transaction() as session:
        session.get_one(Connection, first.connection.id).account_id = "the account before it was made anew"
    url = connection_oauth.start(actor, "fake", binding=BROWSER, connection_id=first.connection.id)
    with pytest.raises(Conflict, match="another of the same name") as refused:
        _finish(fake.allow(url, fake.account(first.connection.account_email)))
    assert refused.value.code == "wrong_account"


def test_two_callbacks_for_one_account_make_one_connection(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """Two tabs that connect the same account at once share the row."""
    account = fake.account("ada@example.com")
    answers = [fake.allow(connection_oauth.start(actor, "fake", binding=BROWSER), account) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(_finish, answers))
    assert len({result.connection.id for result in results}) == 1
    assert len(_stored()) == 1


def test_a_person_who_lost_their_role_meanwhile_is_refused(
    actor: factories.Actor, fake: FakeProvider
) -> None:
    """The role counts when the answer comes, not when the button was pressed."""
    answer = fake.allow(
        connection_oauth.start(actor, "fake", binding=BROWSER), fake.account("ada@example.com")
    )
    with transaction() as session:
        session.exec(select(Membership)).one().role = Role.CUSTOMER.value
    with pytest.raises(StateInvalid):
        _finish(answer)
    assert fake.calls == []


def test_who_may_start(actor: factories.Actor, fake: FakeProvider) -> None:
    """Customers may not, an unknown provider is not found, one without credentials says what to set."""
    customer = factories.actor(factories.person(), factories.workspace(), Role.CUSTOMER)
    with pytest.raises(Forbidden):
        connection_oauth.start(customer, "fake", binding=BROWSER)
    with pytest.raises(NotFound):
        connection_oauth.start(actor, "palm-pilot", binding=BROWSER)
    with pytest.raises(ProviderNotConfigured, match="GOOGLE_CLIENT_ID"):
        connection_oauth.start(actor, "google", binding=BROWSER)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/dashboard", True),
        ("/settings/calendars?tab=1#x", True),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("https:evil.example", False),
        ("https://evil.example", False),
        ("javascript:alert(1)", False),
        ("/\t/evil.example", False),
        ("\t//evil.example", False),
        ("/a\r\nSet-Cookie: x=1", False),
        ("", False),
        ("dashboard", False),
        ("/" + "x" * 600, False),
    ],
)
def test_only_local_paths_are_followed(path: str, kept: bool) -> None:
    """A browser stays on this site whatever `next` was asked for."""
    assert connection_oauth.local_path(path, "/safe") == (path if kept else "/safe")


def test_where_to_tell_what_went_wrong(actor: factories.Actor, fake: FakeProvider) -> None:
    """Only the browser that started learns its own next path."""
    url = connection_oauth.start(actor, "fake", binding=BROWSER, next_path="/dashboard")
    state = fake.deny(url)["state"]
    assert connection_oauth.next_path_of(state, [BROWSER]) == "/dashboard"
    assert (
        connection_oauth.next_path_of(state, ["other"])
        == connection_oauth.next_path_of(None, [])
        == "/settings/calendars"
    )
