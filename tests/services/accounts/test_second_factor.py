"""Authenticator apps and recovery codes."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from hypothesis import given
from hypothesis import strategies as st

from calendar_app.db.session import reading
from calendar_app.db.tables import SecondFactor
from calendar_app.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotSignedIn,
    SecondFactorRequired,
    TooManyRequests,
)
from calendar_app.services.accounts import authentication, email_proof, second_factor
from calendar_app.services.accounts.authentication import Identity
from tests.services.accounts.conftest import secret_in
from tests.support.people import PASSWORD

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
Emails = Callable[[], list[tuple[str, str, str]]]


def code(key: str, now: datetime) -> str:
    """What an app with that key shows."""
    return TOTP(base64.b32decode(key), 6, SHA1(), 30).generate(int(now.timestamp())).decode()  # noqa: S303  # what apps use (RFC 6238)


def with_app(identity: Identity) -> tuple[str, list[str]]:
    """The key of an app that is in force from :data:`NOW`, and the recovery codes."""
    made = second_factor.start_app(identity, PASSWORD, "Phone", now=NOW)
    return made.key, second_factor.confirm_app(identity, made.id, code(made.key, NOW), now=NOW)


def half_way(email: str = "ada@example.com", now: datetime = NOW) -> str:
    """The secret of a sign-in after the right password."""
    with pytest.raises(SecondFactorRequired) as more:
        authentication.sign_in(email, PASSWORD)
    assert "code" in more.value.detail
    return second_factor.begin(more.value.person_id, now=now)


def test_an_app_is_asked_for_once_a_code_of_it_was_seen(ada: Identity, emails: Emails) -> None:
    """Until it is confirmed nothing changes; then a password alone opens neither a session nor a token."""
    made = second_factor.start_app(ada, PASSWORD, now=NOW)
    assert made.uri.startswith("otpauth://totp/Almanac:ada%40example.com?")
    assert authentication.sign_in("ada@example.com", PASSWORD)
    with pytest.raises(InvalidInput, match="clock"):
        second_factor.confirm_app(ada, made.id, "000000", now=NOW)
    codes = second_factor.confirm_app(ada, made.id, code(made.key, NOW), now=NOW)
    assert len(set(codes)) == second_factor.CODES
    assert [(one.kind, one.name) for one in second_factor.list_factors(ada)] == [
        ("totp", "Authenticator app")
    ]
    with pytest.raises(SecondFactorRequired):
        authentication.issue_api_token("ada@example.com", PASSWORD)
    later = NOW + timedelta(minutes=1)
    signed_in = second_factor.finish(half_way(now=later), code(made.key, later), now=later)
    assert signed_in.identity.person_id == ada.person_id
    assert "second_factor" in [kind for kind, _, _ in emails()]


def test_the_password_is_asked_for_before_anything_changes(ada: Identity) -> None:
    """Whoever finds an open browser neither adds nor removes a factor."""
    with pytest.raises(InvalidInput):
        second_factor.start_app(ada, "wrong")
    with_app(ada)
    (factor,) = second_factor.list_factors(ada)
    for change in (
        lambda: second_factor.remove(ada, factor.id, "wrong"),
        lambda: second_factor.new_recovery_codes(ada, "wrong"),
    ):
        with pytest.raises(InvalidInput):
            change()


def test_a_code_is_worth_one_sign_in(ada: Identity) -> None:
    """Neither the same code nor an earlier one is accepted again, from whatever sign-in."""
    key, _ = with_app(ada)
    now = NOW + timedelta(minutes=5)
    shown = code(key, now)
    second_factor.finish(half_way(now=now), shown, now=now)
    before = code(key, now - timedelta(seconds=30))
    for used in (shown, before):
        with pytest.raises(NotSignedIn, match="used before"):
            second_factor.finish(half_way(now=now), used, now=now)
    after = now + timedelta(seconds=30)
    assert second_factor.finish(half_way(now=after), code(key, after), now=after)


@given(shift=st.integers(-300, 300))
def test_clocks_may_differ_by_one_step(shift: int) -> None:
    """A code of the step before or after is accepted, and no other."""
    key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    row = SecondFactor(person_id="p", kind="totp", secret=key)
    step = int(NOW.timestamp()) // 30 - (int(NOW.timestamp()) + shift) // 30
    shown = code(key, NOW + timedelta(seconds=shift))
    near = {code(key, NOW + timedelta(seconds=30 * at)) for at in (-1, 0, 1)}
    assert second_factor._accept(row, shown, NOW) == (abs(step) <= 1 or shown in near)


def test_recovery_codes_stand_in_once(ada: Identity, emails: Emails) -> None:
    """A recovery code lets in without the app, is used up, and new ones end the old."""
    _, codes = with_app(ada)
    second_factor.finish(half_way(), codes[0].upper().replace("-", " "), now=NOW)
    assert second_factor.recovery_codes_left(ada) == second_factor.CODES - 1
    with pytest.raises(NotSignedIn):
        second_factor.finish(half_way(), codes[0], now=NOW)
    fresh = second_factor.new_recovery_codes(ada, PASSWORD)
    with pytest.raises(NotSignedIn):
        second_factor.finish(half_way(), codes[1], now=NOW)
    assert second_factor.finish(half_way(), fresh[1], now=NOW)
    assert any("recovery code was used" in text for _, _, text in emails())


def test_codes_are_not_guessed(ada: Identity) -> None:
    """Ten wrong codes of one account, however many sign-ins they belong to, and it has to wait."""
    key, _ = with_app(ada)
    for _ in range(10):
        with pytest.raises(NotSignedIn):
            second_factor.finish(half_way(), "123456", now=NOW)
    later = NOW + timedelta(minutes=1)
    with pytest.raises(TooManyRequests):
        second_factor.finish(half_way(now=later), code(key, later), now=later)


def test_a_sign_in_that_is_half_done_ends(ada: Identity) -> None:
    """After ten minutes the password has to be entered again; a made-up or finished one is worth nothing."""
    key, _ = with_app(ada)
    secret = half_way()
    late = NOW + timedelta(minutes=11)
    for given_secret in (secret, "made up", ""):
        with pytest.raises(NotSignedIn, match="too long"):
            second_factor.finish(given_secret, code(key, late), now=late)
    now = NOW + timedelta(minutes=20)
    secret = half_way(now=now)
    second_factor.finish(secret, code(key, now), now=now)
    with pytest.raises(NotSignedIn, match="too long"):
        second_factor.finish(secret, code(key, now + timedelta(seconds=30)), now=now)


def test_a_reset_by_email_leaves_the_second_factor(ada: Identity, emails: Emails) -> None:
    """Who reads the mailbox sets a password, and still does not get in."""
    with_app(ada)
    email_proof.send(email_proof.ask_to_reset("ada@example.com"))
    email_proof.reset(secret_in(emails()[-1][2]), "another unusual sentence")
    with pytest.raises(SecondFactorRequired):
        authentication.sign_in("ada@example.com", "another unusual sentence")


def test_removing_the_last_factor_ends_recovery_codes(ada: Identity) -> None:
    """The password alone is enough again; codes of before are worth nothing when a factor is added anew."""
    with_app(ada)
    (factor,) = second_factor.list_factors(ada)
    second_factor.remove(ada, factor.id, PASSWORD)
    assert (second_factor.list_factors(ada), second_factor.recovery_codes_left(ada)) == ([], 0)
    assert authentication.sign_in("ada@example.com", PASSWORD)
    with pytest.raises(Conflict):
        second_factor.new_recovery_codes(ada, PASSWORD)


def test_factors_are_their_person_s(ada: Identity) -> None:
    """Nobody confirms or removes another's."""
    made = second_factor.start_app(ada, PASSWORD, now=NOW)
    eve = authentication.sign_up("Eve", "eve@example.com", PASSWORD, "", "UTC").identity
    with pytest.raises(NotFound):
        second_factor.confirm_app(eve, made.id, code(made.key, NOW), now=NOW)
    with pytest.raises(NotFound):
        second_factor.remove(eve, made.id, PASSWORD)
    with reading() as session:
        assert session.get(SecondFactor, made.id) is not None
