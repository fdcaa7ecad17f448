"""Which page stands at which path."""

from __future__ import annotations

import reflex as rx

from calendar_app.ui import live
from calendar_app.ui.pages import (
    admin,
    appointments,
    availability,
    bookings,
    calendars,
    dashboard,
    event_types,
    installation,
    join,
    landing,
    not_found,
    orders,
    profile,
    security,
    sign_in,
    sign_in_links,
    team,
    webhooks,
    workspace,
)
from calendar_app.ui.pages.calendars.administrator import ADMINISTRATOR
from calendar_app.ui.pages.calendars.administrator import PAGES as ADMINISTRATOR_PAGES

DESCRIPTION = "Connects a business's calendars, shows them live, and takes bookings that cannot collide."


def add_pages(app: rx.App) -> None:
    """Register every page on the application, and the listener that keeps open pages up to date."""
    for path, component, title in (
        ("/", landing.landing, "Almanac"),
        ("/login", sign_in.login, "Sign in · Almanac"),
        ("/login/code", sign_in.code, "Sign in · Almanac"),
        ("/signup", sign_in.signup, "Create an account · Almanac"),
        ("/reset", sign_in_links.reset, "New password · Almanac"),
        ("/confirm/[link_secret]", sign_in_links.confirm, "Confirm · Almanac"),
        (dashboard.PATH, dashboard.dashboard, "Dashboard · Almanac"),
        (bookings.PATH, bookings.bookings, "Bookings · Almanac"),
        (orders.PATH, orders.orders, "Orders · Almanac"),
        (event_types.PATH, event_types.event_types, "Event types · Almanac"),
        (availability.PATH, availability.availability, "Availability · Almanac"),
        (calendars.PATH, calendars.calendars, "Calendars · Almanac"),
        (admin.PATH, admin.admin, "Operations · Almanac"),
        (profile.PATH, profile.profile, "Profile · Almanac"),
        (installation.PATH, installation.installation, "Installation · Almanac"),
        (security.PATH, security.account_security, "Security · Almanac"),
        (team.PATH, team.members, "Team · Almanac"),
        (webhooks.PATH, webhooks.webhooks, "Webhooks · Almanac"),
        (workspace.PATH, workspace.workspace, "Workspace · Almanac"),
        (f"{appointments.PATH}/[taken_by]", appointments.appointments, "Appointments · Almanac"),
        *((f"{ADMINISTRATOR}/{name}", answer, "Almanac") for name, answer in ADMINISTRATOR_PAGES),
        ("/join/[invitation_token]", join.join, "Invitation · Almanac"),
    ):
        app.add_page(component, route=path, title=title, description=DESCRIPTION, image="/favicon.svg")
    app.add_page(not_found.not_found, route="404", title="Page not found · Almanac", image="/favicon.svg")
    live.register(app)
