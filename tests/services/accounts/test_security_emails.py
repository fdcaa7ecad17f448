"""What the owner of an account hears of it."""

from __future__ import annotations

from collections.abc import Callable

from calendar_app.services.accounts import account_security, authentication, trusted_devices
from calendar_app.services.accounts.authentication import Identity
from calendar_app.settings import Settings
from tests.support.people import PASSWORD

Emails = Callable[[], list[tuple[str, str, str]]]


def test_a_browser_that_is_new_to_the_account_is_told(ada: Identity, emails: Emails) -> None:
    """Not the first one, and not one that was used for it before."""
    assert emails() == []
    known = trusted_devices.issue("ada@example.com")
    authentication.sign_in("ada@example.com", PASSWORD, device=known)
    assert emails() == []
    others = trusted_devices.issue("eve@example.com")
    authentication.sign_in("ada@example.com", PASSWORD, user_agent="Firefox", device=others)
    ((kind, recipient, text),) = emails()
    assert (kind, recipient) == ("signed_in", "ada@example.com")
    assert "Firefox" in text


def test_a_new_password_and_a_mighty_token_are_told(ada: Identity, emails: Emails) -> None:
    """A token that may only read is not worth an email."""
    account_security.create_token(ada, "reader", ["read"], 30)
    account_security.create_token(ada, "all", ["*"], 30)
    account_security.change_password(ada, PASSWORD, "another unusual sentence")
    assert [kind for kind, _, _ in emails()] == ["token_made", "password_changed"]


def test_nothing_is_queued_where_nothing_can_be_sent(
    ada: Identity, emails: Emails, configure: Callable[..., Settings]
) -> None:
    """Without a mail server there is nobody to tell."""
    configure(SMTP_URL="")
    authentication.sign_in("ada@example.com", PASSWORD)
    assert emails() == []
