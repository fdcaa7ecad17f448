"""One POST to a typed address: where it may go, how long it may take, and what is kept of the answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from calendar_app.errors import InvalidInput, ProviderUnavailable
from calendar_app.providers import webhooks
from calendar_app.providers.vetted import Lookups, Network, VettedBackend
from calendar_app.settings import Settings
from tests.support.receivers import Reply, receiver

Configure = Callable[..., Settings]


def network(answers: list[list[str]], allowed: frozenset[str] = frozenset()) -> Network:
    """A network whose DNS answers in this order."""
    left = list(answers)
    return Network(VettedBackend(allowed, resolve=lambda _host, _port: left.pop(0), lookups=Lookups()))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fd00::1", "64:ff9b::a00:1"]
)
def test_a_name_that_leads_inside_is_not_called(settings: Settings, address: str) -> None:
    """Also where another of its addresses is public: nothing is dialled."""
    for addresses in ([address], ["8.8.8.8", address]):
        with pytest.raises(InvalidInput) as refused:
            webhooks.post("https://hooks.example/", {}, b"{}", settings, transport=network([addresses]))
        assert refused.value.code == "address_refused"


def test_a_second_dns_answer_is_never_asked_for(configure: Configure) -> None:
    """The address that was looked at is the one that is called, whatever the name leads to a moment later."""
    settings = configure(ALLOWED_PRIVATE_HOSTS="hooks.example")
    with receiver() as running:
        port = running.url.rpartition(":")[2]
        there = network([["127.0.0.1"], ["169.254.169.254"]], frozenset({"hooks.example"}))
        headers = {"webhook-id": "1"}
        answer = webhooks.post(f"http://hooks.example:{port}", headers, b"{}", settings, transport=there)
        assert (answer.status, answer.taken, len(running.got)) == (204, True, 1)
        there.close()


def test_a_redirect_is_an_answer(configure: Configure) -> None:
    """It is not followed, not even to where it came from; where it leads is told."""
    settings = configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    with receiver() as running:
        running.answer(Reply(308, headers={"location": running.url}))
        answer = webhooks.post(running.url, {"webhook-id": "1"}, b"{}", settings)
        assert (answer.status, answer.taken, answer.location) == (308, False, running.url)
        assert len(running.got) == 1


def test_a_slow_answer_ends_in_time(configure: Configure) -> None:
    """A receiver that does not answer, and one whose answer drips in, have not answered."""
    settings = configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    with receiver() as running:
        running.answer(Reply(200, seconds=0.6))
        with pytest.raises(ProviderUnavailable) as late:
            webhooks.post(running.url, {"webhook-id": "1"}, b"{}", settings, timeout=0.2)
        assert late.value.reason == "timeout"


def test_only_the_beginning_of_an_answer_is_read(configure: Configure) -> None:
    """A gigabyte is not waited for; bytes that are no text do no harm."""
    settings = configure(ALLOWED_PRIVATE_HOSTS="127.0.0.1")
    with receiver() as running:
        running.answer(Reply(200, b"\xff\x00" * 500_000, times=1_000))
        answer = webhooks.post(running.url, {"webhook-id": "1"}, b"{}", settings)
        assert answer.taken
        assert answer.body == "\ufffd" * webhooks.MAX_ANSWER
