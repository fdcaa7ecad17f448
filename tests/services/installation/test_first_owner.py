"""The first owner: whoever knows the code of a start, once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest
from sqlmodel import select

from calendar_app.db import entered
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import EnteredSetting, Installation, Membership, Person, SetupCode, Workspace
from calendar_app.errors import AlmanacError, InvalidInput, NotFound, TooManyRequests
from calendar_app.services.accounts import authentication, operators
from calendar_app.services.installation import first_owner
from calendar_app.services.installation.first_owner import Answers, SetUpRefused
from calendar_app.settings import Settings, current_settings
from tests.support import factories
from tests.support.databases import Database
from tests.support.people import PASSWORD, user

GIVEN = Answers(
    name="Ada Lovelace",
    email="Ada@Example.com",
    password=PASSWORD,
    business="Ada’s Café",
    slug="",
    address="https://Cal.Example.com/",
    language="de",
    timezone="Europe/Vienna",
)


def test_the_first_owner(database: Database) -> None:
    """They own the business in their language and zone, signed in, and need no proof of their address."""
    assert first_owner.is_needed()
    made = first_owner.set_up(first_owner.make_code(), GIVEN)
    actor = made.identity.actor()
    assert (made.identity.email, actor.role.value, made.identity.timezone) == (
        "ada@example.com",
        "owner",
        "Europe/Vienna",
    )
    with reading() as session:
        place = session.exec(select(Workspace)).one()
        assert (place.slug, place.language, place.timezone) == ("adas-cafe", "de", "Europe/Vienna")
        assert session.exec(select(SetupCode)).all() == []
    assert authentication.identify(made.token) is not None
    assert current_settings().public_url == "https://cal.example.com"
    assert not first_owner.is_needed()


def test_the_first_owner_is_an_operator_where_nobody_is_named(
    database: Database, configure: Callable[..., Settings]
) -> None:
    """In production too; owners who come later are not."""
    made = first_owner.set_up(first_owner.make_code(), GIVEN)
    configure(ALMANAC_ENV="production", BASE_URL="https://cal.example.com")
    assert operators.is_operator(made.identity.actor())
    assert not operators.is_operator(user("eve@example.org").identity.actor())


def test_an_operators_address_is_welcome(database: Database, configure: Callable[..., Settings]) -> None:
    """Whoever knows the code may be whom OPERATORS names, which nobody can sign up as; the address is not proven."""
    configure(OPERATORS="ada@example.com")
    made = first_owner.set_up(first_owner.make_code(), GIVEN)
    assert operators.is_operator(made.identity.actor())
    with reading() as session:
        person = session.exec(select(Person)).one()
    assert (person.email_proven_at, person.language) == (None, "de")


def test_every_start_has_a_code(database: Database) -> None:
    """Codes of several web processes hold side by side, the oldest give way, and none is kept in clear."""
    codes = [first_owner.make_code() for _ in range(first_owner.MOST_CODES + 1)]
    with reading() as session:
        kept = session.exec(select(SetupCode.code_hash)).all()
    assert len(kept) == first_owner.MOST_CODES
    assert not any(code in "".join(kept) for code in codes)
    with pytest.raises(InvalidInput) as refused:
        first_owner.set_up(codes[0], GIVEN)
    assert refused.value.code == "wrong_code"
    first_owner.set_up(codes[1].lower().replace("-", " "), GIVEN)


def test_a_code_is_used_once(database: Database) -> None:
    """Of many who use codes at the same time one becomes the owner."""
    codes = [first_owner.make_code() for _ in range(4)]
    numbers = count()

    def attempt(code: str) -> bool:
        try:
            first_owner.set_up(code, replace(GIVEN, email=f"ada{next(numbers)}@example.com"))
        except AlmanacError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(attempt, codes)) == 1
    with reading() as session:
        assert len(session.exec(select(Person)).all()) == 1
    with pytest.raises(NotFound):
        first_owner.set_up(codes[0], GIVEN)


def test_wrong_codes_are_limited(database: Database) -> None:
    """A right code after too many wrong ones is refused as well, and somebody elsewhere is not kept out."""
    code = first_owner.make_code()
    for _ in range(10):
        with pytest.raises(InvalidInput):
            first_owner.set_up("AAAA-AAAA-AAAA", GIVEN, client="192.0.2.1")
    with pytest.raises(TooManyRequests):
        first_owner.set_up(code, GIVEN, client="192.0.2.1")
    first_owner.set_up(code, GIVEN, client="192.0.2.2")


def test_the_page_is_gone_for_ever(database: Database) -> None:
    """However somebody came here, and also once they are gone again."""
    person = factories.person()
    assert not first_owner.is_needed()
    with transaction() as session:
        assert session.exec(select(Installation)).one().set_up_at is not None
        session.delete(session.get_one(Person, person.id))
    assert not first_owner.is_needed()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", " ", "invalid_input"),
        ("email", "nobody", "invalid_email"),
        ("password", "short", "weak_password"),
        ("password", "passwordpassword", "weak_password"),
        ("password", "Ada@Example.com", "weak_password"),
        ("business", "", "invalid_input"),
        ("slug", "No blanks", "invalid_input"),
        ("slug", "-x", "invalid_input"),
        ("address", "calendar.example.com", "invalid_input"),
        ("address", "https://calendar.example.com/path", "invalid_input"),
        ("address", "https://user@calendar.example.com", "invalid_input"),
        ("address", "https://calendar.example.com:99999", "invalid_input"),
        ("address", "javascript:alert(1)", "invalid_input"),
        ("language", "xx", "invalid_input"),
        ("timezone", "Mars/Olympus", "unknown_timezone"),
    ],
)
def test_unusable_answers(database: Database, field: str, value: str, code: str) -> None:
    """Each is named by its field, nothing is made, and the code is still good."""
    opened = first_owner.make_code()
    with pytest.raises(SetUpRefused) as refused:
        first_owner.set_up(opened, replace(GIVEN, **{field: value}))
    assert refused.value.errors == {field: code}
    assert first_owner.is_needed()
    first_owner.set_up(opened, GIVEN)


def test_the_environments_address_stays(database: Database, configure: Callable[..., Settings]) -> None:
    """An address that the environment names is not asked for, and what was entered does not replace it."""
    configure(BASE_URL="https://set.example.com")
    first_owner.set_up(first_owner.make_code(), GIVEN)
    assert current_settings().public_url == "https://set.example.com"
    with reading() as session:
        assert session.exec(select(EnteredSetting.name)).all() == []


def test_this_machines_own_address_is_not_kept(database: Database) -> None:
    """The usual address of a first try is left to follow PORT."""
    first_owner.set_up(first_owner.make_code(), replace(GIVEN, address="http://localhost:3000"))
    entered.forget()
    with reading() as session:
        assert session.exec(select(EnteredSetting.name)).all() == []
        assert len(session.exec(select(Membership)).all()) == 1
