"""What a workspace is called, how its pages look, and who may change that."""

from __future__ import annotations

import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import AuditEntry, WorkspaceLogo
from calendar_app.errors import Forbidden, InvalidInput, NotFound
from calendar_app.services.common.permissions import Role
from calendar_app.services.workspaces import settings
from tests.support import factories, pictures
from tests.support.scheduling import Place


def test_settings_are_changed_and_noted(place: Place) -> None:
    """What is named changes, the rest stays; the audit trail says what, and a change that changes nothing is none."""
    before = settings.get(place.owner)
    assert (before.accent, before.allowed_origins, before.shows_credit) == ("", (), True)
    changes = {
        "accent": "#0A7D3C",
        "allowed_origins": ["shop.example"],
        "language": "de",
        "confirmation_text": "Please ring twice.\nSecond floor.",
        "shows_credit": False,
        "name": "Studio Nord",
    }
    after = settings.update(place.owner, changes)
    assert settings.update(place.owner, changes) == after == settings.get(place.owner)
    assert (after.accent, after.allowed_origins) == ("#0a7d3c", ("https://shop.example",))
    assert (after.name, after.timezone, after.slug) == ("Studio Nord", before.timezone, before.slug)
    look = settings.look(after.slug)
    assert (look.accent, look.sites, look.language) == ("#0a7d3c", ("https://shop.example",), "de")
    assert look.confirmation_text == "Please ring twice.\nSecond floor."
    assert not look.shows_credit
    with reading() as session:
        entries = session.exec(select(AuditEntry).where(AuditEntry.action == "workspace.changed")).all()
    assert [sorted(entry.detail["changed"]) for entry in entries] == [
        ["accent", "confirmation_text", "language", "name", "shows_credit", "sites"]
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"accent": "red"}, "accent"),
        ({"language": "xx"}, "language"),
        ({"language": ["de"]}, "language"),
        ({"timezone": "Nowhere/Land"}, "timezone"),
        ({"allowed_origins": ["a b"]}, "allowed_origins"),
        ({"confirmation_text": "x" * 2_001}, "confirmation_text"),
        ({"shows_credit": "yes"}, "shows_credit"),
        ({"slug": "other"}, "slug"),
    ],
)
def test_bad_values_change_nothing(place: Place, changes: dict[str, object], field: str) -> None:
    """A refusal names its field, and nothing else of the same request is kept."""
    before = settings.get(place.owner)
    with pytest.raises(InvalidInput) as refused:
        settings.update(place.owner, {"name": "Changed", **changes})
    assert refused.value.field == field
    assert settings.get(place.owner) == before


@pytest.mark.parametrize("role", [Role.STAFF, Role.MANAGER])
def test_only_admins_change_them(place: Place, role: Role) -> None:
    """Staff and managers see the settings; only admins and owners change them."""
    member = factories.person()
    factories.membership(member, place.workspace, role)
    actor = factories.actor(member, place.workspace, role)
    assert settings.get(actor).slug == place.workspace.slug
    for change in (
        lambda: settings.update(actor, {"name": "Mine"}),
        lambda: settings.set_logo(actor, pictures.png()),
        lambda: settings.remove_logo(actor),
    ):
        with pytest.raises(Forbidden):
            change()


def test_a_logo_is_shown_until_it_is_removed(place: Place) -> None:
    """The address changes with the image; that of an earlier one leads nowhere."""
    first = settings.set_logo(place.owner, pictures.png(color="red"))
    shown = settings.look(place.workspace.slug)
    assert first.logo_url.endswith(shown.logo)
    assert (shown.width, shown.height) == (96, 32)
    assert settings.logo_image(shown.logo.rpartition("/")[2]).startswith(b"\x89PNG")
    second = settings.set_logo(place.owner, pictures.png(color="blue"))
    assert second.logo_url != first.logo_url
    with pytest.raises(NotFound):
        settings.logo_image(first.logo_url.rpartition("/")[2])
    assert settings.remove_logo(place.owner).logo_url == ""
    assert settings.look(place.workspace.slug).logo == ""
    with reading() as session:
        assert session.exec(select(WorkspaceLogo)).all() == []


def test_an_unknown_business_looks_plain(place: Place) -> None:
    """Pages of errors are made for addresses that lead nowhere, too."""
    assert settings.look("nobody-here") == settings.look("") == settings.Look()
