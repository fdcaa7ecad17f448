"""Passkeys: made, used alone and after a password, and refused where they are not what they should be."""

from __future__ import annotations

import json

import pytest

from calendar_app.errors import InvalidInput, NotSignedIn, SecondFactorRequired
from calendar_app.services.accounts import authentication, passkeys, second_factor
from calendar_app.services.accounts.authentication import Identity
from calendar_app.settings import current_settings
from tests.support.authenticator import Authenticator
from tests.support.people import PASSWORD


def authenticator(**changes: bool) -> Authenticator:
    """A device at this site."""
    return Authenticator(current_settings().public_url, **changes)


def added(identity: Identity, device: Authenticator, name: str = "Laptop") -> list[str]:
    """The passkey of the device is the person's; recovery codes."""
    asked = passkeys.start_adding(identity, PASSWORD)
    return passkeys.add(identity, asked.secret, device.create(json.loads(asked.options)), name)


def test_a_passkey_signs_in_without_a_password(ada: Identity) -> None:
    """It is found by its id, and the challenge is worth one use."""
    device = authenticator()
    assert len(added(ada, device)) == second_factor.CODES
    asked = passkeys.start_using()
    answer = device.get(json.loads(asked.options))
    assert passkeys.use(asked.secret, answer).identity.person_id == ada.person_id
    with pytest.raises(NotSignedIn):
        passkeys.use(asked.secret, answer)
    (factor,) = second_factor.list_factors(ada)
    assert (factor.kind, factor.name, factor.last_used_at is not None) == ("passkey", "Laptop", True)


def test_a_passkey_is_a_second_factor(ada: Identity) -> None:
    """With one, a password alone opens nothing; after the password only that account's passkeys are asked for."""
    device, other = authenticator(), authenticator()
    added(ada, device)
    eve = authentication.sign_up("Eve", "eve@example.com", PASSWORD, "", "UTC").identity
    added(eve, other)
    with pytest.raises(SecondFactorRequired) as more:
        authentication.sign_in("ada@example.com", PASSWORD)
    step = second_factor.begin(more.value.person_id)
    asked = passkeys.start_using(step)
    options = json.loads(asked.options)
    assert len(options["allowCredentials"]) == 1
    with pytest.raises(NotSignedIn, match="does not open"):
        passkeys.use(asked.secret, other.get(options))
    assert passkeys.use(asked.secret, device.get(options)).identity.person_id == ada.person_id


@pytest.mark.parametrize(
    "spoil",
    [
        lambda device, other: setattr(device, "origin", "https://evil.example"),
        lambda device, other: setattr(device, "verifies", False),
        lambda device, other: setattr(device, "key", other.key),
        lambda device, other: setattr(device, "own_id", other.own_id),
        lambda device, other: setattr(device, "count", -1),
    ],
    ids=["another site", "nobody verified", "another key", "unknown", "copied"],
)
def test_what_is_not_the_passkey_is_refused(ada: Identity, spoil: object) -> None:
    """Another site's, one that verified nobody, a forged signature, an unknown id, a counter that went back."""
    device = authenticator()
    added(ada, device)
    asked = passkeys.start_using()
    passkeys.use(asked.secret, device.get(json.loads(asked.options)))
    assert callable(spoil)
    spoil(device, authenticator())
    asked = passkeys.start_using()
    with pytest.raises(NotSignedIn, match="does not open"):
        passkeys.use(asked.secret, device.get(json.loads(asked.options)))


def test_a_passkey_is_made_by_who_asked_for_it(ada: Identity) -> None:
    """The password first; another's challenge, another site's answer, nonsense and a known key are refused."""
    with pytest.raises(InvalidInput):
        passkeys.start_adding(ada, "wrong")
    eve = authentication.sign_up("Eve", "eve@example.com", PASSWORD, "", "UTC").identity
    device = authenticator()
    asked = passkeys.start_adding(ada, PASSWORD)
    made = device.create(json.loads(asked.options))
    with pytest.raises(NotSignedIn):
        passkeys.add(eve, asked.secret, made, "")
    for wrong in (
        {},
        {"id": 7},
        made | {"response": {}},
        Authenticator("https://evil.example").create(json.loads(asked.options)),
    ):
        with pytest.raises(InvalidInput, match="could not be checked"):
            passkeys.add(ada, asked.secret, wrong, "")
    passkeys.add(ada, asked.secret, made, "")
    again = passkeys.start_adding(eve, PASSWORD)
    with pytest.raises(InvalidInput, match="known already"):
        passkeys.add(eve, again.secret, device.create(json.loads(again.options)), "")
