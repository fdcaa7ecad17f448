"""What the page of the installation remembers and does. Secrets come in with a form and are never held here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import reflex as rx

from calendar_app.errors import AlmanacError
from calendar_app.services.accounts import operators
from calendar_app.services.common.permissions import Actor
from calendar_app.services.doctor import examination
from calendar_app.services.doctor.findings import Finding, ok, warning
from calendar_app.services.installation import mail_settings, provider_credentials, public_address
from calendar_app.services.installation.mail_settings import MailSettings
from calendar_app.services.installation.provider_credentials import ProviderCredentials
from calendar_app.ui import notices
from calendar_app.ui.session import acting, enter


@dataclass
class FindingRow:
    """One finding."""

    name: str
    level: str
    detail: str
    advice: str


@dataclass
class ProviderRow:
    """A provider's form; ``state`` in words; ``answer`` and ``level`` of the last test, empty before."""

    key: str
    title: str
    fixed: bool
    client_id: str
    has_secret: bool
    redirect_uri: str
    steps: list[str]
    tenant: str
    has_webhook_key: bool
    in_testing: bool
    testing_fixed: bool
    state: str
    error: str = ""
    answer: str = ""
    level: str = ""


_ORDER = ("error", "warning", "ok")


def finding_rows(found: Sequence[Finding], browser: Finding | None = None) -> list[FindingRow]:
    """What needs attention first. ``browser``: what the browser itself shows."""
    rows = [finding_row(one) for one in (*found, *([browser] if browser else []))]
    return sorted(rows, key=lambda row: _ORDER.index(row.level))


def as_browsers_see_it(origin: str, known: str) -> Finding:
    """Whether the browser, which has this page open over a websocket, came by the address that links lead to."""
    if origin.lower() == known:
        return ok("browser", f"Your browser reaches this installation at {known}, and live updates reach it.")
    return warning(
        "browser",
        f"Your browser uses {origin or 'an address that it does not tell'}; links lead to {known}.",
        "If people use the first one, enter it as the address below, or set BASE_URL to it.",
    )


def finding_row(one: Finding) -> FindingRow:
    """As the page shows it."""
    return FindingRow(one.name[:1].upper() + one.name[1:], one.level.value, one.detail, one.advice)


def provider_row(one: ProviderCredentials) -> ProviderRow:
    """As the page shows it."""
    state = "environment" if one.fixed else "entered" if one.has_secret else "missing"
    return ProviderRow(
        one.key,
        one.title,
        one.fixed,
        one.client_id,
        one.has_secret,
        one.redirect_uri,
        list(one.steps),
        one.tenant,
        one.has_webhook_key,
        one.in_testing,
        one.testing_fixed,
        state,
    )


def _changed(row: ProviderRow, changes: dict[str, str]) -> ProviderRow:
    # Not `dataclasses.replace`: rows of a state come wrapped.
    return ProviderRow(**({one.name: getattr(row, one.name) for one in fields(ProviderRow)} | changes))


class InstallationState(rx.State):
    """The forms as they are stored, and what the last examination found. ``examining`` while one runs; ``saves`` counts
    what was kept, after which fields with secrets are empty again."""

    loaded: bool = False
    operator: bool = False
    examining: bool = False
    examined: bool = False
    troubles: int = 0
    findings: list[FindingRow] = []  # noqa: RUF012 - Reflex copies defaults per session
    providers: list[ProviderRow] = []  # noqa: RUF012
    mail_fixed: bool = False
    mail_configured: bool = False
    host: str = ""
    port: str = ""
    encryption: str = ""
    user: str = ""
    has_password: bool = False
    sender: str = ""
    mail_error: str = ""
    mail_answer: str = ""
    mail_level: str = ""
    address: str = ""
    address_fixed: bool = False
    address_error: str = ""
    saves: int = 0

    @rx.event
    async def load(self, zone: str, hour12: bool) -> Any:
        """Show the forms, then examine the installation."""
        actor = await enter(self, zone, hour12)
        self.operator = await asyncio.to_thread(operators.is_operator, actor)
        self.examined = False
        if self.operator:
            found = await asyncio.to_thread(provider_credentials.list_all, actor)
            self.providers = [provider_row(one) for one in found]
            self._show_address(await asyncio.to_thread(public_address.get, actor))
            self._show_mail(await asyncio.to_thread(mail_settings.get, actor))
        self.loaded = True
        return InstallationState.examine if self.operator else None

    @rx.event
    async def examine(self) -> Any:
        """Look at everything anew."""
        actor = await acting(self)
        self.examining = True
        yield
        try:
            found: Sequence[Finding] = await asyncio.to_thread(examination.examine_for, actor)
            browser = as_browsers_see_it(self.router.headers.origin, self.address)
            self.findings = finding_rows(found, browser)
            self.troubles = sum(one.level != "ok" for one in self.findings)
            self.examined = True
        finally:
            self.examining = False

    @rx.event
    async def save_provider(self, form: dict[str, Any]) -> Any:
        """Keep a provider's credentials, and ask it whether it takes them."""
        actor = await acting(self)
        key = str(form.get("provider", ""))
        names = ("client_id", "client_secret", "tenant", "webhook_key")
        values = {name: str(form.get(name, "")) for name in names}
        return await self._provider(key, partial(provider_credentials.save, actor, key, values), test=actor)

    @rx.event
    async def remove_provider(self, key: str) -> Any:
        """Forget a provider's credentials."""
        actor = await acting(self)
        return await self._provider(key, partial(provider_credentials.remove, actor, key))

    @rx.event
    async def set_testing(self, on: bool) -> Any:
        """Say whether Google's project is in testing."""
        actor = await acting(self)
        return await self._provider(
            "google", partial(provider_credentials.set_google_testing, actor, bool(on))
        )

    @rx.event
    async def test_provider(self, key: str) -> Any:
        """Ask a provider whether it takes what is set."""
        actor = await acting(self)
        try:
            found = await asyncio.to_thread(examination.examine_provider, actor, key)
        except AlmanacError as error:
            return notices.error(error.detail)
        self._put(key, answer=f"{found.detail} {found.advice}".strip(), level=found.level.value, error="")
        return None

    @rx.event
    async def save_address(self, form: dict[str, Any]) -> Any:
        """Keep the public address."""
        actor = await acting(self)
        self.address_error = ""
        try:
            typed = str(form.get("public-address", ""))
            self._show_address(await asyncio.to_thread(public_address.save, actor, typed))
            found = await asyncio.to_thread(provider_credentials.list_all, actor)
        except AlmanacError as error:
            self.address_error = error.detail
            return None
        self.providers = [provider_row(one) for one in found]
        return notices.success("Saved. Register the new redirect URIs at the providers.")

    @rx.event
    async def save_mail(self, form: dict[str, Any]) -> Any:
        """Keep the mail server."""
        actor = await acting(self)
        names = ("host", "port", "encryption", "user", "password", "sender")
        values = {name: str(form.get(f"mail-{name}", "")) for name in names}
        return await self._mail(
            partial(mail_settings.save, actor, values), "Saved. Send a test to see it work."
        )

    @rx.event
    async def remove_mail(self) -> Any:
        """Forget the mail server."""
        actor = await acting(self)
        return await self._mail(partial(mail_settings.remove, actor), "Removed: e-mails wait from now on.")

    @rx.event
    async def send_test(self) -> Any:
        """Send an e-mail to the person who is looking."""
        actor = await acting(self)
        try:
            found = await asyncio.to_thread(examination.send_test_mail, actor)
        except AlmanacError as error:
            return notices.error(error.detail)
        self.mail_answer, self.mail_level = f"{found.detail} {found.advice}".strip(), found.level.value
        return None

    async def _provider(self, key: str, work: Any, *, test: Actor | None = None) -> Any:
        try:
            view = await asyncio.to_thread(work)
            found = await asyncio.to_thread(examination.examine_provider, test, key) if test else None
        except AlmanacError as error:
            self._put(key, error=error.detail, answer="", level="")
            return None
        self.saves += 1
        row = provider_row(view)
        if found is not None:
            row.answer, row.level = f"{found.detail} {found.advice}".strip(), found.level.value
        self.providers = [row if one.key == key else one for one in self.providers]
        return notices.success("Saved.")

    def _put(self, key: str, **changes: str) -> None:
        self.providers = [_changed(row, changes) if row.key == key else row for row in self.providers]

    async def _mail(self, work: Any, said: str) -> Any:
        self.mail_error = self.mail_answer = self.mail_level = ""
        try:
            self._show_mail(await asyncio.to_thread(work))
        except AlmanacError as error:
            self.mail_error = error.detail
            return None
        self.saves += 1
        return notices.success(said)

    def _show_address(self, view: public_address.PublicAddress) -> None:
        self.address, self.address_fixed = view.url, view.fixed

    def _show_mail(self, view: MailSettings) -> None:
        self.mail_fixed, self.mail_configured = view.fixed, view.configured
        self.host, self.port, self.encryption = view.host, str(view.port), view.encryption.value
        self.user, self.has_password, self.sender = view.user, view.has_password, view.sender
