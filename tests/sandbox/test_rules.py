"""The switches of what the real vendors do: on the sandbox's page, by its control interface, and all at once."""

from __future__ import annotations

from calendar_app.sandbox.rules import rules_of
from tests.sandbox.server import Sandbox, SharedServer, running_sandbox

RULES = "/sandbox/api/microsoft/rules"


def on(sandbox: Sandbox) -> set[str]:
    return {rule["key"] for rule in sandbox.client.get(RULES).json()["items"] if rule["on"]}


def test_a_rule_is_switched_on_the_page(sandbox: Sandbox) -> None:
    """Every rule is off at first; a button switches it, and the page says how it stands."""
    page = sandbox.client.get("/sandbox?provider=microsoft").text
    assert "A second subscription to the same changes of a calendar is refused with 409." in page
    assert on(sandbox) == set()
    form = {"provider": "microsoft", "rule": "one_subscription", "place": "rules", "on": "1"}
    answer = sandbox.client.post("/sandbox/actions/rule", data=form)
    assert answer.headers["location"] == "/sandbox?done=switched&provider=microsoft#rules"
    assert on(sandbox) == {"one_subscription"}
    assert 'class="chip on">on<' in sandbox.client.get("/sandbox?provider=microsoft").text
    sandbox.client.post("/sandbox/actions/rule", data=form | {"on": ""})
    assert on(sandbox) == set()


def test_a_rule_is_switched_by_programs(sandbox: Sandbox) -> None:
    """PUT switches, grows the sequence, and refuses what is no rule or no truth value."""
    before = sandbox.client.get("/sandbox/api/state").json()["sequence"]
    assert sandbox.client.put(f"{RULES}/pauses", json={"on": True}).status_code == 204
    assert on(sandbox) == {"pauses"}
    assert sandbox.client.get("/sandbox/api/state").json()["sequence"] > before
    assert sandbox.client.put(f"{RULES}/nothing", json={"on": True}).status_code == 404
    assert sandbox.client.put(f"{RULES}/pauses", json={"on": "yes"}).status_code == 400
    assert sandbox.client.get("/sandbox/api/calendly/rules").status_code == 200


def test_a_strict_sandbox_begins_with_every_strict_rule(server: SharedServer) -> None:
    """Rules that need somebody to do something stay off: everything else can be used as before."""
    with running_sandbox(server=server, strict=True) as sandbox:
        for stand_in in sandbox.app.state.stand_ins.values():
            assert all(rule["on"] == rule["strict"] for rule in rules_of(stand_in).all())
        assert {"one_subscription", "pauses"} <= on(sandbox)
