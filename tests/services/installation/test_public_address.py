"""The public address, as an operator changes it in a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlmodel import select

from calendar_app.db.session import reading
from calendar_app.db.tables import EnteredSetting
from calendar_app.errors import Conflict, Forbidden, InvalidInput
from calendar_app.services.common import signed_links
from calendar_app.services.common.permissions import Role
from calendar_app.services.installation import public_address
from calendar_app.settings import Settings
from tests.support import factories
from tests.support.databases import Database


def test_links_lead_to_what_was_entered(database: Database) -> None:
    """At once, in normal form; what is no address is refused."""
    operator = factories.team().actor
    view = public_address.save(operator, " https://Cal.Example.com/ ")
    assert view == public_address.PublicAddress("https://cal.example.com", fixed=False)
    assert signed_links.url("b" * 26).startswith("https://cal.example.com/manage/")
    with pytest.raises(InvalidInput):
        public_address.save(operator, "ftp://cal.example.com")
    assert public_address.save(operator, "http://localhost:3000").url == "http://localhost:3000"
    with reading() as session:
        assert session.exec(select(EnteredSetting.name)).all() == []


def test_the_environment_wins(database: Database, configure: Callable[..., Settings]) -> None:
    """It is shown, and cannot be changed in a page; others than operators see nothing."""
    configure(BASE_URL="https://set.example.com")
    operator = factories.team().actor
    assert public_address.get(operator).fixed
    with pytest.raises(Conflict, match="BASE_URL"):
        public_address.save(operator, "https://other.example.com")
    with pytest.raises(Forbidden):
        public_address.get(factories.team(role=Role.MANAGER).actor)
