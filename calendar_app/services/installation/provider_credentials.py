"""Client ids and secrets of calendar providers, entered by operators; the environment's win.

Secrets go in and never out: a page learns only whether there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from calendar_app.clock import utc_now
from calendar_app.db import entered
from calendar_app.db.entered import Group
from calendar_app.db.session import transaction
from calendar_app.db.tables import Connection
from calendar_app.domain.connection import TESTING_LIFE, USABLE
from calendar_app.domain.intake import clean_text
from calendar_app.errors import InvalidInput, NotFound
from calendar_app.providers import registry
from calendar_app.services.accounts import operators
from calendar_app.services.common import audit_log, change_events
from calendar_app.services.common.permissions import Actor
from calendar_app.services.installation import entry
from calendar_app.settings import Settings, current_settings, get_settings

LONGEST = 500


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """One provider as its form shows it. ``fixed``: the environment decides, nothing can be entered.

    ``tenant`` is Microsoft's directory; ``has_webhook_key`` Calendly's; ``in_testing`` Google's publishing status, and
    ``testing_fixed`` whether the environment says it. ``steps``: what to do at the provider, in order.
    """

    key: str
    title: str
    fixed: bool
    client_id: str
    has_secret: bool
    redirect_uri: str
    steps: tuple[str, ...]
    tenant: str = ""
    has_webhook_key: bool = False
    in_testing: bool = False
    testing_fixed: bool = False


_STEPS: Mapping[str, tuple[str, ...]] = {
    "google": (
        "In the Google Cloud console make a project, and switch on the Google Calendar API.",
        "Set up the consent screen (Google Auth Platform) with the scopes openid, email, "
        "calendar.calendarlist.readonly, calendar.events and calendar.freebusy. “Internal” is for your own Workspace; "
        "“External” is in testing first.",
        "Under Clients make an OAuth client of the type “Web application”, with the redirect URI below.",
        "Enter its client ID and client secret here.",
    ),
    "microsoft": (
        "In the Entra admin centre open App registrations, New registration. Choose accounts of any organization and "
        "personal ones, or this directory only; then enter its tenant below.",
        "Add the redirect URI below as one of the platform “Web”.",
        "Under API permissions add the delegated Microsoft Graph permissions offline_access, User.Read, "
        "Calendars.ReadWrite, Calendars.Read and MailboxSettings.Read.",
        "Under Certificates & secrets make a client secret, and enter its value (not its id) here, with the "
        "application's client ID.",
    ),
    "calendly": (
        "At developer.calendly.com make an OAuth app with the redirect URI below.",
        "Give it the scopes users:read, scheduled_events:read, availability:read, webhooks:write, event_types:read and "
        "scheduled_events:write.",
        "Client ID, client secret and webhook signing key are shown once: enter all three here.",
    ),
}
"""The same as README's "Connect real accounts", in short."""


def list_all(actor: Actor) -> list[ProviderCredentials]:
    """Every provider that needs credentials. :raises Forbidden: the person is no operator."""
    operators.require(actor)
    settings = current_settings()
    return [_view(key, settings) for key in _STEPS]


def save(actor: Actor, provider: str, values: Mapping[str, str]) -> ProviderCredentials:
    """Keep what was entered; every process uses it within seconds.

    ``values``: ``client_id``, ``client_secret``, ``tenant`` and ``webhook_key``; an empty secret leaves the one that is
    there, as long as the client id stays the same.

    :raises Forbidden: no operator. :raises NotFound: no such provider. :raises InvalidInput: something is missing.
    :raises Conflict: the environment decides.
    """
    operators.require(actor)
    group = _group(provider)
    entry.require_enterable(group)
    before = _view(provider, current_settings())
    kept = {f"{provider}_client_id": _one_line(values, "client_id")}
    same = before.has_secret and kept[f"{provider}_client_id"] == before.client_id
    secrets = ["client_secret", *(["webhook_key"] if provider == "calendly" else [])]
    for name in secrets:
        if value := _one_line(values, name, required=not same and name == "client_secret"):
            kept[f"{provider}_{name}"] = value
        elif not same:
            kept[f"{provider}_{name}"] = ""
    if provider == "microsoft":
        kept["microsoft_tenant"] = _tenant(values.get("tenant", ""))
    with transaction() as session:
        entry.keep(session, group, kept, actor.email)
        _note(session, actor, "installation.credentials_entered", provider)
    return _view(provider, current_settings())


def remove(actor: Actor, provider: str) -> ProviderCredentials:
    """Forget what was entered. Connected accounts stay, but cannot be refreshed. Errors as for :func:`save`."""
    operators.require(actor)
    group = _group(provider)
    entry.require_enterable(group)
    with transaction() as session:
        entry.drop(session, group)
        _note(session, actor, "installation.credentials_removed", provider)
    return _view(provider, current_settings())


def set_google_testing(actor: Actor, in_testing: bool, *, now: datetime | None = None) -> ProviderCredentials:
    """Say whether Google's project is in testing: then grants end after a week, and people are told a day before.

    :raises Forbidden: no operator. :raises Conflict: the environment decides.
    """
    operators.require(actor)
    entry.require_enterable(Group.GOOGLE_TESTING)
    now = now or utc_now()
    with transaction() as session:
        entry.keep(
            session, Group.GOOGLE_TESTING, {"google_in_testing": "on" if in_testing else ""}, actor.email
        )
        workspaces = _end_grants(session, in_testing, now)
        _note(session, actor, "installation.google_testing", "google", on=in_testing)
        for workspace_id in sorted(workspaces):
            change_events.announce(session, workspace_id, "connections")
    return _view("google", current_settings())


def _end_grants(session: Session, in_testing: bool, now: datetime) -> set[str]:
    """Note when the grants that there are end, as far as that follows from the project's status; whose they are."""
    rows = session.exec(
        select(Connection)
        .where(Connection.provider == "google", col(Connection.status).in_(USABLE))
        .where(col(Connection.granted_at).is_not(None))
        .order_by(col(Connection.id))
        .with_for_update()
    ).all()
    touched = set()
    for row in rows:
        assert row.granted_at is not None
        end = row.granted_at + TESTING_LIFE
        if in_testing and row.grant_ends_at is None and end > now:
            row.grant_ends_at = end
        elif not in_testing and row.grant_ends_at == end:
            row.grant_ends_at = None
        else:
            continue
        session.add(row)
        touched.add(row.workspace_id)
    return touched


def _view(key: str, settings: Settings) -> ProviderCredentials:
    environment = get_settings()
    return ProviderCredentials(
        key=key,
        title=registry.kind(key).title,
        fixed=entered.from_environment(environment, _group(key)),
        client_id=str(getattr(settings, f"{key}_client_id")),
        has_secret=bool(entered.plain(getattr(settings, f"{key}_client_secret"))),
        redirect_uri=f"{settings.public_url}/api/v1/connections/{key}/callback",
        steps=_STEPS[key],
        tenant=settings.microsoft_tenant if key == "microsoft" else "",
        has_webhook_key=key == "calendly" and bool(entered.plain(settings.calendly_webhook_key)),
        in_testing=key == "google" and settings.google_in_testing,
        testing_fixed=key == "google" and entered.from_environment(environment, Group.GOOGLE_TESTING),
    )


def _group(provider: str) -> Group:
    if provider not in _STEPS:
        raise NotFound("There is no such provider with credentials.")
    return Group(provider)


def _one_line(values: Mapping[str, str], name: str, *, required: bool | None = None) -> str:
    found = clean_text(values.get(name, ""), name, LONGEST)
    needed = name == "client_id" if required is None else required
    if needed and not found:
        raise InvalidInput(f"Please enter the {name.replace('_', ' ')}.", field=name)
    if any(char.isspace() for char in found):
        raise InvalidInput("There is a blank in it: copy it again.", field=name)
    return found


def _tenant(text: str) -> str:
    tenant = clean_text(text, "tenant", 100)
    if not all(char.isascii() and (char.isalnum() or char in ".-") for char in tenant):
        raise InvalidInput("A tenant is its id, its domain, or a word like common.", field="tenant")
    return tenant if tenant != "common" else ""


def _note(session: Session, actor: Actor, action: str, provider: str, **detail: bool) -> None:
    audit_log.record(session, actor.workspace_id, actor, action, "provider", provider, **detail)
