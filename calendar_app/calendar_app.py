"""Composition root: the Reflex application with its pages, the HTTP API in front of them, and what runs beside them."""

from __future__ import annotations

from pathlib import Path

import reflex as rx
from starlette.types import ASGIApp

from calendar_app.api.app import create_api
from calendar_app.edge import Edge
from calendar_app.settings import get_settings
from calendar_app.ui.routes import add_pages

STATIC_DIR = Path(".web/build/client")


def _behind_the_edge(application: ASGIApp) -> ASGIApp:
    return Edge(application, STATIC_DIR, https=get_settings().public_url.startswith("https://"))


def create_app() -> rx.App:
    """Put the rooms together; settings are read, nothing is started."""
    app = rx.App(
        api_transformer=[create_api(), _behind_the_edge],
        html_lang="en",
        head_components=[rx.el.link(rel="icon", type="image/svg+xml", href="/favicon.svg")],
    )
    add_pages(app)
    return app


app = create_app()
