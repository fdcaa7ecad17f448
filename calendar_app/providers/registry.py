"""Which providers there are: the only place that turns a provider's key into its code.

Adding one is a folder with ``provider`` and ``mapping``, and a line in ``_ENTRIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from calendar_app.errors import NotFound, ProviderNotConfigured
from calendar_app.metering import Metered
from calendar_app.providers.base import (
    CalendarProvider,
    Capability,
    CredentialClient,
    OAuthClient,
    ProviderKind,
    PushReader,
    SignIn,
)
from calendar_app.providers.caldav import provider as caldav
from calendar_app.providers.caldav.discovery import CalDavSignIn
from calendar_app.providers.calendly import provider as calendly
from calendar_app.providers.calendly.errors import to_error as calendly_error
from calendar_app.providers.calendly.oauth import calendly_oauth
from calendar_app.providers.calendly.push import read_push as calendly_push
from calendar_app.providers.google import provider as google
from calendar_app.providers.google.errors import to_error as google_error
from calendar_app.providers.google.oauth import google_oauth
from calendar_app.providers.google.push import read_push as google_push
from calendar_app.providers.http import ProviderHttp
from calendar_app.providers.ics import provider as ics
from calendar_app.providers.microsoft import provider as microsoft
from calendar_app.providers.microsoft.errors import to_error as microsoft_error
from calendar_app.providers.microsoft.oauth import access_page as microsoft_access_page
from calendar_app.providers.microsoft.oauth import microsoft_oauth
from calendar_app.providers.microsoft.push import read_push as microsoft_push
from calendar_app.settings import Settings, current_settings


@dataclass(frozen=True, slots=True)
class _Entry:
    """One provider. Exactly one of ``oauth`` and ``credentials`` is set, as ``sign_in`` says (none for files).
    ``quota``: requests a minute for one account and for all."""

    title: str
    capabilities: Capability
    calendar: Callable[[Settings, str], CalendarProvider]
    oauth: Callable[[Settings], OAuthClient] | None = None
    credentials: Callable[[Settings], CredentialClient] | None = None
    push: PushReader | None = None
    missing: Callable[[Settings], tuple[str, ...]] = lambda _settings: ()
    sign_in: SignIn = SignIn.OAUTH
    parallel: int = 0
    quota: Callable[[Settings], tuple[int, int]] = lambda _settings: (0, 0)
    note: str = ""
    access_page: Callable[[Settings], str] = lambda _settings: ""
    not_proven: str = ""
    administrators: bool = False
    asks_addresses: bool = False


def _unset(settings: Settings, *names: str) -> tuple[str, ...]:
    """The environment variables among ``names`` that have no value."""
    values = {name: getattr(settings, name.lower()) for name in names}
    return tuple(
        name
        for name, value in values.items()
        if not (value.get_secret_value() if isinstance(value, SecretStr) else value)
    )


_ENTRIES: dict[str, _Entry] = {
    "google": _Entry(
        title="Google",
        capabilities=google.CAPABILITIES,
        quota=lambda settings: (settings.google_per_account, settings.google_per_minute),
        missing=lambda settings: _unset(settings, "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
        oauth=google_oauth,
        push=google_push,
        calendar=lambda settings, token: google.GoogleCalendar(
            ProviderHttp(settings.google_api_url, token, google_error)
        ),
    ),
    "microsoft": _Entry(
        title="Microsoft",
        capabilities=microsoft.CAPABILITIES,
        quota=lambda settings: (settings.microsoft_per_account, settings.microsoft_per_minute),
        missing=lambda settings: _unset(settings, "MICROSOFT_CLIENT_ID", "MICROSOFT_CLIENT_SECRET"),
        oauth=microsoft_oauth,
        push=microsoft_push,
        calendar=lambda settings, token: microsoft.MicrosoftCalendar(
            ProviderHttp(settings.microsoft_api_url, token, microsoft_error), settings.microsoft_api_url
        ),
        parallel=microsoft.PARALLEL,
        note=microsoft.NOTE,
        access_page=microsoft_access_page,
        administrators=True,
    ),
    "caldav": _Entry(
        title="CalDAV",
        capabilities=caldav.CAPABILITIES,
        credentials=CalDavSignIn,
        calendar=caldav.caldav_calendar,
        sign_in=SignIn.PASSWORD,
        note=caldav.NOTE,
        asks_addresses=True,
    ),
    "calendly": _Entry(
        title="Calendly",
        capabilities=calendly.CAPABILITIES,
        quota=lambda settings: (settings.calendly_per_account, settings.calendly_per_minute),
        missing=lambda settings: _unset(settings, "CALENDLY_CLIENT_ID", "CALENDLY_CLIENT_SECRET"),
        oauth=calendly_oauth,
        push=calendly_push,
        calendar=lambda settings, token: calendly.CalendlyCalendar(
            ProviderHttp(settings.calendly_api_url, token, calendly_error)
        ),
        note=calendly.NOTE,
        not_proven=calendly.NOT_PROVEN,
    ),
    "ics": _Entry(
        title="Calendar link (.ics)",
        capabilities=ics.CAPABILITIES,
        credentials=lambda settings: ics.IcsOpener(ics.http(settings)),
        calendar=lambda settings, secret: ics.IcsCalendar(ics.http(settings), secret),
        sign_in=SignIn.ADDRESS,
        note=ics.NOTE,
    ),
    "file": _Entry(
        title="Calendar file (.ics)",
        capabilities=Capability(0),
        calendar=lambda _settings, _secret: ics.StoredFile(),
        sign_in=SignIn.FILE,
        note=ics.FILE_NOTE,
    ),
}


def kinds() -> list[ProviderKind]:
    """Every provider, configured or not, in the order in which pages show them."""
    settings = current_settings()
    return [_kind(key, entry, settings) for key, entry in _ENTRIES.items()]


def kind(key: str) -> ProviderKind:
    """One provider. :raises NotFound: there is none of that name."""
    return _kind(key, _entry(key), current_settings())


def unread() -> list[str]:
    """Keys of what is never read again once it is here: such calendars are neither due nor out of date."""
    return [key for key, entry in _ENTRIES.items() if Capability.READ not in entry.capabilities]


def not_proven(key: str) -> str:
    """What an operator may do where a provider's notifications do not prove that they come from it; may be empty."""
    return _entry(key).not_proven


def oauth_client(key: str) -> OAuthClient:
    """:raises NotFound: no such provider with OAuth. :raises ProviderNotConfigured: it has no credentials."""
    entry = _entry(key)
    if entry.oauth is None:
        raise NotFound(f"{entry.title} is not connected by way of a consent page.")
    missing = entry.missing(current_settings())
    if missing:
        raise ProviderNotConfigured(
            f"{entry.title} is not configured: an operator has to set {' and '.join(missing)}."
        )
    return cast(OAuthClient, Metered(key, entry.oauth(current_settings())))


def credential_client(key: str) -> CredentialClient:
    """:raises NotFound: no such provider, or not one that is opened with typed credentials."""
    entry = _entry(key)
    if entry.credentials is None:
        raise NotFound(f"{entry.title} is not connected with an address or a password.")
    return cast(CredentialClient, Metered(key, entry.credentials(current_settings())))


def push_reader(key: str) -> PushReader:
    """:raises NotFound: no such provider, or it does not push."""
    entry = _entry(key)
    if entry.push is None:
        raise NotFound(f"{entry.title} sends no notifications.")
    return entry.push


def calendar_provider(key: str, access_token: str, *, addresses: Sequence[str] = ()) -> CalendarProvider:
    """The calls of a provider on one access token or :attr:`Opened.secret`. :raises NotFound: no such provider.

    ``addresses``: the owner's at the provider as they gave them, where :attr:`ProviderKind.asks_addresses`.
    """
    calendar = _entry(key).calendar(current_settings(), access_token)
    if addresses and isinstance(calendar, caldav.CalDavCalendar):
        calendar = calendar.owned_by(addresses)
    return cast(CalendarProvider, Metered(key, calendar))


@contextmanager
def override(
    key: str,
    *,
    oauth: OAuthClient,
    calendar: Callable[[str], CalendarProvider],
    title: str = "",
    push: PushReader | None = None,
) -> Iterator[None]:
    """Put another implementation under ``key`` for the length of a ``with`` block (tests, benchmarks)."""
    before = _ENTRIES.get(key)
    _ENTRIES[key] = _Entry(
        title=title or (before.title if before else key.title()),
        capabilities=calendar("").capabilities,
        oauth=lambda _settings: oauth,
        calendar=lambda _settings, token: calendar(token),
        push=push or (before.push if before else None),
        parallel=before.parallel if before else 0,
        quota=before.quota if before else lambda _settings: (0, 0),
    )
    try:
        yield
    finally:
        if before is None:
            del _ENTRIES[key]
        else:
            _ENTRIES[key] = before


def _kind(key: str, entry: _Entry, settings: Settings) -> ProviderKind:
    missing = entry.missing(settings)
    per_account, per_project = entry.quota(settings)
    return ProviderKind(
        key,
        entry.title,
        entry.capabilities,
        configured=not missing,
        missing=missing,
        sign_in=entry.sign_in,
        parallel=entry.parallel,
        per_account=per_account,
        per_project=per_project,
        note=entry.note,
        access_page=entry.access_page(settings),
        administrators=entry.administrators,
        asks_addresses=entry.asks_addresses,
    )


def _entry(key: str) -> _Entry:
    try:
        return _ENTRIES[key]
    except KeyError:
        raise NotFound(f"There is no calendar provider called {key!r}.") from None
