"""`Idempotency-Key`: one key, one piece of work, one answer."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlmodel import select

from calendar_app import errors
from calendar_app.api import problems
from calendar_app.api.idempotency import Idempotency, Idempotent, Keep
from calendar_app.db.session import reading, transaction
from calendar_app.db.tables import IdempotencyRecord, Installation
from calendar_app.errors import SlotUnavailable
from calendar_app.services.common import idempotency
from tests.support.databases import Database
from tests.support.people import problem, user
from tests.support.web import served


class Order(BaseModel):
    item: str


class Shop:
    """A route that counts its work, waits if told to, and fails for one item."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.app = FastAPI()
        problems.install(self.app)

        @self.app.post("/orders")
        def create(order: Order, idempotent: Idempotent) -> Response:
            return idempotent.run(201, lambda: self.work(order))

    def work(self, order: Order) -> dict[str, object]:
        self.entered.set()
        assert self.go_on.wait(20)
        if order.item == "sold out":
            raise SlotUnavailable("That is gone.")
        return {"number": next(self.numbers), "item": order.item, "at": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def client(shop: Shop, database: Database) -> Iterator[httpx.Client]:
    with served(shop.app) as url, httpx.Client(base_url=url, timeout=30) as made:
        yield made


def _order(client: httpx.Client, item: str = "tea", key: str | None = "k1", **headers: str) -> httpx.Response:
    given = {"Idempotency-Key": key} if key is not None else {}
    return client.post("/orders", json={"item": item}, headers=given | headers)


def test_a_repetition_gets_the_first_answer(client: httpx.Client) -> None:
    """Same status, same body, marked as a replay; the work was done once."""
    first, second = _order(client), _order(client)
    assert (first.status_code, first.json()["number"]) == (201, 1)
    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["content-type"] == first.headers["content-type"] == "application/json"
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"


def test_other_keys_and_no_key_are_other_work(client: httpx.Client) -> None:
    """Without the header every request counts."""
    numbers = [_order(client, key=key).json()["number"] for key in ("a", "b", None, None)]
    assert numbers == [1, 2, 3, 4]


def test_another_body_is_refused(client: httpx.Client) -> None:
    """A key belongs to one request."""
    _order(client)
    problem(_order(client, item="coffee"), 422, "idempotency_key_reused")


def test_callers_do_not_share_keys(client: httpx.Client) -> None:
    """Another person's key, or a visitor's, never shows an answer that is not theirs."""
    ada, eve = user(), user("eve@example.com")
    numbers = [
        _order(client, **headers).json()["number"] for headers in ({}, ada.bearer, eve.bearer, ada.bearer)
    ]
    assert numbers == [1, 2, 3, 2]


def test_one_of_many_runs(client: httpx.Client, shop: Shop) -> None:
    """While the first request runs the others are told so; afterwards they get its answer."""
    shop.go_on.clear()
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(_order, client)
        assert shop.entered.wait(20)
        others = list(pool.map(lambda _: _order(client), range(5)))
        shop.go_on.set()
        answer = first.result()
    for other in others:
        problem(other, 409, "request_in_flight")
    assert _order(client).content == answer.content


def test_a_storm_does_the_work_once(client: httpx.Client, shop: Shop) -> None:
    """Twelve requests at the same moment make one order; nobody sees anything but 201 or 409."""
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: _order(client), range(12)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["number"] for answer in answers if answer.status_code == 201} == {1}
    assert next(shop.numbers) == 2


def test_kept_answers_are_encrypted(client: httpx.Client) -> None:
    """A booking's answer has the link that cancels it: who reads the database has not got it."""
    _order(client, item="first flush")
    with reading() as session:
        kept = repr(session.execute(text("SELECT * FROM idempotency_record")).one())
    assert "first flush" not in kept
    assert _order(client, item="first flush").json()["item"] == "first flush"


def test_answers_of_the_release_before_are_repeated(client: httpx.Client) -> None:
    """Kept in clear for what is left of their day."""
    first = _order(client)
    with transaction() as session:
        record = session.exec(select(IdempotencyRecord)).one()
        record.answer, record.response = None, {"content": first.text}
        session.add(record)
    assert _order(client).content == first.content


def test_failed_work_may_be_tried_again(client: httpx.Client) -> None:
    """An error is not kept: the key is free for the next try."""
    problem(_order(client, item="sold out"), 409, "slot_unavailable")
    problem(_order(client, item="sold out"), 409, "slot_unavailable")
    with reading() as session:
        assert session.exec(select(IdempotencyRecord)).all() == []


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_unusable_keys_are_bad_input(client: httpx.Client, key: str) -> None:
    """1 to 255 characters."""
    assert _order(client, key=key).status_code == 422


def test_a_request_that_died_is_taken_over(database: Database) -> None:
    """A record without an answer blocks its key for a minute, not for ever."""
    now = datetime.now(UTC)
    assert isinstance(idempotency.begin("s", "k", b"", now=now), str)
    with pytest.raises(errors.Conflict):
        idempotency.begin("s", "k", b"", now=now + timedelta(seconds=59))
    assert isinstance(idempotency.begin("s", "k", b"", now=now + timedelta(seconds=61)), str)


def test_answers_are_forgotten_after_a_day(database: Database) -> None:
    """By the key's next use and by the daily job."""
    now = datetime.now(UTC)
    for key in ("a", "b"):
        record = idempotency.begin("s", key, b"", now=now)
        assert isinstance(record, str)
        idempotency.keep(record, idempotency.Answer(201, key))
    assert idempotency.begin("s", "a", b"", now=now + timedelta(hours=23)) == idempotency.Answer(201, "a")
    assert isinstance(idempotency.begin("s", "a", b"", now=now + timedelta(hours=25)), str)
    idempotency.forget(now=now + timedelta(hours=25))
    with reading() as session:
        assert [record.key for record in session.exec(select(IdempotencyRecord))] == ["a"]


class Died(BaseException):
    """The process ends here: nobody catches this."""


@pytest.mark.usefixtures("database")
def test_an_answer_committed_with_the_work_outlives_its_process() -> None:
    """Work that kept its answer and died before it gave it is not done again: the answer is there."""
    request = Idempotency("k", "me POST /orders", b"{}")

    def dies(keep: Keep[dict[str, int]] | None) -> dict[str, int]:
        assert keep is not None
        with transaction() as session:
            keep(session, {"number": 1})
        raise Died

    with pytest.raises(Died):
        request.run_in_transaction(201, dies, lambda result: result)
    again = request.run_in_transaction(201, lambda _keep: {"number": 2}, lambda result: result)
    assert (again.body, again.headers["Idempotency-Replayed"]) == (b'{"number":1}', "true")


@pytest.mark.usefixtures("database")
def test_an_answer_goes_with_a_rolled_back_transaction() -> None:
    """What did not commit was not answered: the repetition does the work."""
    request = Idempotency("k", "me POST /orders", b"{}")

    def fails(keep: Keep[dict[str, int]] | None) -> dict[str, int]:
        assert keep is not None
        with transaction() as session:
            keep(session, {"number": 1})
            raise SlotUnavailable("Gone.")

    with pytest.raises(SlotUnavailable):
        request.run_in_transaction(201, fails, lambda result: result)
    again = request.run_in_transaction(201, lambda _keep: {"number": 2}, lambda result: result)
    assert again.body == b'{"number":2}'


@pytest.mark.parametrize(("hours", "kept"), [(1, {"content": "[1]"}), (-1, None), (None, None)])
def test_the_release_before_gives_the_same_answer(
    database: Database, hours: int | None, kept: dict[str, str] | None
) -> None:
    """It reads `response`: filled while its processes may still run, and never afterwards, for it is not encrypted."""
    with transaction() as session:
        row = session.exec(select(Installation)).one()
        row.older_code_until = datetime.now(UTC) + timedelta(hours=hours) if hours is not None else None
        session.add(row)
    record_id = idempotency.begin("POST /orders", "key", b"{}")
    assert isinstance(record_id, str)
    idempotency.keep(record_id, idempotency.Answer(201, "[1]"))
    with reading() as session:
        found = session.exec(select(IdempotencyRecord)).one()
        assert (found.response, found.answer) == (kept, "[1]")
    with transaction() as session:
        row = session.exec(select(Installation)).one()
        row.older_code_until = None
        session.add(row)
