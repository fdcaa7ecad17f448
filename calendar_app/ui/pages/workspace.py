"""``/settings/workspace``: how the booking pages look, which sites may embed them, and the code for those sites."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import reflex as rx
import segno

from calendar_app import translations
from calendar_app.domain import accent as accents
from calendar_app.errors import AlmanacError, InvalidInput
from calendar_app.services.common.permissions import Actor, Role
from calendar_app.services.event_types import queries as event_type_queries
from calendar_app.services.workspaces import settings
from calendar_app.services.workspaces.settings import WorkspaceView
from calendar_app.ui import notices
from calendar_app.ui.components.dropzone import dropzone
from calendar_app.ui.components.feedback import empty_state, error_callout, loading, warning_callout
from calendar_app.ui.components.forms import field, text_input
from calendar_app.ui.layout import page
from calendar_app.ui.session import acting, enter

PATH = "/settings/workspace"
LOGO = "logo-file"
KINDS = {"inline": "In the page", "popup": "Link that opens a dialog", "button": "Floating button"}


@dataclass
class Offer:
    """An event type to embed; ``name`` is that of the script's attributes, ``url`` its page."""

    name: str
    title: str
    url: str


def embed_code(offer: Offer, kind: str) -> str:
    """The HTML that shows a booking page on another site. ``kind`` is one of :data:`KINDS`."""
    parts = urlsplit(offer.url)
    link = f'<a href="{html.escape(offer.url)}"'
    name = html.escape(offer.name)
    shown = {
        "inline": f'<div data-almanac="{name}">{link}>Book a time</a></div>',
        "popup": f'{link} data-almanac-popup="{name}">Book a time</a>',
        "button": f'<span data-almanac-button="{name}" data-text="Book a time"></span>',
    }[kind]
    return f'{shown}\n<script src="{parts.scheme}://{parts.netloc}/embed.js" async></script>'


def read_settings(form: Mapping[str, Any]) -> dict[str, Any]:
    """The form's fields as :func:`calendar_app.services.workspaces.settings.update` takes them."""
    found = {name: str(form.get(name, "")) for name in ("name", "timezone", "language", "accent")}
    sites = [line.strip() for line in str(form.get("sites", "")).splitlines()]
    return found | {
        "allowed_origins": [site for site in sites if site],
        "confirmation_text": str(form.get("confirmation_text", "")),
    }


def _offer(view: event_type_queries.EventTypeView) -> Offer:
    return Offer(view.url.partition("/book/")[2], view.title, view.url)


class WorkspaceState(rx.State):
    """The settings as they are stored, and the event type whose code is shown."""

    loaded: bool = False
    is_admin: bool = False
    error: str = ""
    logo_error: str = ""
    name: str = ""
    timezone: str = ""
    language: str = ""
    accent: str = ""
    accent_notes: list[str] = []  # noqa: RUF012 - Reflex copies defaults per session
    logo: str = ""
    sites: str = ""
    confirmation_text: str = ""
    shows_credit: bool = True
    offers: list[Offer] = []  # noqa: RUF012
    chosen: str = ""
    url: str = ""
    preview: str = ""
    kind: str = "inline"
    code: str = ""
    qr: str = ""

    @rx.event
    async def load(self, zone: str, hour12: bool) -> None:
        """Show the settings."""
        actor = await enter(self, zone, hour12)
        self.is_admin, self.error, self.logo_error = actor.role >= Role.ADMIN, "", ""
        self._show(await asyncio.to_thread(settings.get, actor))
        found = await asyncio.to_thread(event_type_queries.list_event_types, actor)
        self.offers = [_offer(view) for view in found if view.is_public and view.is_active]
        self._show_code()
        self.loaded = True

    def _show(self, view: WorkspaceView) -> None:
        self.name, self.timezone, self.language = view.name, view.timezone, view.language
        self.accent, self.accent_notes = view.accent, accents.notes(view.accent)
        self.logo = urlsplit(view.logo_url).path
        self.sites, self.confirmation_text = "\n".join(view.allowed_origins), view.confirmation_text
        self.shows_credit = view.shows_credit

    def _show_code(self) -> None:
        offer = next((each for each in self.offers if each.name == self.chosen), None)
        offer = offer or next(iter(self.offers), None)
        if offer is None:
            self.chosen = self.code = self.url = self.preview = self.qr = ""
            return
        self.chosen, self.url = offer.name, offer.url
        self.preview = f"{urlsplit(offer.url).path}?embed=1"
        self.code = embed_code(offer, self.kind)
        self.qr = segno.make(offer.url, error="m").svg_data_uri(scale=5, border=4, light="#fff")

    @rx.event
    async def save(self, form: dict[str, Any]) -> Any:
        """Keep the settings of the form."""
        actor = await acting(self)
        self.error = ""
        try:
            self._show(await asyncio.to_thread(settings.update, actor, read_settings(form)))
        except AlmanacError as error:
            self.error = error.detail
            return None
        return notices.success("Saved.")

    @rx.event
    def look_at_accent(self, value: str) -> None:
        """Say how the colour that is typed can be read, before it is saved."""
        try:
            self.accent_notes = accents.notes(accents.parse_accent(value))
        except InvalidInput as error:
            self.accent_notes = [error.detail]

    @rx.event
    async def set_credit(self, value: bool) -> Any:
        """Show the line "Scheduling by Almanac", or not."""
        return await self._change(lambda actor: settings.update(actor, {"shows_credit": value}))

    @rx.event
    async def take_logo(self, files: list[rx.UploadFile]) -> Any:
        """Show a picture as the logo."""
        actor = await acting(self)
        self.logo_error = ""
        if not files:
            self.logo_error = "Choose a picture first."
            return None
        try:
            content = await files[0].read()
            self._show(await asyncio.to_thread(settings.set_logo, actor, content))
        except AlmanacError as error:
            self.logo_error = error.detail
            return None
        return [rx.clear_selected_files(LOGO), notices.success("The logo is on your booking pages.")]

    @rx.event
    async def remove_logo(self) -> Any:
        """Show no logo."""
        return await self._change(settings.remove_logo)

    async def _change(self, work: Any) -> Any:
        actor: Actor = await acting(self)
        try:
            self._show(await asyncio.to_thread(work, actor))
        except AlmanacError as error:
            return notices.error(error.detail)
        return notices.success("Saved.")

    @rx.event
    def choose(self, name: str) -> None:
        """Show the code of another event type."""
        self.chosen = name
        self._show_code()

    @rx.event
    def choose_kind(self, kind: str) -> None:
        """Show the code for another place."""
        if kind in KINDS:
            self.kind = kind
            self._show_code()


def _form() -> rx.Component:
    return rx.form(
        rx.flex(
            field("Name", text_input("name", default_value=WorkspaceState.name, required=True), for_="name"),
            field(
                "Time zone",
                text_input("timezone", default_value=WorkspaceState.timezone, required=True),
                for_="timezone",
                hint="Like Europe/Berlin.",
            ),
            field(
                "Language",
                rx.el.select(
                    rx.el.option("English, unless the browser asks otherwise", value=""),
                    *(rx.el.option(words, value=code) for code, words in translations.NAMES.items()),
                    id="language",
                    name="language",
                    default_value=WorkspaceState.language,
                    class_name="select",
                ),
                for_="language",
                hint="For customers whose browser asks for none of the languages that there are.",
            ),
            field(
                "Colour",
                text_input(
                    "accent",
                    default_value=WorkspaceState.accent,
                    placeholder="#5b5bd6",
                    max_length=7,
                    on_blur=WorkspaceState.look_at_accent,
                ),
                for_="accent",
                hint="Of buttons and links on your booking pages, like #0a7d3c. Empty: ours.",
            ),
            rx.foreach(WorkspaceState.accent_notes, warning_callout),
            field(
                "Sites that may show your booking pages",
                rx.text_area(
                    id="sites",
                    name="sites",
                    default_value=WorkspaceState.sites,
                    placeholder="https://www.example.com",
                    rows="3",
                    width="100%",
                ),
                for_="sites",
                hint="One a line; https://*.example.com stands for all below it. None: every site may.",
            ),
            field(
                "Text below every confirmation",
                rx.text_area(
                    id="confirmation_text",
                    name="confirmation_text",
                    default_value=WorkspaceState.confirmation_text,
                    max_length=settings.MOST_WORDS,
                    rows="3",
                    width="100%",
                ),
                for_="confirmation_text",
            ),
            error_callout(WorkspaceState.error),
            rx.flex(rx.button("Save", type="submit"), justify="end"),
            direction="column",
            spacing="4",
        ),
        on_submit=WorkspaceState.save,
    )


def _logo() -> rx.Component:
    return rx.flex(
        rx.heading("Logo", as_="h2", size="3"),
        rx.cond(
            WorkspaceState.logo != "",
            rx.el.img(
                src=WorkspaceState.logo,
                alt="Logo of " + WorkspaceState.name,
                style={"maxHeight": "4.5rem", "maxWidth": "100%", "alignSelf": "start"},
            ),
            rx.text("None yet.", size="2", color_scheme="gray"),
        ),
        dropzone(
            LOGO,
            label="Choose a picture",
            hint="Choose a PNG, JPEG or WebP file of at most 900 KB, or drop it here",
            icon="image-up",
            accept={"image/png": [".png"], "image/jpeg": [".jpg", ".jpeg"], "image/webp": [".webp"]},
        ),
        error_callout(WorkspaceState.logo_error),
        rx.flex(
            rx.cond(
                WorkspaceState.logo != "",
                rx.button(
                    "Remove logo", variant="soft", color_scheme="gray", on_click=WorkspaceState.remove_logo
                ),
            ),
            rx.button(
                "Use this picture",
                variant="soft",
                on_click=WorkspaceState.take_logo(rx.upload_files(upload_id=LOGO)),
            ),
            spacing="3",
            justify="end",
        ),
        rx.el.label(
            rx.flex(
                rx.switch(checked=WorkspaceState.shows_credit, on_change=WorkspaceState.set_credit),
                rx.text("Show “Scheduling by Almanac” below the pages", size="2"),
                spacing="3",
                align="center",
            )
        ),
        direction="column",
        spacing="3",
    )


def _copy(value: rx.Var[str], label: str, done: str) -> rx.Component:
    return rx.button(
        rx.icon("copy", size=14, aria_hidden="true"),
        label,
        variant="soft",
        on_click=[rx.set_clipboard(value), notices.success(done)],
    )


def _embed() -> rx.Component:
    return rx.flex(
        rx.heading("On your own site", as_="h2", size="3"),
        rx.flex(
            field(
                "Event type",
                rx.el.select(
                    rx.foreach(
                        WorkspaceState.offers, lambda offer: rx.el.option(offer.title, value=offer.name)
                    ),
                    id="embed-type",
                    value=WorkspaceState.chosen,
                    on_change=WorkspaceState.choose,
                    class_name="select",
                ),
                for_="embed-type",
            ),
            field(
                "How",
                rx.el.select(
                    *(rx.el.option(words, value=kind) for kind, words in KINDS.items()),
                    id="embed-kind",
                    value=WorkspaceState.kind,
                    on_change=WorkspaceState.choose_kind,
                    class_name="select",
                ),
                for_="embed-kind",
            ),
            spacing="4",
            direction=rx.breakpoints(initial="column", sm="row"),
        ),
        rx.el.pre(
            rx.el.code(WorkspaceState.code),
            tab_index=0,
            aria_label="Code to copy",
            style={
                "whiteSpace": "pre-wrap",
                "overflowWrap": "anywhere",
                "fontSize": "0.8125rem",
                "margin": 0,
            },
        ),
        rx.flex(
            _copy(WorkspaceState.code, "Copy code", "Code copied."),
            _copy(WorkspaceState.url, "Copy link", "Link copied."),
            spacing="3",
            wrap="wrap",
        ),
        rx.heading("Preview", as_="h3", size="2"),
        rx.el.iframe(
            src=WorkspaceState.preview,
            title="Preview of the booking page",
            style={
                "width": "100%",
                "height": "40rem",
                "border": "1px solid var(--gray-5)",
                "borderRadius": "var(--radius-4)",
            },
        ),
        rx.heading("QR code of the link", as_="h3", size="2"),
        rx.el.img(
            src=WorkspaceState.qr,
            alt="QR code of " + WorkspaceState.url,
            style={"width": "10rem", "alignSelf": "start"},
        ),
        rx.el.a(
            "Save as a picture", href=WorkspaceState.qr, download="booking-link.svg", class_name="text-link"
        ),
        direction="column",
        spacing="3",
    )


def workspace() -> rx.Component:
    """The page."""
    return page(
        "Workspace",
        rx.cond(
            WorkspaceState.loaded,
            rx.flex(
                rx.cond(
                    WorkspaceState.is_admin,
                    rx.fragment(rx.card(_form(), size="3"), rx.card(_logo(), size="3")),
                    rx.text(
                        "Only admins and owners change how the pages look.", size="2", color_scheme="gray"
                    ),
                ),
                rx.cond(
                    WorkspaceState.chosen != "",
                    rx.card(_embed(), size="3"),
                    empty_state(
                        "shapes",
                        "Nothing to embed yet",
                        "Make an event type that customers can book; its code for your site stands here then.",
                    ),
                ),
                direction="column",
                spacing="4",
            ),
            loading(),
        ),
        path=PATH,
        on_ready=WorkspaceState.load,
        lead="How your booking pages look, and how to show them on your site.",
        narrow=True,
    )
