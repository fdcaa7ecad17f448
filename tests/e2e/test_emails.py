"""Emails as a program with Chromium's engine shows them: light and dark, wide and narrow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser

from calendar_app import translations
from calendar_app.services.booking_emails import texts as email_texts
from calendar_app.services.booking_emails.texts import News
from calendar_app.services.mail import rendering
from calendar_app.services.mail.rendering import Content, Look
from tests.e2e.conftest import NARROW, SHOTS, WIDE
from tests.e2e.test_access import overflow, violations
from tests.services.booking_emails.test_texts import DATA, HOST

LOOKS: dict[str, dict[str, Any]] = {
    "wide": {"viewport": WIDE},
    "phone": {"viewport": NARROW},
    "dark": {"viewport": WIDE, "color_scheme": "dark"},
}
ACCENTS = {"wide": "#ffcc00", "phone": "", "dark": "#331100"}


def _emails(tag: str) -> dict[str, Content]:
    facts = replace(DATA, language=translations.of_tag(tag, "Europe/Berlin"))
    found = {news.value: email_texts.for_customer(news, facts) for news in News}
    return found | {
        "host": email_texts.for_host(News.REQUESTED, facts, HOST, "America/New_York"),
        "staff": rendering.content_of_text(
            "S", f"Hello,\n\nWe cannot.\n\nOpen:\n{DATA.manage_url}\n", "https://almanac.example"
        ),
    }


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("tag", ["en", "de", "ar-XB"])
def test_emails_have_no_barriers(browser: Browser, look: str, tag: str) -> None:
    """Axe finds nothing, nothing is wider than the screen, and nothing is loaded, with an accent that is too light or
    too dark for the page."""
    context = browser.new_context(**LOOKS[look])
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    SHOTS.mkdir(exist_ok=True)
    for name, content in _emails(tag).items():
        page.set_content(
            rendering.html_of(content, translations.of_tag(tag), Look("Business", ACCENTS[look]))
        )
        page.screenshot(path=SHOTS / f"email-{name}-{tag}-{look}.png", full_page=True)
        assert (violations(page), overflow(page)) == ([], 0), name
    assert asked == []
    context.close()
