"""Private links: they open what is not public, for one booking or until an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from sqlmodel import select

from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import Booking, BookingLink, EventType
from calendar_app.errors import Conflict, Forbidden, InvalidInput, NotFound
from calendar_app.services.common.permissions import Role
from calendar_app.services.event_types import links
from tests.support import factories
from tests.support.pages import Page, pick, press, request_of, visit
from tests.support.scheduling import Place, assert_consistent, bearer

GUEST = {"name": "Grace Hopper", "email": "grace@example.org"}


@pytest.fixture
def hidden(place: Place) -> Place:
    """The place, with its event type taken off the public pages."""
    with transaction() as session:
        session.get_one(EventType, place.event_type.id).is_public = False
    return place


def _path(link: links.LinkView) -> str:
    parts = urlsplit(link.url)
    return f"{parts.path}?{parts.query}"


def test_a_link_for_one_booking(site: httpx.Client, other: httpx.Client, hidden: Place) -> None:
    """It opens what nobody finds without it, for one booking; the same form again is the same booking, and everybody
    else reads that the link has ended."""
    bare = f"/book/{hidden.workspace.slug}/{hidden.event_type.slug}"
    assert site.get(bare).status_code == 404
    link = links.create_link(hidden.owner, hidden.event_type.id, label="Grace")
    form = pick(site, visit(site, _path(link)))
    late = pick(other, visit(other, _path(link)))
    assert site.get(form.path).status_code == 404
    address, data = request_of(form, form.button("Confirm booking"), **GUEST)
    first, again = site.post(address, data=data), site.post(address, data=data)
    assert first.status_code == again.status_code == 303
    assert first.headers["location"] == again.headers["location"]
    assert "link=" not in first.headers["location"]
    assert "You are booked" in Page(site.get(first.headers["location"])).text
    refused = press(other, late, "Confirm booking", **GUEST)
    assert (refused.status, "This link has been used" in refused.text) == (409, True)
    after = visit(other, _path(link))
    assert (after.status, "This link has been used" in after.text) == (409, True)
    assert len(assert_consistent()) == 1
    (shown,) = links.list_links(hidden.owner, hidden.event_type.id)
    assert (shown.used, shown.ended, shown.label, shown.url) == (True, True, "Grace", link.url)


def test_a_link_with_an_end(site: httpx.Client, hidden: Place) -> None:
    """Many bookings until then; from then on none."""
    end = datetime.now(UTC) + timedelta(days=1)
    link = links.create_link(hidden.owner, hidden.event_type.id, single_use=False, expires_at=end)
    for number in range(2):
        done = press(site, pick(site, visit(site, _path(link))), "Confirm booking", **GUEST)
        assert "You are booked" in done.text, number
    with transaction() as session:
        session.get_one(BookingLink, link.id).expires_at = datetime.now(UTC) - timedelta(seconds=1)
    assert visit(site, _path(link)).status == 409
    with reading() as session:
        assert len(session.exec(select(Booking)).all()) == 2


def test_other_links_open_nothing(site: httpx.Client, hidden: Place) -> None:
    """A forged one, a deleted one, and one of another event type lead nowhere."""
    link = links.create_link(hidden.owner, hidden.event_type.id)
    foreign = factories.event_type(hidden.workspace, *hidden.people, slug="other", is_public=False)
    path = urlsplit(link.url).path
    token = link.url.partition("link=")[2]
    for wrong in (
        f"{path}?link={token[:-1]}",
        f"{path}?link=" + "x" * 3_000,
        f"{path}?link=%00",
        f"/book/{hidden.workspace.slug}/{foreign.slug}?link={token}",
    ):
        assert site.get(wrong).status_code == 404
    links.delete_link(hidden.owner, hidden.event_type.id, link.id)
    assert site.get(_path(link)).status_code == 404
    with pytest.raises(NotFound):
        links.delete_link(hidden.owner, hidden.event_type.id, link.id)


def test_who_makes_links_and_with_what(hidden: Place) -> None:
    """Ends lie ahead, their number is bounded, and staff make links to what only they host."""
    for wrong in (datetime.now(UTC) - timedelta(hours=1), datetime(2999, 1, 1)):  # noqa: DTZ001 - naive on purpose
        with pytest.raises(InvalidInput):
            links.create_link(hidden.owner, hidden.event_type.id, expires_at=wrong)
    member = factories.person()
    factories.membership(member, hidden.workspace, Role.STAFF)
    with pytest.raises(Forbidden):
        links.create_link(factories.actor(member, hidden.workspace, Role.STAFF), hidden.event_type.id)
    for _ in range(links.MOST):
        links.create_link(hidden.owner, hidden.event_type.id)
    with pytest.raises(Conflict):
        links.create_link(hidden.owner, hidden.event_type.id)


def test_links_over_http(api: httpx.Client, hidden: Place) -> None:
    """Made, listed and ended by the API."""
    path, headers = f"/api/v1/event-types/{hidden.event_type.id}/links", bearer(hidden.people[0])
    made = api.post(path, json={"label": "For Grace"}, headers=headers)
    assert made.status_code == 201, made.text
    assert api.get(path, headers=headers).json()["items"] == [made.json()]
    assert api.post(path, json={"expires_at": "2020-01-01T00:00:00Z"}, headers=headers).status_code == 422
    assert api.delete(f"{path}/{made.json()['id']}", headers=headers).status_code == 204
    assert api.get(path, headers=headers).json()["items"] == []
    assert api.get(path).status_code == 401
