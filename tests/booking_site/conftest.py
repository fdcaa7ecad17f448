"""The customers' pages as a browser without JavaScript meets them, behind the same layers as in the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from calendar_app.settings import Settings
from tests.support import web


@pytest.fixture(scope="session")
def _site_url() -> Iterator[str]:
    from calendar_app.api.app import create_api  # here: most tests need none of it
    from calendar_app.booking_site.app import ErrorPages, mount_site
    from calendar_app.edge import Edge

    api = create_api()
    mount_site(api)
    with web.served(Edge(ErrorPages(api), Path("no-pages"))) as url:
        yield url


@pytest.fixture
def site(_site_url: str, settings: Settings) -> Iterator[httpx.Client]:
    """A browser that keeps cookies and follows no redirects. Ask for ``database`` or ``place`` besides."""
    with httpx.Client(base_url=_site_url, timeout=30, headers={"accept-language": "en-GB"}) as client:
        yield client


@pytest.fixture
def other(_site_url: str, settings: Settings) -> Iterator[httpx.Client]:
    """Somebody else's browser."""
    with httpx.Client(base_url=_site_url, timeout=30, headers={"accept-language": "en-GB"}) as client:
        yield client
