"""Pages look as their business has set them, and only the sites that it names may embed them."""

from __future__ import annotations

import httpx
import pytest

from calendar_app.booking_site.framing import frame_ancestors
from calendar_app.services.workspaces import settings
from tests.support import pictures
from tests.support.pages import pick, press, visit
from tests.support.scheduling import Place

GUEST = {"name": "Grace Hopper", "email": "grace@example.org"}


def _path(place: Place) -> str:
    return f"/book/{place.workspace.slug}/{place.event_type.slug}"


def _ancestors(answer: httpx.Response) -> str:
    policy = answer.headers["content-security-policy"]
    return next(part for part in policy.split("; ") if part.startswith("frame-ancestors"))


def test_a_business_sees_its_look(site: httpx.Client, place: Place) -> None:
    """Colour, logo and words are on the pages, under addresses that can be kept; the line about us can be off."""
    plain = visit(site, _path(place))
    assert "Almanac" in plain.text
    assert "/site/accent/" not in plain.html
    settings.set_logo(place.owner, pictures.png())
    changes = {
        "accent": "#0a7d3c",
        "shows_credit": False,
        "confirmation_text": "Ring <twice>.\nSecond floor.",
    }
    settings.update(place.owner, changes)
    page = visit(site, _path(place))
    assert "Almanac" not in page.text
    assert 'href="/site/accent/0a7d3c.css"' in page.html
    css = site.get("/site/accent/0a7d3c.css")
    assert css.headers["content-type"].startswith("text/css")
    assert "immutable" in css.headers["cache-control"]
    assert "--accent-9:#0a7d3c" in css.text
    image = site.get(settings.look(place.workspace.slug).logo)
    assert image.headers["content-type"] == "image/png"
    assert 'width="48" height="16"' in page.html
    done = press(site, pick(site, page), "Confirm booking", **GUEST)
    assert "Ring &lt;twice&gt;.\nSecond floor." in done.html
    managed = visit(site, done.link("Change or cancel it"))
    assert "/site/accent/0a7d3c.css" in managed.html


@pytest.mark.parametrize("name", ["red", "12345", "0a7d3c;", "../site", "%00"])
def test_other_stylesheets_do_not_exist(site: httpx.Client, place: Place, name: str) -> None:
    """Nothing but a colour leads to a stylesheet, and nothing but a logo's name to a logo."""
    assert site.get(f"/site/accent/{name}.css").status_code == 404
    assert site.get(f"/site/logo/{name}.png").status_code == 404


def test_sites_that_may_embed(site: httpx.Client, place: Place) -> None:
    """Every site without a list, else the listed and this one; pages that change a booking are embedded by nobody."""
    done = press(site, pick(site, visit(site, _path(place))), "Confirm booking", **GUEST)
    manage = done.link("Change or cancel it")
    for path in (_path(place), f"/book/{place.workspace.slug}", f"{_path(place)}/zones", done.url):
        assert _ancestors(site.get(path)) == "frame-ancestors *"
        assert "x-frame-options" not in site.get(path).headers
    settings.update(place.owner, {"allowed_origins": ["shop.example", "https://*.shop.example"]})
    for path in (_path(place), f"/book/{place.workspace.slug}", f"{_path(place)}/none", done.url):
        answer = site.get(path)
        assert _ancestors(answer) == "frame-ancestors 'self' https://shop.example https://*.shop.example"
    for path in (manage, manage.replace("?", "/cancel?"), "/my", "/manage/nothing"):
        answer = site.get(path)
        assert _ancestors(answer) == "frame-ancestors 'none'"
        assert answer.headers["x-frame-options"] == "DENY"


def test_one_function_says_who_may() -> None:
    """Nobody, every site, or those of a list with this one."""
    assert frame_ancestors(None) == "'none'"
    assert frame_ancestors(()) == "*"
    assert frame_ancestors(["https://a.example"]) == "'self' https://a.example"


def test_the_business_s_language_is_the_last_resort(site: httpx.Client, place: Place) -> None:
    """Who asks for a language that is offered gets it; others get the business's."""
    settings.update(place.owner, {"language": "de"})
    for accepts, heading in (
        ("en-GB", "Choose a time zone"),
        ("fr-FR", "Zeitzone wählen"),
        ("", "Zeitzone wählen"),
    ):
        page = site.get(f"{_path(place)}/zones", headers={"Accept-Language": accepts})
        assert heading in page.text
    assert (
        "Choose a time zone"
        in site.get(f"{_path(place)}/zones?lang=en", headers={"Accept-Language": "fr"}).text
    )
