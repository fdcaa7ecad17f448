"""Browsers, second factors and API tokens as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from calendar_app.services.accounts.account_security import TokenView
from calendar_app.services.accounts.authentication import SessionView
from calendar_app.services.accounts.second_factor import FactorView
from calendar_app.ui import formats


@dataclass
class BrowserRow:
    """A signed-in browser."""

    id: str
    name: str
    seen: str
    since: str
    current: bool


@dataclass
class FactorRow:
    """A second factor."""

    id: str
    kind: str
    name: str
    added: str
    used: str


@dataclass
class TokenRow:
    """An API token."""

    id: str
    name: str
    scopes: str
    ends: str
    used: str


def factor_row(view: FactorView) -> FactorRow:
    return FactorRow(
        view.id, view.kind, view.name, formats.rfc3339(view.created_at), formats.rfc3339(view.last_used_at)
    )


def browser_row(view: SessionView) -> BrowserRow:
    return BrowserRow(
        view.id,
        browser_name(view.user_agent),
        formats.rfc3339(view.last_seen_at),
        formats.rfc3339(view.created_at),
        view.current,
    )


def token_row(view: TokenView) -> TokenRow:
    scopes = "everything" if "*" in view.scopes else "read and write" if "write" in view.scopes else "read"
    ends = f"{view.expires_at.day} {view.expires_at:%b %Y}" if view.expires_at else ""
    return TokenRow(
        view.id, view.name or "Signed in by API", scopes, ends, formats.rfc3339(view.last_used_at)
    )


_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(user_agent: str) -> str:
    """``Firefox on Linux``: what people recognise of a User-Agent header."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent[:60] or "Unknown browser"
