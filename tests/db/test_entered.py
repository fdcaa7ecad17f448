"""What operators entered, as every process reads it: rarely, without making anything, and never in the way."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from calendar_app.db import entered
from calendar_app.db.entered import GROUPS, Group
from calendar_app.db.session import transaction
from calendar_app.db.tables import EnteredSetting
from calendar_app.settings import Settings, current_settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.statements import counted


def test_a_look_makes_no_database(configure: Callable[..., Settings], tmp_path: Path) -> None:
    """A program that only asks for settings leaves no empty file behind."""
    settings = configure(DATABASE_URL=f"sqlite:///{tmp_path}/none.db")
    assert current_settings() is settings
    assert list(tmp_path.glob("none.db*")) == []


def test_it_is_read_once_in_a_while(database: Database) -> None:
    """Not at each use; the settings stay one object while nothing was entered."""
    with counted() as seen:
        entered.forget()
        assert current_settings() is current_settings()
    assert len(seen.statements) == 1


def test_without_a_database_what_was_known_stays(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage, or a schema from before, neither fails nor takes an address away."""
    factories.save(EnteredSetting(name="BASE_URL", value="https://cal.example.com"))
    entered.forget()
    assert current_settings().public_url == "https://cal.example.com"
    monkeypatch.setattr(entered, "KEPT_S", 0.0)
    entered.forget()
    assert current_settings().public_url == "https://cal.example.com"
    with transaction() as session:
        session.execute(text("ALTER TABLE entered_setting RENAME TO elsewhere"))
    try:
        assert current_settings().public_url == "https://cal.example.com"
        entered.forget()
        assert current_settings().public_url == "http://localhost:3000"
    finally:
        with transaction() as session:
            session.execute(text("ALTER TABLE elsewhere RENAME TO entered_setting"))
        entered.forget()


def test_names_that_nobody_knows_change_nothing(database: Database) -> None:
    """Only settings that can be entered are taken from the database, whatever stands there."""
    factories.save(EnteredSetting(name="SECRET_KEY", value="x" * 40))
    factories.save(EnteredSetting(name="ALLOWED_PRIVATE_HOSTS", value="127.0.0.1"))
    entered.forget()
    before = current_settings()
    assert before.secret_key.get_secret_value() != "x" * 40
    assert before.allowed_private_hosts == ()


@pytest.mark.parametrize("group", list(Group))
def test_every_group_is_of_settings(group: Group) -> None:
    """Each name is a field, with the variable of the same name."""
    for name in (*GROUPS[group].leading, *GROUPS[group].others):
        assert Settings.model_fields[name].alias == name.upper()


def test_what_can_be_entered_is_never_asked_of_the_environment_alone() -> None:
    """Nobody writes ``get_settings().public_url``: that would miss what an operator entered."""
    enterable = {name for fields in GROUPS.values() for name in (*fields.leading, *fields.others)}
    asked = re.compile(rf"get_settings\(\)\.({'|'.join(sorted(enterable | {'public_url'}))})\b")
    root = Path(entered.__file__).parents[1]
    allowed = {"installation/first_owner.py", "installation/public_address.py"}  # they compare with it
    wrong = [
        f"{path.relative_to(root)}: {found[0]}"
        for path in sorted(root.rglob("*.py"))
        if "sandbox" not in path.parts and not any(str(path).endswith(one) for one in allowed)
        for found in asked.finditer(re.sub(r"current_settings\(\)", "", path.read_text(encoding="utf-8")))
    ]
    assert wrong == []
