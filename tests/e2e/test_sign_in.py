"""Signing in as people do: a forgotten password, a code of an app, a passkey."""

from __future__ import annotations

import base64
import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Product, Visitors, link_in_email, sign_in, sign_up

CHOSEN = "another unusual sentence"


def sign_out(page: Page) -> None:
    """Through the menu."""
    page.get_by_role("button", name="Account and workspace").first.click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")


def test_a_forgotten_password_and_a_second_factor(product: Product, visitors: Visitors) -> None:
    """A new password by e-mail, an app and a passkey added on the security page, and each of them signs in."""
    page = visitors.new()
    sign_up(page, product, "Petra", "petra@example.com", "Petra Studio")
    sign_out(page)
    sign_in(page, "petra@example.com", "not the password")
    expect(page.get_by_text("is wrong")).to_be_visible()
    expect(page.get_by_label("Email")).to_have_value("petra@example.com")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill("petra@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_text("an email is on its way")).to_be_visible()
    page.goto(link_in_email(product, "petra@example.com"))
    page.get_by_label("Password").fill(CHOSEN)
    page.get_by_role("button", name="Set the new password").click()
    expect(page.get_by_text("Your new password is set")).to_be_visible()
    sign_in(page, "petra@example.com", CHOSEN)
    page.wait_for_url("**/dashboard")

    codes = add_app(page)
    sign_out(page)
    sign_in(page, "petra@example.com", CHOSEN)
    page.wait_for_url("**/login/code*")
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/dashboard")

    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.goto("/settings/security")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_label("Name, so that you know it again").fill("Laptop")
    page.get_by_label("Your password").fill(CHOSEN)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("Laptop", exact=True)).to_be_visible()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/dashboard")


def add_app(page: Page) -> list[str]:
    """Add an authenticator app; its recovery codes."""
    page.goto("/settings/security")
    page.get_by_role("button", name="Add an authenticator app").click()
    page.get_by_label("Your password").fill(CHOSEN)
    page.get_by_role("button", name="Continue").click()
    key = page.locator("#totp-key").inner_text()
    totp = TOTP(base64.b32decode(key), 6, SHA1(), 30)  # noqa: S303  # what apps use (RFC 6238)
    page.get_by_label("Code").fill(totp.generate(int(time.time())).decode())
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#recovery-codes li")).to_have_count(10)
    codes = page.locator("#recovery-codes li").all_inner_texts()
    page.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_text("Authenticator app", exact=True)).to_be_visible()
    return codes
