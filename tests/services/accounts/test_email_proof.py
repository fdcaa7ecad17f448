"""Links that show that an address is somebody's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import EmailProof, Person
from calendar_app.errors import Conflict, InvalidInput, NotFound, NotSignedIn, TooManyRequests
from calendar_app.services.accounts import account_security, authentication, email_proof
from calendar_app.services.accounts.authentication import Identity
from tests.services.accounts.conftest import secret_in
from tests.support.people import PASSWORD

NEW = "another unusual sentence"
Emails = Callable[[], list[tuple[str, str, str]]]


def _ask(email: str = "eve@example.com", *, language: str = "") -> None:
    wish = email_proof.ask_to_sign_up("Eve", email, "Eve Ltd", "Europe/Berlin", language=language)
    email_proof.send(wish)


def test_an_account_is_made_by_its_link_only(ada: Identity, emails: Emails) -> None:
    """Asking makes nothing; the link asks for a password, makes the account with a proven address, and is used up."""
    _ask(language="de-AT,de;q=0.9")
    ((kind, recipient, text),) = emails()
    assert (kind, recipient) == ("prove_sign_up", "eve@example.com")
    assert "Eve" not in text
    assert text.startswith("Guten Tag")
    with pytest.raises(NotSignedIn):
        authentication.sign_in("eve@example.com", PASSWORD)
    secret = secret_in(text)
    assert email_proof.look(secret).email == "eve@example.com"
    with pytest.raises(InvalidInput, match="first that are guessed"):
        email_proof.sign_up(secret, "password1234")
    made = email_proof.sign_up(secret, NEW).identity
    assert [(ref.slug, ref.role.value) for ref in made.workspaces] == [("eve-ltd", "owner")]
    with reading() as session:
        person = session.exec(select(Person).where(Person.email == "eve@example.com")).one()
        assert person.email_proven_at is not None
        assert person.language == "de-AT"
    with pytest.raises(NotFound):
        email_proof.sign_up(secret, NEW)


def test_whoever_asks_first_does_not_keep_the_owner_out(ada: Identity, emails: Emails) -> None:
    """A stranger asks for somebody's address; its owner asks later, and has the account."""
    _ask()
    _ask()
    first, second = (secret_in(text) for _, _, text in emails())
    assert email_proof.sign_up(second, NEW).identity.email == "eve@example.com"
    with pytest.raises(NotFound):
        email_proof.sign_up(first, "the stranger's own sentence")


def test_nobody_learns_which_addresses_have_accounts(ada: Identity, emails: Emails) -> None:
    """Asking for an account or a password answers alike; the address's owner reads what is so."""
    _ask("ada@example.com")
    email_proof.send(email_proof.ask_to_reset("nobody@example.com"))
    email_proof.send(email_proof.ask_to_reset("ada@example.com"))
    found = [(kind, recipient) for kind, recipient, _ in emails()]
    assert found == [("has_account", "ada@example.com"), ("reset_password", "ada@example.com")]
    with reading() as session:
        assert [row.email for row in session.exec(select(EmailProof))] == ["ada@example.com"]


def test_a_new_password_by_link_ends_what_the_old_one_opened(ada: Identity, emails: Emails) -> None:
    """Sessions and mighty tokens end, the link is used up, and its owner is told."""
    token, _ = authentication.issue_api_token("ada@example.com", PASSWORD)
    kept = account_security.create_token(ada, "reader", ["read"], 30).secret
    browser = authentication.sign_in("ada@example.com", PASSWORD)
    email_proof.send(email_proof.ask_to_reset("Ada@Example.com"))
    secret = secret_in(emails()[-1][2])
    with pytest.raises(InvalidInput):
        email_proof.reset(secret, "ada@example.com")
    assert email_proof.reset(secret, NEW) == "ada@example.com"
    assert authentication.identify(browser.token) is None
    assert authentication.identify_bearer(token) is None
    assert authentication.identify_bearer(kept) is not None
    with pytest.raises(NotSignedIn):
        authentication.sign_in("ada@example.com", PASSWORD)
    assert authentication.sign_in("ada@example.com", NEW).identity.person_id == ada.person_id
    assert ("password_changed", "ada@example.com") in [one[:2] for one in emails()]
    with pytest.raises(NotFound):
        email_proof.reset(secret, PASSWORD)


def test_links_end(ada: Identity, emails: Emails) -> None:
    """A link for a password is worth an hour, one for an account a day, and neither does what the other is for."""
    now = datetime.now(UTC)
    email_proof.send(email_proof.ask_to_reset("ada@example.com"), now=now)
    _ask()
    reset, sign_up = (secret_in(text) for _, _, text in emails())
    with pytest.raises(NotFound):
        email_proof.reset(reset, NEW, now=now + timedelta(hours=1, minutes=1))
    with pytest.raises(NotFound):
        email_proof.look(sign_up, now=now + timedelta(days=1, minutes=1))
    for wrong in (lambda: email_proof.reset(sign_up, NEW), lambda: email_proof.change(sign_up)):
        with pytest.raises(NotFound):
            wrong()
    with pytest.raises(NotFound):
        email_proof.sign_up(reset, NEW)
    with pytest.raises(NotFound):
        email_proof.look("made up")


def test_an_address_changes_once_it_is_proven(ada: Identity, emails: Emails) -> None:
    """The password is asked for; until the link is used the old address signs in, and it hears of the change."""
    with pytest.raises(InvalidInput, match="present password"):
        email_proof.ask_to_change(ada, "lovelace@example.com", "wrong")
    with pytest.raises(InvalidInput):
        email_proof.ask_to_change(ada, "ADA@example.com", PASSWORD)
    email_proof.ask_to_change(ada, "lovelace@example.com", PASSWORD)
    kind, recipient, text = emails()[-1]
    assert (kind, recipient) == ("prove_change", "lovelace@example.com")
    assert authentication.sign_in("ada@example.com", PASSWORD)
    assert email_proof.change(secret_in(text)) == "lovelace@example.com"
    assert authentication.sign_in("lovelace@example.com", PASSWORD).identity.person_id == ada.person_id
    with pytest.raises(NotSignedIn):
        authentication.sign_in("ada@example.com", PASSWORD)
    assert ("email_changed", "ada@example.com") in [one[:2] for one in emails()]


def test_nobody_takes_another_account_s_address(ada: Identity, emails: Emails) -> None:
    """Who asks for an address that has an account learns nothing, and one that is taken meanwhile is refused."""
    eve = authentication.sign_up("Eve", "eve@example.com", PASSWORD, "", "UTC").identity
    email_proof.ask_to_change(eve, "ada@example.com", PASSWORD)
    assert emails()[-1][:2] == ("has_account", "ada@example.com")
    email_proof.ask_to_change(eve, "new@example.com", PASSWORD)
    secret = secret_in(emails()[-1][2])
    authentication.sign_up("New", "new@example.com", PASSWORD, "", "UTC")
    with pytest.raises(Conflict):
        email_proof.change(secret)


def test_an_address_is_not_flooded(ada: Identity) -> None:
    """However many clients ask, one address gets five links an hour."""
    for at in range(5):
        email_proof.ask_to_reset("ada@example.com", client=f"192.0.2.{at}")
    with pytest.raises(TooManyRequests):
        email_proof.ask_to_reset("ada@example.com", client="192.0.2.77")
