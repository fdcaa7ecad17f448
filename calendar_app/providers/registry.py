"""Which providers there are: the only place that turns a provider's key into its code.

Adding one is a folder with ``provider`` and ``mapping``, and a line in ``_ENTRIES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from calendar_app.errors import NotFound, ProviderNotConfigured
from calendar_app.providers.base import CalendarProvider, Capability, OAuthClient, ProviderKind
from calendar_app.providers.google import provider as google
from calendar_app.providers.http import ProviderHttp
from calendar_app.settings import Settings, get_settings


@dataclass(frozen=True, slots=True)
class _Entry:
    title: str
    capabilities: Capability
    missing: Callable[[Settings], tuple[str, ...]]
    oauth: Callable[[Settings], OAuthClient]
    calendar: Callable[[Settings, str], CalendarProvider]


def _google_missing(settings: Settings) -> tuple[str, ...]:
    values = {
        "GOOGLE_CLIENT_ID": settings.google_client_id,
        "GOOGLE_CLIENT_SECRET": settings.google_client_secret.get_secret_value(),
    }
    return tuple(name for name, value in values.items() if not value)


_ENTRIES: dict[str, _Entry] = {
    "google": _Entry(
        title="Google",
        capabilities=google.CAPABILITIES,
        missing=_google_missing,
        oauth=google.GoogleOAuth,
        calendar=lambda settings, token: google.GoogleCalendar(
            ProviderHttp(settings.google_api_url, token, google.to_error)
        ),
    ),
}


def kinds() -> list[ProviderKind]:
    """Every provider, configured or not, in the order in which pages show them."""
    settings = get_settings()
    return [
        ProviderKind(
            key, entry.title, entry.capabilities, not entry.missing(settings), entry.missing(settings)
        )
        for key, entry in _ENTRIES.items()
    ]


def oauth_client(key: str) -> OAuthClient:
    """:raises NotFound: no such provider. :raises ProviderNotConfigured: it has no credentials."""
    entry = _entry(key)
    missing = entry.missing(get_settings())
    if missing:
        raise ProviderNotConfigured(
            f"{entry.title} is not configured: an operator has to set {' and '.join(missing)}."
        )
    return entry.oauth(get_settings())


def calendar_provider(key: str, access_token: str) -> CalendarProvider:
    """The calls of provider ``key`` on one access token. :raises NotFound: no such provider."""
    return _entry(key).calendar(get_settings(), access_token)


@contextmanager
def override(
    key: str, *, oauth: OAuthClient, calendar: Callable[[str], CalendarProvider], title: str = ""
) -> Iterator[None]:
    """Put another implementation under ``key`` for the length of a ``with`` block (tests, benchmarks)."""
    before = _ENTRIES.get(key)
    _ENTRIES[key] = _Entry(
        title=title or (before.title if before else key.title()),
        capabilities=calendar("").capabilities,
        missing=lambda _settings: (),
        oauth=lambda _settings: oauth,
        calendar=lambda _settings, token: calendar(token),
    )
    try:
        yield
    finally:
        if before is None:
            del _ENTRIES[key]
        else:
            _ENTRIES[key] = before


def _entry(key: str) -> _Entry:
    try:
        return _ENTRIES[key]
    except KeyError:
        raise NotFound(f"There is no calendar provider called {key!r}.") from None
